use std::process::ExitCode;

use clap::{Args, ValueEnum};
use dev_env::report::up::Service;

use crate::context::Context;
use crate::printer::Lines;

/// Read the settings again, build the service, and restart the services
///
/// The running services continue until the new settings are valid and the new program is built.
/// The API is replaced without a lost request.
/// Environment variables keep the values that they had at `cargo dev up`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo dev restart       all services
  cargo dev restart api   only the API")]
pub(crate) struct Restart {
    /// Restart only this service [default: all]
    service: Option<Name>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Name {
    Api,
    Db,
}

impl Restart {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let service = self.service.map(|name| match name {
            Name::Api => Service::Api,
            Name::Db => Service::Db,
        });
        context
            .or_stop(
                context
                    .engine()
                    .await?
                    .restart(service, &context.printer.events(Lines::Build)),
            )
            .await?;
        context.printer.finish();
        Ok(ExitCode::SUCCESS)
    }
}
