use std::process::ExitCode;

use clap::Subcommand;
use dev_env::engines::Engine;
use dev_env::service::migrations;
use dev_env::verbs::schema::{self, Change};

use crate::context::{Context, Interrupted};
use crate::printer::Lines;

/// Show or change the schema of the database
///
/// Starts the database on demand if it does not run.
/// Before a migration is reverted, a copy of the database is written to data/backups.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  cargo dev migrate status
  cargo dev migrate up --dry-run
  cargo dev migrate new \"add a mood to entries\"
  cargo dev migrate down")]
pub(crate) enum Migrate {
    /// Apply all pending migrations
    #[command(after_help = "Examples:\n  cargo dev migrate up\n  cargo dev migrate up --dry-run")]
    Up {
        /// Print the SQL and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Use a database that you run yourself (DATABASE_URL) without asking for confirmation
        #[arg(long)]
        yes: bool,
    },
    /// Revert the newest migrations, after a copy of the database is written
    ///
    /// Automatic migration is then paused until a migration file changes or `cargo dev migrate up` runs.
    #[command(after_help = "Examples:\n  cargo dev migrate down\n  cargo dev migrate down 2")]
    Down {
        /// Revert this many migrations
        #[arg(default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        count: u32,
        /// Use a database that you run yourself (DATABASE_URL) without asking for confirmation
        #[arg(long)]
        yes: bool,
    },
    /// Apply or revert migrations until VERSION is the newest
    ///
    /// Version 0 reverts all migrations, and asks for confirmation.
    /// Before a migration is reverted, a copy of the database is written to data/backups.
    #[command(
        after_help = "Examples:\n  cargo dev migrate to 20251124000000\n  cargo dev migrate to 0 --yes"
    )]
    To {
        /// Make this version the newest one (see `cargo dev migrate status`)
        #[arg(value_parser = clap::value_parser!(i64).range(0..))]
        version: i64,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
    /// Print the state of each migration
    #[command(
        after_help = "Examples:\n  cargo dev migrate status\n  cargo dev migrate status --json"
    )]
    Status {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Create the two files of a migration, up and down
    #[command(after_help = "Examples:\n  cargo dev migrate new \"add a mood to entries\"")]
    New {
        /// Describe the migration in a sentence, which becomes part of the file names
        #[arg(required = true)]
        description: Vec<String>,
    },
    /// Fail if an applied migration was edited or is missing from the code
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
        .note("both files are empty; write the SQL that reverts the change (.down.sql) first, then the change itself (.up.sql)\na running `cargo dev up` applies the migration when the .up.sql file is saved; else run: cargo dev migrate up");
    Ok(ExitCode::SUCCESS)
}
