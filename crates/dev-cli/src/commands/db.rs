use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use dev_env::engine::Engine;
use dev_env::process::on_terminal;
use dev_env::{seed, sql_script};
use secrecy::ExposeSecret;

use crate::context::{Context, Interrupted};
use crate::printer::Lines;

/// The development database.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  cargo dev db shell
  cargo dev db shell -c 'SELECT count(*) FROM users'
  cargo dev db seed")]
pub(crate) enum Db {
    /// psql, as the database's owner
    #[command(
        after_help = "Examples:\n  cargo dev db shell\n  cargo dev db shell -c '\\dt'\n  cargo dev db shell -f some.sql\n  cargo dev db shell < some.sql"
    )]
    Shell {
        /// Run this, print the result, end
        #[arg(long, short, value_name = "SQL")]
        command: Option<String>,
        /// Run the SQL in this file, without psqlrc, and stop at the first error (also for standard input)
        #[arg(long, short, value_name = "FILE", conflicts_with = "command")]
        file: Option<PathBuf>,
    },
    /// The owner's URL, password included
    #[command(after_help = "Examples:\n  DATABASE_URL=\"$(cargo dev db url)\" ./report")]
    Url,
    /// Demonstration data: an account with thirty entries; again does no harm
    #[command(after_help = "Examples:\n  cargo dev db seed")]
    Seed {
        /// Confirm without asking
        #[arg(long)]
        yes: bool,
    },
    /// Give the database another password, and .env; works without the old one
    #[command(
        after_help = "Examples:\n  cargo dev db password\n  cargo dev db password --stdin < the-new-one"
    )]
    Password {
        /// Read the new one from standard input, where no list of processes shows it [default: one that is made up]
        #[arg(long)]
        stdin: bool,
    },
}

impl Db {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        match self {
            Self::Shell { command, file } => shell(context, command, file).await,
            Self::Url => url(context).await,
            Self::Seed { yes } => seed(context, yes).await,
            Self::Password { stdin } => password(context, stdin).await,
        }
    }
}

async fn shell(
    context: &Context,
    command: Option<String>,
    file: Option<PathBuf>,
) -> anyhow::Result<ExitCode> {
    let (engine, events) = (
        context.engine_to_read().await?,
        context.printer.events(Lines::Build),
    );
    let session = context
        .or_stop(engine.session("cargo dev db shell", &events))
        .await?;
    context.printer.finish();
    if command.is_none() && (file.is_some() || !std::io::stdin().is_terminal()) {
        let ran = sql_script::run(&session, file.as_deref()).await;
        session.end().await?;
        context.printer.note(&format!("{} statements ran", ran?));
        return Ok(ExitCode::SUCCESS);
    }
    let outcome = match context.or_stop(session.psql()).await {
        Ok(psql) => {
            let psql = command.iter().fold(psql, |psql, sql| {
                psql.args(["-X", "-v", "ON_ERROR_STOP=1", "-c", sql])
            });
            on_terminal(psql).await.map_err(anyhow::Error::from)
        }
        Err(error) => Err(error),
    };
    session.end().await?;
    Ok(if outcome?.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn url(context: &Context) -> anyhow::Result<ExitCode> {
    let (url, runs) = context.or_stop(context.engine().await?.url()).await?;
    context.printer.data(url.to_secret().expose_secret())?;
    if !runs {
        context
            .printer
            .note("nothing answers there now: cargo dev up");
    }
    Ok(ExitCode::SUCCESS)
}

async fn seed(context: &Context, yes: bool) -> anyhow::Result<ExitCode> {
    let engine = context.engine_to_change("db seed", yes).await?;
    let environment = context.environment().await?;
    let events = context.printer.events(Lines::Build);
    let entries = context
        .or_stop(seed::seed(&environment, &engine, &events))
        .await?;
    context.printer.finish();
    context.printer.data(&format!(
        "{} with the password {} has {entries} entries",
        seed::EMAIL,
        seed::PASSWORD
    ))?;
    Ok(ExitCode::SUCCESS)
}

async fn password(context: &Context, stdin: bool) -> anyhow::Result<ExitCode> {
    let events = context.printer.events(Lines::Build);
    let new = if stdin {
        events.phase("waiting for a password on standard input");
        Some(
            context
                .or_stop(async { Ok(read_password().await) })
                .await??,
        )
    } else {
        None
    };
    let file = context
        .engine()
        .await?
        .change_password(new, &events, &context.stop)
        .await?
        .ok_or(Interrupted)?;
    context.printer.finish();
    context.printer.note(&format!(
        "the database has a new password, and {} says it",
        file.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// The first line of standard input, without its end.
async fn read_password() -> anyhow::Result<String> {
    if std::io::stdin().is_terminal() {
        anyhow::bail!(
            "a password typed here would stay readable on the terminal\npipe it in: cargo dev db password --stdin < the-new-one\nor let one be made up: cargo dev db password"
        );
    }
    let line = tokio::task::spawn_blocking(|| std::io::stdin().lines().next()).await?;
    match line.transpose()? {
        Some(line) if !line.is_empty() => Ok(line),
        _ => anyhow::bail!(
            "there is no password on standard input\nlet one be made up: cargo dev db password"
        ),
    }
}
