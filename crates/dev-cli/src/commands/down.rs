use std::process::ExitCode;

use clap::Args;

use crate::commands::stop_all::stop_all;
use crate::context::Context;

/// Stops everything that runs for this checkout, wherever it was started. Data stays, always.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo dev down")]
pub(crate) struct Down {}

impl Down {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        stop_all(context).await
    }
}
