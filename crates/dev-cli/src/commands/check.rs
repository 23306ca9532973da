use std::process::ExitCode;

use clap::Args;
use dev_env::verbs::checks::{self, Outcome};

use crate::context::{Context, Interrupted};
use crate::printer::Lines;

/// Check the format, the lints and the dependencies
///
/// The checks of dependencies cover licences, sources, bans and security advisories.
/// CI runs this command before the tests.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo dev check
  cargo fmt --all && cargo dev check")]
pub(crate) struct Check {}

impl Check {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let checkout = context.checkout()?;
        let events = context.printer.events(Lines::Build);
        let mut outcomes = Vec::new();
        for check in checks::ALL {
            let outcome = match context.or_stop(check.obstacle(&checkout, &events)).await? {
                Some(obstacle) => obstacle,
                None => check.run(&checkout).await?,
            };
            outcomes.push((check.name, outcome));
            if context.stop.is_requested() {
                return Err(Interrupted.into());
            }
        }
        let mut code = ExitCode::SUCCESS;
        for (name, outcome) in outcomes {
            let words = match outcome {
                Outcome::Passed => "passed".to_owned(),
                Outcome::Unreachable => {
                    "not checked: the database of advisories cannot be reached".to_owned()
                }
                Outcome::Failed => "FAILED".to_owned(),
                Outcome::Missing { install } => {
                    format!("FAILED: a tool is missing; install it: {install}")
                }
            };
            // What was not looked at is not known to be good.
            if matches!(outcome, Outcome::Failed | Outcome::Missing { .. }) {
                code = ExitCode::FAILURE;
            }
            context.printer.data(&format!("{name:24} {words}"))?;
        }
        Ok(code)
    }
}
