use std::process::ExitCode;

use clap::Args;
use dev_env::engines::docker;
use dev_env::verbs::testing::{self, TestServer};

use crate::context::Context;
use crate::printer::Lines;

/// All the tests, or those whose names hold a filter, each in a database of its own on a PostgreSQL that is made for them.
///
/// The development database is never touched; the environment may run or not. cargo-nextest runs them where it is installed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo dev test
  cargo dev test login
  cargo dev test login -- --nocapture")]
pub(crate) struct Test {
    /// Parts of test names
    filters: Vec<String>,
    /// For the test programs
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
