use std::process::ExitCode;

use clap::{Args, ValueEnum};
use dev_env::report::up::Service;

use crate::context::Context;
use crate::printer::Lines;

/// Reads .env and backend/.env again, builds, and starts the services anew.
///
/// What runs goes on until the new settings and the new program are known to be good. Variables of the shell that typed
/// `cargo dev up` stay as they were.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo dev restart       everything
  cargo dev restart api   the API alone")]
pub(crate) struct Restart {
    /// The service
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
