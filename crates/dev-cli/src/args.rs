//! What can be typed.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::commands;
use crate::context::Context;
use crate::engine_name::EngineName;

/// The development environment of EmotionVisualizer: a real PostgreSQL, the API, their logs and tests, for this checkout alone.
#[derive(Debug, Parser)]
#[command(
    name = "cargo dev",
    bin_name = "cargo dev",
    version,
    max_term_width = 110,
    after_help = "\
Examples:
  cargo dev up            start everything; Ctrl-C stops it
  cargo dev status        what runs
  cargo dev test          all the tests
  cargo dev help migrate  more on one verb"
)]
pub(crate) struct Args {
    /// Print data, warnings and errors alone
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Print more of what is done
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    /// What runs the services [default: DEV_ENGINE, else what ran here last, else native]
    #[arg(long, global = true, value_enum, value_name = "ENGINE")]
    pub(crate) engine: Option<EngineName>,
    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the database and the API, and print where they answer
    Up(commands::up::Up),
    /// Stop everything; data stays
    Down(commands::down::Down),
    /// Stop the services; data stays
    Stop(commands::stop::Stop),
    /// Read .env again and start the services anew
    Restart(commands::restart::Restart),
    /// What runs, where, since when, and whether the schema is the code's
    Status(commands::status::Status),
    /// The logs of all services, merged by time
    Logs(commands::logs::Logs),
    /// All the tests, each in a database of its own
    Test(commands::test::Test),
    /// Format, lints, dependencies: what CI checks beside the tests
    Check(commands::check::Check),
    /// The database's schema
    #[command(subcommand)]
    Migrate(commands::migrate::Migrate),
    /// The development database
    #[command(subcommand)]
    Db(commands::db::Db),
    /// A copy of the database, with its checksum
    Backup(commands::backup::Backup),
    /// Put a copy of the database back, and keep what was there
    Restore(commands::restore::Restore),
    /// What runs the services: moving the database from one to the other
    #[command(subcommand)]
    Engine(commands::engine::Engine),
    /// The settings: their values, where each one comes from, what it does
    #[command(subcommand)]
    Config(commands::config::Config),
    /// What runs inside the development container
    #[command(subcommand, hide = true)]
    Container(commands::container::Container),
    /// The benchmarks, as ratios to what this machine can do
    Bench(commands::bench::Bench),
    /// Completion of this command for a shell
    Completions(commands::completions::Completions),
}

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
            Self::Completions(verb) => verb.run(&mut Args::command()),
        }
    }
}
