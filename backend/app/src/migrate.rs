//! `emotionviz migrate …`: the schema, from the command line.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Subcommand;
use emotionviz_db::migrate::{self, Adoption, Cause, Entry, State, Status, Step, To, Up};
use emotionviz_settings::{Database, Values};
use sqlx::PgConnection;

/// Longer than a restart of PostgreSQL, shorter than anybody's patience.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// What to do with the schema.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Apply every pending migration.
    Up {
        /// Say what would be applied, with its SQL, and change nothing.
        #[arg(long)]
        dry_run: bool,
        /// Do nothing while automatic migration is paused (after `down`).
        #[arg(long, conflicts_with = "dry_run")]
        auto: bool,
    },
    /// Revert the newest migrations, and pause automatic migration.
    Down {
        /// How many.
        #[arg(default_value_t = 1)]
        count: usize,
    },
    /// Go up or down to a version; 0 reverts everything.
    To {
        /// The version that is the newest one afterwards.
        version: i64,
    },
    /// Each migration: applied, pending, empty (not written yet), edited or missing. Exit status 1 when one was edited after it was applied, or is missing.
    Status {
        /// One JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Exit status 1 when an applied migration was edited, or is missing from this code.
    Verify,
}

/// Runs the command.
pub async fn run(command: Command, values: &Values) -> anyhow::Result<ExitCode> {
    let database = Database::from_values(values)?;
    // While `cargo dev` stops writers, this session may write. `cargo dev` recognises it by its name.
    let options = emotionviz_db::pool::connect_options(&database.migration_url)
        .application_name("emotionviz migrate")
        .options([("default_transaction_read_only", "off")]);
    let mut conn = tokio::time::timeout(CONNECT_TIMEOUT, migrate::connect(&options))
        .await
        .with_context(|| {
            format!(
                "{} did not answer within {} s",
                database.migration_url.masked(),
                CONNECT_TIMEOUT.as_secs()
            )
        })?
        .map_err(|error| {
            anyhow::anyhow!(
                "{} cannot be reached: {error}",
                database.migration_url.masked()
            )
        })?;
    match command {
        Command::Up { dry_run: true, .. } => dry_run(&mut conn).await?,
        Command::Up { auto, .. } => print_up(
            migrate::up(
                &mut conn,
                if auto { Cause::Automatic } else { Cause::Asked },
            )
            .await?,
        ),
        Command::Down { count } => print_reverted(&migrate::down(&mut conn, count).await?),
        Command::To { version } => match migrate::to(&mut conn, version).await? {
            To::Up(done) => print_up(done),
            To::Down(steps) => print_reverted(&steps),
        },
        Command::Status { json } => {
            let status = migrate::status(&mut conn).await?;
            if json {
                println!("{}", serde_json::to_string_pretty(&status)?);
            } else {
                print_status(&status);
            }
            return Ok(damage(&status));
        }
        Command::Verify => {
            let status = migrate::status(&mut conn).await?;
            let code = damage(&status);
            if code == ExitCode::SUCCESS {
                println!("every applied migration is as it was when it was applied");
            }
            status.empty().for_each(|entry| println!("{}", left(entry)));
            return Ok(code);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn dry_run(conn: &mut PgConnection) -> anyhow::Result<()> {
    let pending = migrate::pending(conn).await?;
    for (version, description, sql) in &pending {
        println!("-- {version} {description}\n{}\n", sql.trim_end());
    }
    for entry in migrate::status(conn).await?.empty() {
        println!("-- {}", left(entry));
    }
    println!(
        "-- {} would be applied; nothing was changed",
        count(pending.len())
    );
    Ok(())
}

/// What `--auto` and `status` say after a `down` or `to`.
const PAUSED: &str =
    "automatic migration is paused since `migrate down` or `to`; `migrate up` ends the pause";

fn print_up(done: Up) {
    match done {
        Up::Paused => println!("{PAUSED}"),
        Up::Applied {
            steps,
            empty,
            adoption,
        } => {
            print_steps("applied", &steps);
            if steps.is_empty() {
                println!("the schema is up to date");
            }
            empty.iter().for_each(|entry| println!("{}", left(entry)));
            adoption.iter().for_each(print_adoption);
        }
    }
}

fn left(entry: &Entry) -> String {
    format!(
        "{} {} is empty: it is applied when something is written into it",
        entry.version, entry.description
    )
}

fn count(n: usize) -> String {
    format!("{n} migration{}", if n == 1 { "" } else { "s" })
}

fn print_reverted(steps: &[Step]) {
    print_steps("reverted", steps);
    if steps.is_empty() {
        println!("there is nothing to revert");
    } else {
        println!(
            "automatic migration is paused until a migration file changes or `migrate up` is typed"
        );
    }
}

fn print_steps(done: &str, steps: &[Step]) {
    for step in steps {
        println!(
            "{done} {} {} ({} ms)",
            step.version,
            step.description,
            step.took.as_millis()
        );
    }
}

fn print_status(status: &Status) {
    for entry in &status.entries {
        let state = match entry.state {
            State::Applied => "applied",
            State::Pending => "pending",
            State::Empty => "empty",
            State::Edited => "EDITED",
            State::Missing => "MISSING",
        };
        let at = entry
            .applied_at
            .map(|at| at.format("  %Y-%m-%d %H:%M:%SZ").to_string())
            .unwrap_or_default();
        println!("{state:8} {}  {}{at}", entry.version, entry.description);
    }
    if status.paused {
        println!("{PAUSED}");
    }
}

/// Says on standard error what is not as it was applied.
fn damage(status: &Status) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for entry in status.damaged() {
        code = ExitCode::FAILURE;
        let (version, description) = (entry.version, &entry.description);
        if entry.state == State::Edited {
            eprintln!(
                "{version} ({description}) was edited after it was applied: put the file back, or revert it (migrate down) and apply it again"
            );
        } else {
            eprintln!(
                "{version} ({description}) is applied, and this code has no such migration: it was deleted, or newer code applied it"
            );
        }
    }
    code
}

fn print_adoption(adoption: &Adoption) {
    println!(
        "adopted a database of the Python backend: {} users, {} entries, {} visualizations, {} intake sessions; every row was kept",
        adoption.users, adoption.entries, adoption.visualizations, adoption.intake_sessions
    );
    let odd = [
        (
            adoption.colliding_addresses,
            "accounts whose address differs from another account's only in spelling; they log in with the exact spelling",
        ),
        (
            adoption.undated,
            "rows without a time of creation; they have that of their last change, or of now",
        ),
        (
            adoption.odd_intensity,
            "entries with an intensity outside 0..1",
        ),
        (
            adoption.odd_emotion_count,
            "entries without an emotion, or with more than ten",
        ),
        (
            adoption.unknown_emotions,
            "entries with an emotion that is not known",
        ),
        (
            adoption.odd_text,
            "entries with an empty text, or one that is longer than is allowed now",
        ),
        (
            adoption.odd_kind,
            "rows whose source, status or style is not known now",
        ),
    ];
    for (rows, what) in odd.iter().filter(|(rows, _)| *rows > 0) {
        println!("  {what}: {rows}");
    }
}
