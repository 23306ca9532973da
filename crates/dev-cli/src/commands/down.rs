use std::process::ExitCode;

use clap::Args;

use crate::commands::stop_all::stopped;
use crate::context::Context;
use crate::printer::Lines;

/// Stop all services and remove the containers and networks; data stays
///
/// Stops the services of this checkout, also if another terminal started them.
/// The docker engine also stops services that `docker compose` started.
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
