//! Why a copy of the database was not written.

use std::io::{Error, ErrorKind};
use std::path::PathBuf;

use process::disk::megabytes;

/// Why a copy of the database was not written.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The target is a folder.
    #[error("--output {} is a folder. Nothing was changed\nhint: cargo dev backup --output '{}'", path.display(), path.join("copy.dump").display())]
    Folder {
        /// The target.
        path: PathBuf,
    },
    /// The target is a socket.
    #[error("--output {} is a socket, which cannot be written to as a file. Nothing was changed\nhint: cargo dev backup --output - | …", path.display())]
    Socket {
        /// The target.
        path: PathBuf,
    },
    /// The path of the checksum is not a file.
    #[error("{} is not a file, but the checksum of the copy is written there. Nothing was changed\nhint: choose another name: cargo dev backup --output <FILE>", path.display())]
    NotAFile {
        /// The path of the checksum.
        path: PathBuf,
    },
    /// Another file exists at the target.
    #[error(
        "{} exists and is {what}. Nothing was changed\nhint: choose another name, or replace it: cargo dev backup --force --output '{}'",
        path.display(),
        asked.display()
    )]
    Exists {
        /// The file.
        path: PathBuf,
        /// The requested path.
        asked: PathBuf,
        /// The description of the file.
        what: &'static str,
    },
    /// The folder of the target does not exist.
    #[error(
        "the folder {} does not exist, and backup creates folders only below {}. Nothing was changed\nhint: mkdir -p '{}'",
        folder.display(),
        data.display(),
        folder.display()
    )]
    NoFolder {
        /// The missing folder.
        folder: PathBuf,
        /// The folder below which folders are created.
        data: PathBuf,
    },
    /// Standard output is a terminal.
    #[error(
        "standard output is a terminal, and the copy is a binary file. Nothing was changed\nhint: cargo dev backup --output - > copy.dump"
    )]
    Terminal,
    /// No process reads from a FIFO.
    #[error("no process opened {} for reading in {seconds} s. Nothing was changed\nhint: start its reader first: cat '{}' > copy.dump", path.display(), path.display())]
    NoReader {
        /// The FIFO.
        path: PathBuf,
        /// How long the command waited.
        seconds: u64,
    },
    /// Another process has locked the folder.
    #[error(
        "another process has locked {}, and the copy could not take its name there for {seconds} s. Nothing was changed\nhint: wait until the other `cargo dev backup` has ended, or see which process it is: lsof '{}'",
        folder.display(),
        folder.display()
    )]
    Locked {
        /// The folder.
        folder: PathBuf,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The disk is full.
    #[error(
        "the disk of {} (mounted at {}) is full: the copy needs {}, {} are free, {} are missing. Nothing was changed\n\
         hint: free space on that disk, or write to another one: cargo dev backup --output <FILE>",
        folder.display(),
        mount.display(),
        megabytes(*needed),
        megabytes(*free),
        megabytes(needed.saturating_sub(*free).max(1))
    )]
    DiskFull {
        /// Where the copy was to be.
        folder: PathBuf,
        /// Where the disk is mounted.
        mount: PathBuf,
        /// The size of the whole copy, in bytes.
        needed: u64,
        /// The free space of the disk, in bytes.
        free: u64,
    },
    /// `pg_dump` failed.
    #[error(
        "the copy of the database {database} to {to} failed: pg_dump could not read the database. Nothing was changed\n{}\nhint: see the log of the database: cargo dev logs db",
        crate::project::error::indented(reason)
    )]
    Dump {
        /// The database.
        database: String,
        /// Where the copy was to go.
        to: String,
        /// What `pg_dump` printed.
        reason: String,
    },
    /// A file could not be used.
    #[error("the copy {} could not be written: {source}. Nothing was changed{}", path.display(), permission(source))]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system returned.
        source: Error,
    },
}

crate::project::error::other_errors!(BackupError);

fn permission(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "\nhint: write it to a folder that you own: cargo dev backup --output <FILE>"
        }
        _ => "",
    }
}
