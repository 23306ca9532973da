use std::process::ExitCode;

use clap::Args;

use crate::commands::stop_all::stopped;
use crate::context::Context;
use crate::printer::Lines;

/// Stops the services of this checkout, wherever they were started. Data stays, always.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo dev stop")]
pub(crate) struct Stop {}

impl Stop {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let engine = context.engine_to_stop().await?;
        let ran = context
            .or_stop(engine.stop(&context.printer.events(Lines::Build)))
            .await?;
        Ok(stopped(context, ran))
    }
}
