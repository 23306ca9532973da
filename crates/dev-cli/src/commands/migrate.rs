use std::process::ExitCode;

use clap::Subcommand;
use dev_env::engines::Engine;
use dev_env::service::migrations;
use dev_env::verbs::schema::{self, Change};

use crate::context::{Context, Interrupted};
use crate::printer::Lines;

/// The database's schema: reversible migrations, as the code has them.
///
/// Where the database does not run it is started for the moment. Before anything goes back, a copy of the database is kept
/// in data/backups.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  cargo dev migrate status
  cargo dev migrate up --dry-run
  cargo dev migrate new \"add a mood to entries\"
  cargo dev migrate down")]
pub(crate) enum Migrate {
    /// Apply every pending migration
    #[command(after_help = "Examples:\n  cargo dev migrate up\n  cargo dev migrate up --dry-run")]
    Up {
        /// Print the SQL that would run, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Confirm without asking
        #[arg(long)]
        yes: bool,
    },
    /// Revert the newest migrations; automatic migration pauses until a file changes or `migrate up` is typed
    #[command(after_help = "Examples:\n  cargo dev migrate down\n  cargo dev migrate down 2")]
    Down {
        /// How many
        #[arg(default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        count: u32,
        /// Confirm without asking
        #[arg(long)]
        yes: bool,
    },
    /// Migrate up or down to a version; 0 reverts all migrations, and asks for confirmation
    #[command(
        after_help = "Examples:\n  cargo dev migrate to 20251124000000\n  cargo dev migrate to 0 --yes"
    )]
    To {
        /// The version that is the newest one afterwards
        #[arg(value_parser = clap::value_parser!(i64).range(0..))]
        version: i64,
        /// Confirm without asking
        #[arg(long)]
        yes: bool,
    },
    /// How each migration stands
    #[command(after_help = "Examples:\n  cargo dev migrate status --json")]
    Status {
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Make the two files of a migration
    #[command(after_help = "Examples:\n  cargo dev migrate new \"add a mood to entries\"")]
    New {
        /// What it does, in a sentence
        #[arg(required = true)]
        description: Vec<String>,
    },
    /// Fail when an applied migration was edited, or is missing from the code
    #[command(after_help = "Examples:\n  cargo dev migrate verify")]
    Verify,
}

impl Migrate {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let printer = &context.printer;
        let (change, engine) = match self {
            Self::Up {
                dry_run: false,
                yes,
            } => (
                Change::Up { dry_run: false },
                context.engine_to_change("migrate up", yes).await?,
            ),
            Self::Up { dry_run: true, .. } => (
                Change::Up { dry_run: true },
                context.engine_to_read().await?,
            ),
            Self::Down { count, yes } => (
                Change::Down { count },
                context
                    .engine_to_change(&format!("migrate down {count}"), yes)
                    .await?,
            ),
            Self::To { version, yes } => {
                let engine = context
                    .engine_to_change(&format!("migrate to {version}"), yes)
                    .await?;
                if version == 0 && !yes {
                    agree_to_revert_everything(context, &engine).await?;
                }
                (Change::To { version }, engine)
            }
            Self::Status { json } => (Change::Status { json }, context.engine_to_read().await?),
            Self::Verify => (Change::Verify, context.engine_to_read().await?),
            Self::New { description } => return new(context, &description.join(" ")),
        };
        let events = printer.events(Lines::Build);
        let changed = schema::change(
            &engine,
            change,
            printer.has_colour(),
            &events,
            &context.stop,
        )
        .await?;
        let printed = changed.ok_or(Interrupted)?;
        printer.finish();
        for line in printed.stdout.lines() {
            printer.data(line)?;
        }
        if printed.succeeded {
            printed.stderr.lines().for_each(|line| printer.note(line));
            return Ok(ExitCode::SUCCESS);
        }
        let said = printed.stderr.trim();
        printer.error(
            said.strip_prefix("error: ")
                .or_else(|| said.strip_prefix("Error: "))
                .unwrap_or(said),
        );
        Ok(ExitCode::FAILURE)
    }
}

async fn agree_to_revert_everything(context: &Context, engine: &Engine) -> anyhow::Result<()> {
    let (url, _) = context.or_stop(engine.url()).await?;
    let url = url.masked();
    if context
        .is_agreed(&format!(
            "migrate to 0 drops every table of the application in {url}, after a copy is written to data/backups; continue?"
        ))
        .await?
    {
        return Ok(());
    }
    anyhow::bail!(
        "migrate to 0 drops every table of the application in {url}, and was not confirmed; nothing was changed\nhint: cargo dev migrate to 0 --yes"
    )
}

fn new(context: &Context, description: &str) -> anyhow::Result<ExitCode> {
    for path in migrations::create(&context.checkout()?, description)? {
        context.printer.data(&path.display().to_string())?;
    }
    context
        .printer
        .note("both files are empty: write what undoes the change into the second, then the change into the first, then: cargo dev migrate up\na running `cargo dev up` applies it by itself as soon as something is written into the first");
    Ok(ExitCode::SUCCESS)
}
