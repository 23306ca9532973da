use std::process::ExitCode;

use clap::Args;
use dev_env::report::up::{self, UpOptions};
use dev_env::supervisor::detached::Reporter;

use crate::context::{Context, Interrupted};
use crate::printer::Lines;

/// Starts the database and the API and prints where they answer, once they do.
///
/// Secrets that nobody set are made and written to .env; migrations are applied; the service is built. In the foreground the
/// logs of all services follow, and Ctrl-C stops everything in order. Code and settings that are changed meanwhile go live by
/// themselves, without a request lost; code that cannot leaves what runs as it is.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo dev up              in the foreground, with logs
  cargo dev up --detach     in the background: cargo dev logs -f, cargo dev down
  API_PORT=8001 cargo dev up
  DATABASE_URL=postgres://me:secret@host/db cargo dev up --yes    on a database that you run yourself")]
pub(crate) struct Up {
    /// Return when everything is ready, and leave it running
    #[arg(long, short)]
    detach: bool,
    /// Adminer too (needs Docker)
    #[arg(long)]
    tools: bool,
    /// Let the local network reach the API (never the database), for a phone
    #[arg(long)]
    lan: bool,
    /// Leave migrations to `cargo dev migrate up`
    #[arg(long)]
    no_migrate: bool,
    /// Leave changed code and settings to `cargo dev restart`
    #[arg(long)]
    no_reload: bool,
    /// Confirm without asking
    #[arg(long)]
    yes: bool,
    /// The background's side of --detach
    #[arg(long, hide = true)]
    background: bool,
}

impl Up {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let printer = &context.printer;
        let up = if self.background {
            let outcome = self.start(context, &Reporter::events()).await;
            Reporter::ended(&outcome);
            return Ok(if outcome.is_ok() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            });
        } else {
            // In the background the logs have their own verb.
            self.start(
                context,
                &printer.events(if self.detach {
                    Lines::Build
                } else {
                    Lines::All
                }),
            )
            .await?
        };
        printer.finish();
        match up {
            up::Up::Interrupted => return Err(Interrupted.into()),
            up::Up::Stopped if self.detach => return Err(Interrupted.into()),
            up::Up::Stopped => printer.note("everything is stopped"),
            up::Up::Background { pid } => {
                printer.note(&format!(
                    "it runs in the background{}: cargo dev logs -f, cargo dev down",
                    in_brackets(pid, None)
                ));
            }
            up::Up::Already {
                pid,
                doing,
                addresses,
            } => {
                printer.note(&format!(
                    "it runs already{}: cargo dev logs -f, cargo dev down",
                    in_brackets(pid, doing)
                ));
                printer.addresses(&addresses);
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn start(
        &self,
        context: &Context,
        events: &dev_env::report::events::Events,
    ) -> anyhow::Result<up::Up> {
        let options = UpOptions {
            migrate: !self.no_migrate,
            reload: !self.no_reload,
            lan: self.lan,
            lan_address: None,
            tools: self.tools,
            detach: self.detach,
            colour: context.printer.has_colour(),
        };
        Ok(context
            .engine_to_change("up", self.yes)
            .await?
            .up(options, events, &context.stop)
            .await?)
    }
}

/// What is known of what runs.
fn in_brackets(pid: Option<u32>, doing: Option<String>) -> String {
    let known = [
        pid.map(|pid| format!("pid {pid}")),
        doing.map(|doing| format!("and is {doing}")),
    ];
    let known: Vec<String> = known.into_iter().flatten().collect();
    if known.is_empty() {
        String::new()
    } else {
        format!(" ({})", known.join(", "))
    }
}
