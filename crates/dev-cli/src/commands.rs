//! The verbs, one file each.

pub(crate) mod backup;
pub(crate) mod bench;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod container;
pub(crate) mod db;
pub(crate) mod down;
pub(crate) mod engine;
pub(crate) mod logs;
pub(crate) mod migrate;
pub(crate) mod restart;
pub(crate) mod restore;
pub(crate) mod status;
pub(crate) mod stop;
mod stop_all;
pub(crate) mod test;
pub(crate) mod up;

use std::process::ExitCode;

use crate::args::Command;
use crate::context::Context;

impl Command {
    /// Does it.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        match self {
            Self::Up(verb) => verb.run(context).await,
            Self::Down(verb) => verb.run(context).await,
            Self::Stop(verb) => verb.run(context).await,
            Self::Restart(verb) => verb.run(context).await,
            Self::Status(verb) => verb.run(context).await,
            Self::Logs(verb) => verb.run(context).await,
            Self::Test(verb) => verb.run(context).await,
            Self::Check(verb) => verb.run(context).await,
            Self::Migrate(verb) => verb.run(context).await,
            Self::Db(verb) => verb.run(context).await,
            Self::Backup(verb) => verb.run(context).await,
            Self::Restore(verb) => verb.run(context).await,
            Self::Engine(verb) => verb.run(context).await,
            Self::Config(verb) => verb.run(context).await,
            Self::Container(verb) => verb.run(context).await,
            Self::Bench(verb) => verb.run(context).await,
            Self::Completions(verb) => verb.run(),
        }
    }
}
