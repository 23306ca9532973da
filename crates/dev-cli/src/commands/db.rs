use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use dev_env::verbs::{seed, sql_script};
use process::on_terminal;
use secrecy::ExposeSecret;

use crate::context::{Context, Interrupted};
use crate::printer::Lines;

/// Use the development database: shell, URL, demonstration data, password
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  cargo dev db shell
  cargo dev db shell -c 'SELECT count(*) FROM users'
  cargo dev db seed")]
pub(crate) enum Db {
    /// Open psql as the owner of the database, or run SQL
    ///
    /// Starts the database on demand if it does not run.
    #[command(
        after_help = "Examples:\n  cargo dev db shell\n  cargo dev db shell -c '\\dt'\n  cargo dev db shell -f some.sql\n  cargo dev db shell < some.sql"
    )]
    Shell {
        /// Run this SQL, print the result, and exit
        #[arg(long, short, value_name = "SQL")]
        command: Option<String>,
        /// Run the SQL of this file without psqlrc, and stop at the first error; standard input is run the same way
        #[arg(long, short, value_name = "FILE", conflicts_with = "command")]
        file: Option<PathBuf>,
    },
    /// Print the URL of the database's owner, with the password
    #[command(
        after_help = "Examples:\n  cargo dev db url\n  DATABASE_URL=\"$(cargo dev db url)\" ./report"
    )]
    Url,
    /// Add demonstration data: one account with 30 entries
    ///
    /// A second run adds nothing.
    #[command(after_help = "Examples:\n  cargo dev db seed")]
    Seed {
        /// Use a database that you run yourself (DATABASE_URL) without asking for confirmation
        #[arg(long)]
        yes: bool,
    },
    /// Change the password in the database and in the settings file
    ///
    /// The old password is not needed.
    #[command(
        after_help = "Examples:\n  cargo dev db password\n  cargo dev db password --stdin < the-new-one"
    )]
    Password {
        /// Read the new password from standard input, which no process list shows [default: a generated password]
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
            .note("the database does not run\nhint: cargo dev up");
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
        "the database has a new password, which is stored in {}",
        file.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// The first line of standard input, without its end.
async fn read_password() -> anyhow::Result<String> {
    if std::io::stdin().is_terminal() {
        anyhow::bail!(
            "a password that is typed here would stay readable on the terminal\nhint: cargo dev db password --stdin < FILE\nhint: cargo dev db password    generates one"
        );
    }
    let line = tokio::task::spawn_blocking(|| std::io::stdin().lines().next()).await?;
    match line.transpose()? {
        Some(line) if !line.is_empty() => Ok(line),
        _ => anyhow::bail!(
            "there is no password on standard input\nhint: cargo dev db password    generates one"
        ),
    }
}
