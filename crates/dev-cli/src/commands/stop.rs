use std::process::ExitCode;

use clap::Args;

use crate::commands::stop_all::stop_all;
use crate::context::Context;

/// Stops the services of this checkout, wherever they were started. Data stays, always.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo dev stop")]
pub(crate) struct Stop {}

impl Stop {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        stop_all(context).await
    }
}
