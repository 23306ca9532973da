use std::process::ExitCode;

use clap::Args;
use dev_env::engines::docker;
use dev_env::verbs::testing::{self, TestServer};

use crate::context::Context;
use crate::printer::Lines;

/// Run the tests, each with its own database on a temporary PostgreSQL
///
/// The development database is never used, and the environment may run or not.
/// If cargo-nextest is installed, it runs the tests.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo dev test                        all tests
  cargo dev test login                  the tests whose names contain \"login\"
  cargo dev test login -- --nocapture   with their output")]
pub(crate) struct Test {
    /// Run only tests whose names contain one of these texts [default: all]
    filters: Vec<String>,
    /// Pass these arguments to the test programs
    #[arg(last = true)]
    args: Vec<String>,
}

impl Test {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let environment = context.environment().await?;
        if let Err(reason) = context
            .or_stop(async { Ok(docker::available().await) })
            .await?
        {
            context.printer.note(&format!(
                "the tests of docker-compose.yml are skipped: {reason}"
            ));
        }
        let server = context
            .or_stop(TestServer::start(
                &environment,
                &context.printer.events(Lines::Build),
            ))
            .await?;
        context.printer.finish();
        let outcome = testing::run(&environment, &server, &self.filters, &self.args).await;
        server.stop().await?;
        Ok(if outcome?.success() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
