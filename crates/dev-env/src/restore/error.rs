//! Why a copy of the database was not restored.

use std::io::Error;
use std::path::PathBuf;

use crate::backup::disk::megabytes;
use crate::error::indented;

/// Why a copy of the database was not restored. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There is neither a file nor a kept database of this name.
    #[error("there is neither a file nor a kept database named {name}. Nothing was changed\nhint: {}", kept_databases(kept))]
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
    /// The copy does not come.
    #[error(
        "{copy} sent nothing for {seconds} s. Nothing was changed\nhint: check the command that writes to it, or restore a file: cargo dev restore <FILE>"
    )]
    Silent {
        /// The copy.
        copy: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// Standard input is a terminal.
    #[error("standard input is a terminal. Nothing was changed\nhint: cargo dev restore - < backup.sql")]
    Terminal,
    /// The disk is too small for what a copy unpacks to.
    #[error(
        "the disk of {} (mounted at {}) is full: {copy} is unpacked there, {} were written, and {} are free. Nothing was changed\n\
         hint: remove something from that disk, then restore again",
        folder.display(),
        mount.display(),
        megabytes(*written),
        megabytes(*free)
    )]
    DiskFull {
        /// The copy.
        copy: String,
        /// Where it is unpacked.
        folder: PathBuf,
        /// Where the disk is mounted.
        mount: PathBuf,
        /// Bytes that were written.
        written: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The copy has a format that is not a dump's.
    #[error("{copy} is {what}, not a dump of a PostgreSQL database. Nothing was changed\nhint: {hint}")]
    Format {
        /// The copy.
        copy: String,
        /// What it is.
        what: String,
        /// What to type.
        hint: String,
    },
    /// The copy does not fit its checksum.
    #[error(
        "{copy} is damaged: it does not fit the checksum beside it. Nothing was changed\nhint: restore another copy: ls -t data/backups"
    )]
    Damaged {
        /// The copy.
        copy: String,
    },
    /// The checksum is from before the copy was changed.
    #[error(
        "{copy} does not fit its checksum, which is older than the file: the file was replaced or changed after its checksum was written. Nothing was changed\n\
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
        "{copy} cannot be restored: PostgreSQL refused a statement of it. Nothing was changed\n{}\nhint: {}",
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
        "{copy} was made by pg_dump of PostgreSQL {needed} or newer, and the newest pg_restore here is of PostgreSQL {newest}. Nothing was changed\n\
         hint: install the programs of PostgreSQL {needed}, or make SQL of the copy where they are: pg_restore --no-owner --file=backup.sql '{copy}', or make another one: pg_dump --format=plain --file=backup.sql <DATABASE>"
    )]
    NewerArchive {
        /// The copy.
        copy: String,
        /// The oldest major that reads it.
        needed: u32,
        /// The newest version that is here.
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
        "{copy} has rows and no tables: it was made with --data-only. Nothing was changed\nhint: make it without that option: pg_dump --file=backup.sql <DATABASE>"
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
    /// The restored schema is not one that migrations make.
    #[error("{copy} cannot be restored: its schema is not the one that the migrations make, it lacks\n{}\nNothing was changed\nhint: make the copy of the whole database: pg_dump --file=backup.sql <DATABASE>", indented(&missing.join("\n")))]
    Schema {
        /// The copy.
        copy: String,
        /// What is missing.
        missing: Vec<String>,
    },
    /// The migrations cannot be applied to what the copy holds.
    #[error(
        "{copy} cannot be restored: the migrations that it lacks cannot be applied to it. Nothing was changed\n{}\nhint: restore it with the code that it was made with: git switch <BRANCH>",
        indented(reason)
    )]
    Migrations {
        /// The copy.
        copy: String,
        /// What the service's `migrate` printed.
        reason: String,
    },
}

/// Why the SQL of a copy is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It cannot be read.
    #[error("it could not be read: {0}")]
    Read(Error),
    /// It cannot be passed on: psql has ended.
    #[error("it could not be passed to psql: {0}")]
    Write(Error),
    /// It is not a text.
    #[error("line {line} holds a zero byte, which no dump has")]
    Binary {
        /// The line.
        line: u64,
    },
    /// A command of psql.
    #[error("line {line} is a command of psql, which is not run from a file: {text}")]
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
    /// The end is missing.
    #[error("it is cut off: {what}")]
    CutOff {
        /// How that is known.
        what: String,
    },
    /// There is nothing in it.
    #[error("it has no statement: it is empty, or holds comments alone")]
    Empty,
    /// `pg_dumpall` has made it.
    #[error("it is the output of pg_dumpall, which holds all databases and roles of a server")]
    Cluster,
}

impl RestoreError {
    /// Whether the SQL ends too early.
    pub(super) fn is_cut_off(&self) -> bool {
        matches!(self, Self::Refused { refusal: Refusal::CutOff { .. } | Refusal::Empty, .. })
    }
}

impl Refusal {
    fn hint(&self) -> &'static str {
        match self {
            Self::Command { .. } | Self::Statement { .. } => {
                "remove that statement from the file, or make the copy with pg_dump: pg_dump --file=backup.sql <DATABASE>"
            }
            Self::Cluster => "make a copy of the one database: pg_dump --file=backup.sql <DATABASE>",
            Self::Read(_) | Self::Write(_) => "restore another copy: ls -t data/backups",
            Self::Binary { .. } | Self::CutOff { .. } | Self::Empty => {
                "make the copy again, and let it end: pg_dump --file=backup.sql <DATABASE>"
            }
        }
    }
}

fn statement_hint(reason: &str) -> &'static str {
    if reason.contains("permission denied") || reason.contains("must be superuser") || reason.contains("must be owner") {
        "a file is read without the rights of a superuser: remove that statement, or make the copy with cargo dev backup"
    } else {
        "make the copy again with pg_dump, or mend that line"
    }
}

fn kept_databases(kept: &[String]) -> String {
    if kept.is_empty() {
        return "see which copies there are: ls -t data/backups".to_owned();
    }
    format!("see which copies there are: ls -t data/backups; kept databases are {}", kept.join(", "))
}

fn list(names: &[String]) -> String {
    const MOST: usize = 8;
    match names.len() {
        0 => "none".to_owned(),
        n if n > MOST => format!("{} and {} more", names[..MOST].join(", "), n - MOST),
        _ => names.join(", "),
    }
}
