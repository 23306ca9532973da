use std::process::ExitCode;

use clap::Args;
use dev_env::report::up::{self, UpOptions};
use dev_env::supervisor::detached::Reporter;

use crate::context::{Context, Interrupted};
use crate::printer::Lines;

/// Start the database and the API, and print their addresses when the API is ready
///
/// Generates missing secrets into .env, starts PostgreSQL, builds the service, applies migrations, and starts the API.
/// In the foreground, the logs of all services follow, and Ctrl-C stops the services in order.
///
/// Saved code, migrations and settings go live without a lost request.
/// If new code does not compile or does not become ready, the running process stays.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo dev up                 in the foreground, with logs
  cargo dev up --detach        in the background; then: cargo dev logs -f, cargo dev down
  cargo dev up --lan           with a QR code for a phone
  API_PORT=8001 cargo dev up
  DATABASE_URL=postgres://me:secret@host/db cargo dev up --yes    with a database that you run yourself")]
pub(crate) struct Up {
    /// Run in the background, and return when the API is ready
    #[arg(long, short)]
    detach: bool,
    /// Also start Adminer, a web page for the database (docker engine only)
    #[arg(long)]
    tools: bool,
    /// Let devices in the local network reach the API, but not the database, and print its address as a QR code
    #[arg(long)]
    lan: bool,
    /// Do not apply migrations; apply them with `cargo dev migrate up`
    #[arg(long)]
    no_migrate: bool,
    /// Do not reload saved code and settings; apply them with `cargo dev restart`
    #[arg(long)]
    no_reload: bool,
    /// Use a database that you run yourself (DATABASE_URL) without asking for confirmation
    #[arg(long)]
    yes: bool,
    /// Run as the background process of --detach
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
                    "the environment runs in the background{}: cargo dev logs -f, cargo dev down",
                    in_brackets(pid, None)
                ));
            }
            up::Up::Already {
                pid,
                doing,
                addresses,
            } => {
                printer.note(&format!(
                    "the environment already runs{}: cargo dev logs -f, cargo dev down",
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
