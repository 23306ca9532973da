use std::process::ExitCode;

use clap::Args;
use dev_env::detached::{self, Reporter};
use dev_env::engine::{self, Engine, UpOptions};

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
  API_PORT=8001 cargo dev up")]
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
    /// The background's side of --detach
    #[arg(long, hide = true)]
    background: bool,
}

impl Up {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let printer = &context.printer;
        if self.tools {
            printer.warn("Adminer needs Docker, and this environment runs without it\nlook into the database: cargo dev db shell");
        }
        let up = if self.background {
            let outcome = self.start(context, &Reporter::events()).await;
            Reporter::ended(&outcome);
            return Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        } else if self.detach {
            let args = [
                ("up", true),
                ("--background", true),
                ("--lan", self.lan),
                ("--no-migrate", self.no_migrate),
                ("--no-reload", self.no_reload),
            ];
            let args: Vec<&str> = args.into_iter().filter_map(|(arg, given)| given.then_some(arg)).collect();
            detached::start(&context.checkout()?, &args, &printer.events(Lines::Build), &context.stop).await?
        } else {
            self.start(context, &printer.events(Lines::All)).await?
        };
        printer.finish();
        match up {
            engine::Up::Stopped if self.detach => return Err(Interrupted.into()),
            engine::Up::Stopped => printer.note("everything is stopped"),
            engine::Up::Background { pid } => {
                printer.note(&format!("it runs in the background (pid {pid}): cargo dev logs -f, cargo dev down"))
            }
            engine::Up::Already { pid, doing, addresses } => {
                let doing = doing.map(|doing| format!(", and is {doing}")).unwrap_or_default();
                printer.note(&format!("it runs already (pid {pid}{doing}): cargo dev logs -f, cargo dev down"));
                printer.addresses(&addresses);
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn start(&self, context: &Context, events: &dev_env::events::Events) -> Result<engine::Up, dev_env::Error> {
        let options = UpOptions { migrate: !self.no_migrate, reload: !self.no_reload, lan: self.lan, colour: context.printer.has_colour() };
        context.engine()?.up(options, events, &context.stop).await
    }
}
