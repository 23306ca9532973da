//! Why a copy of the database was not restored.

use std::io::Error;
use std::path::PathBuf;

use crate::project::error::indented;
use process::disk::megabytes;

/// Why a copy of the database was not restored. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There is neither a file nor a kept database of this name.
    #[error(
        "there is neither a file nor a kept database named {name}. Nothing was changed\nhint: {}",
        kept_databases(kept)
    )]
    NotFound {
        /// The name.
        name: String,
        /// The kept databases.
        kept: Vec<String>,
    },
    /// The copy cannot be read.
    #[error(
        "{copy} could not be read: {source}. Nothing was changed\nhint: make the copy again, or restore another one: ls -t data/backups"
    )]
    Read {
        /// The copy.
        copy: String,
        /// What the system returned.
        source: Error,
    },
    /// The pipe sends nothing.
    #[error(
        "{copy} sent nothing for {seconds} s. Nothing was changed\nhint: check the command that writes to it, or restore a file: cargo dev restore <FILE>"
    )]
    Silent {
        /// The copy.
        copy: String,
        /// How long the command waited.
        seconds: u64,
    },
    /// Standard input is a terminal.
    #[error(
        "standard input is a terminal. Nothing was changed\nhint: cargo dev restore - < backup.sql"
    )]
    Terminal,
    /// The disk is too small for the unpacked copy.
    #[error(
        "the disk of {} (mounted at {}) is full: {copy} is unpacked there, {} were written, and {} are free. Nothing was changed\n\
         hint: free space on that disk, then restore again",
        folder.display(),
        mount.display(),
        megabytes(*written),
        megabytes(*free)
    )]
    DiskFull {
        /// The copy.
        copy: String,
        /// The folder in which it is unpacked.
        folder: PathBuf,
        /// Where the disk is mounted.
        mount: PathBuf,
        /// Bytes that were written.
        written: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The format of the copy is not a dump format.
    #[error(
        "{copy} is {what}, not a dump of a PostgreSQL database. Nothing was changed\nhint: {hint}"
    )]
    Format {
        /// The copy.
        copy: String,
        /// What it is.
        what: String,
        /// The hint.
        hint: String,
    },
    /// The copy does not match its checksum.
    #[error(
        "{copy} is damaged: it does not match the checksum next to it. Nothing was changed\nhint: restore another copy: ls -t data/backups"
    )]
    Damaged {
        /// The copy.
        copy: String,
    },
    /// The checksum is from before the copy was changed.
    #[error(
        "{copy} does not match its checksum: the file was replaced or changed after the checksum was written. Nothing was changed\n\
         hint: if the file was replaced on purpose, restore it without the checksum: rm '{copy}.sha256'"
    )]
    OlderChecksum {
        /// The copy.
        copy: String,
    },
    /// The SQL of the copy is refused.
    #[error("{copy} cannot be restored: {refusal}. Nothing was changed\nhint: {}", refusal.hint())]
    Refused {
        /// The copy.
        copy: String,
        /// Why.
        refusal: Refusal,
    },
    /// PostgreSQL refused a statement.
    #[error(
        "{copy} cannot be restored: PostgreSQL refused a statement in it. Nothing was changed\n{}\nhint: {}",
        indented(reason),
        statement_hint(reason)
    )]
    Statement {
        /// The copy.
        copy: String,
        /// What psql printed.
        reason: String,
    },
    /// `pg_restore` cannot read the archive.
    #[error(
        "{copy} cannot be restored: pg_restore could not read the archive, which is damaged or incomplete. Nothing was changed\n{}\nhint: restore another copy: ls -t data/backups",
        indented(reason)
    )]
    Archive {
        /// The copy.
        copy: String,
        /// What `pg_restore` printed.
        reason: String,
    },
    /// The archive is newer than every `pg_restore` here.
    #[error(
        "{copy} was written by pg_dump of PostgreSQL {needed} or newer, and the newest pg_restore here is version {newest}. Nothing was changed\n\
         hint: install the programs of PostgreSQL {needed}, or convert the copy to SQL where they are installed: pg_restore --no-owner --file=backup.sql '{copy}', or write a plain dump: pg_dump --format=plain --file=backup.sql <DATABASE>"
    )]
    NewerArchive {
        /// The copy.
        copy: String,
        /// The oldest major version that reads it.
        needed: u32,
        /// The newest installed version.
        newest: String,
    },
    /// The copy has code that would run with the rights of the database's owner.
    #[error(
        "{copy} cannot be restored: it has code that would run with the rights of the database's owner\n{}\nNothing was changed\nhint: remove it from the file, or from the database that the file was made of, and restore again",
        indented(&found.join("\n"))
    )]
    Code {
        /// The copy.
        copy: String,
        /// The code.
        found: Vec<String>,
    },
    /// psql could run commands that are hidden in the copy.
    #[error(
        "{copy} was not made by this checkout, and psql {version} cannot read it safely: \\restrict came with PostgreSQL 13.22, 14.19, 15.14, 16.10, 17.6 and 18. Nothing was changed\nhint: {hint}"
    )]
    OldPsql {
        /// The copy.
        copy: String,
        /// The version of psql.
        version: String,
        /// What to type.
        hint: &'static str,
    },
    /// The copy has rows and no tables.
    #[error(
        "{copy} has rows but no tables: it was written with --data-only. Nothing was changed\nhint: dump the database without that option: pg_dump --file=backup.sql <DATABASE>"
    )]
    DataOnly {
        /// The copy.
        copy: String,
    },
    /// The copy is of another project.
    #[error(
        "{copy} has no tables of this application: it lacks {}, and has {}. Nothing was changed\nhint: restore a copy of this application's database",
        list(missing),
        list(found)
    )]
    Foreign {
        /// The copy.
        copy: String,
        /// The tables of this application.
        missing: Vec<String>,
        /// The tables that it has.
        found: Vec<String>,
    },
    /// The copy lacks some tables of this application.
    #[error(
        "{copy} lacks tables of this application: {}. Nothing was changed\nhint: make the copy of the whole database: pg_dump --file=backup.sql <DATABASE>",
        list(missing)
    )]
    Incomplete {
        /// The copy.
        copy: String,
        /// The missing tables.
        missing: Vec<String>,
    },
    /// The restored schema differs from the schema of the migrations.
    #[error("{copy} cannot be restored: its schema differs from the schema of the migrations. It lacks\n{}\nNothing was changed\nhint: make the copy of the whole database: pg_dump --file=backup.sql <DATABASE>", indented(&missing.join("\n")))]
    Schema {
        /// The copy.
        copy: String,
        /// What is missing.
        missing: Vec<String>,
    },
    /// The migrations cannot be applied to what the copy holds.
    #[error(
        "{copy} cannot be restored: its missing migrations cannot be applied. Nothing was changed\n{}\nhint: {}",
        indented(reason),
        way_out(reason)
    )]
    Migrations {
        /// The copy.
        copy: String,
        /// What the service's `migrate` printed.
        reason: String,
    },
}

