use std::process::ExitCode;

use clap::Args;
use dev_env::verbs::testing::{self, Outcome, Selection, TestServer};

use crate::context::Context;
use crate::printer::{Lines, Printer};

/// Run the tests, each with its own database on a temporary PostgreSQL
///
/// The tests that take long run with --all only: those in Docker, and those that edit and build the service many times.
/// A test that needs something which this machine lacks is skipped and reported. With TEST_NEEDS=required it fails.
/// The development database is never used, and the environment may run or not.
/// If cargo-nextest is installed, it runs the tests.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo dev test                        the tests for every day
  cargo dev test --all                  all tests, as CI runs them
  cargo dev test login                  the tests whose names contain \"login\"
  cargo dev test login -- --nocapture   with their output")]
pub(crate) struct Test {
    /// Run only tests whose names contain one of these texts [default: all]
    filters: Vec<String>,
    /// Run the tests that take long, too
    #[arg(long)]
    all: bool,
    /// Pass these arguments to the test programs
    #[arg(last = true)]
    args: Vec<String>,
}

impl Test {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let environment = context.environment().await?;
        let server = context
            .or_stop(TestServer::start(
                &environment,
                &context.printer.events(Lines::Build),
            ))
            .await?;
        context.printer.finish();
        let selection = Selection {
            filters: self.filters,
            all: self.all,
            args: self.args,
        };
        let outcome = testing::run(&environment, &server, &selection).await;
        server.stop().await?;
        let outcome = outcome?;
        report(&context.printer, &outcome, self.all);
        Ok(if outcome.passed {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// Prints what the run left out.
fn report(printer: &Printer, outcome: &Outcome, all: bool) {
    for skipped in &outcome.skipped {
        printer.note(&format!(
            "skipped, because this machine lacks {}: {}\nhint: {}",
            skipped.need,
            skipped.tests.join(", "),
            skipped.hint
        ));
    }
    if all {
        printer.note(
            "left out: what measures times, which needs a quiet machine\nhint: cargo dev bench",
        );
    } else {
        printer.note(
            "left out: the tests that take long (Docker, the production image, many edits and builds)\nhint: cargo dev test --all",
        );
    }
}
