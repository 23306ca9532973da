use std::process::ExitCode;

use clap::Args;

use crate::commands::stop_all::stopped;
use crate::context::Context;
use crate::printer::Lines;

/// Stops everything that runs for this checkout, wherever it was started, and removes its containers and networks. Data stays, always.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo dev down")]
pub(crate) struct Down {}

impl Down {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let engine = context.engine_to_stop().await?;
        let ran = context
            .or_stop(engine.down(&context.printer.events(Lines::Build)))
            .await?;
        Ok(stopped(context, ran))
    }
}