crate::project::error::other_errors!(RestoreError);

/// The service names the statements that mend a database of the Python backend, and a copy takes none.
fn way_out(reason: &str) -> &'static str {
    if reason.contains("cannot be adopted") {
        "load it into an empty database, as a new checkout has one: cargo dev up --no-migrate, then: cargo dev db shell < backup.sql, \
         then in cargo dev db shell the statement above, then: cargo dev migrate up"
    } else {
        "restore it with the code that it was made with: git switch <BRANCH>"
    }
}

/// Why the SQL of a copy is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It cannot be read.
    #[error("it could not be read: {0}")]
    Read(Error),
    /// It cannot be written to psql, which has ended.
    #[error("it could not be passed to psql: {0}")]
    Write(Error),
    /// It is not text.
    #[error("line {line} has a zero byte, which is not valid in a dump")]
    Binary {
        /// The line.
        line: u64,
    },
    /// A command of psql.
    #[error("line {line} is a psql command, which a restore does not run: {text}")]
    Command {
        /// The line.
        line: u64,
        /// The line's text.
        text: String,
    },
    /// A statement that a dump does not have.
    #[error("the statement on line {line} {why}: {text}")]
    Statement {
        /// The line.
        line: u64,
        /// The statement's beginning.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It is truncated.
    #[error("it is truncated: {what}")]
    CutOff {
        /// The evidence.
        what: String,
    },
    /// It has no statements.
    #[error("it has no statements: it is empty, or has only comments")]
    Empty,
    /// `pg_dumpall` wrote it.
    #[error("it is the output of pg_dumpall, which has all databases and roles of a server")]
    Cluster,
}

impl RestoreError {
    /// Returns whether the SQL is truncated.
    pub(super) fn is_cut_off(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                refusal: Refusal::CutOff { .. } | Refusal::Empty,
                ..
            }
        )
    }
}

impl Refusal {
    fn hint(&self) -> &'static str {
        match self {
            Self::Command { .. } | Self::Statement { .. } => {
                "remove that statement from the file, or make the copy with pg_dump: pg_dump --file=backup.sql <DATABASE>"
            }
            Self::Cluster => "dump the single database: pg_dump --file=backup.sql <DATABASE>",
            Self::Read(_) | Self::Write(_) => "restore another copy: ls -t data/backups",
            Self::Binary { .. } | Self::CutOff { .. } | Self::Empty => {
                "dump the database again, without interruption: pg_dump --file=backup.sql <DATABASE>"
            }
        }
    }
}

fn statement_hint(reason: &str) -> &'static str {
    if reason.contains("permission denied")
        || reason.contains("must be superuser")
        || reason.contains("must be owner")
    {
        "a dump, and a copy of a database that was restored from a dump, is loaded without superuser privileges: remove that statement, or the object in the database, and make the copy again"
    } else {
        "dump the database again with pg_dump, or correct that line"
    }
}

fn kept_databases(kept: &[String]) -> String {
    if kept.is_empty() {
        return "list the copies: ls -t data/backups".to_owned();
    }
    format!(
        "list the copies: ls -t data/backups; kept databases: {}",
        kept.join(", ")
    )
}

fn list(names: &[String]) -> String {
    const MOST: usize = 8;
    match names.len() {
        0 => "none".to_owned(),
        n if n > MOST => format!("{} and {} more", names[..MOST].join(", "), n - MOST),
        _ => names.join(", "),
    }
}
