//! Loads a copy: reads its SQL once to check it, and again into psql. `pg_restore` converts an archive to SQL first.

use std::fs::File;
use std::io::{BufReader, BufWriter, Error as IoError, PipeWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use super::error::{Refusal, RestoreError};
use super::filter::{Report, filter};
use super::format::{Format, oldest_reader};
use super::room;
use super::rules::Rules;
use super::source::Copy;
use crate::Error;
use crate::database::location;
use crate::database::session::Session;
use local_postgres::find;
use process::thread::in_thread;
use process::{Configuration, Output, ProcessError, describe, from_file, from_file_into};

const BOUND: Duration = Duration::from_secs(3600);
const PART: usize = 1 << 18;
/// The major whose psql has `\restrict` in all of its releases.
const RESTRICTS: u32 = 18;
/// Unpacks a tar archive of a folder in the container, and converts the dump in it to SQL.
const UNPACK_INSIDE: &str = "folder=$(mktemp -d) && trap 'rm -rf \"$folder\"' EXIT && tar -xf - -C \"$folder\" && pg_restore --file=- \"$@\" \"$folder\"";

/// Reads a copy by the rules for the server.
pub(super) struct Loader<'a> {
    pub(super) session: &'a Session,
    pub(super) copy: Arc<Copy>,
    pub(super) rules: Arc<Rules>,
}

impl<'a> Loader<'a> {
    /// Checks a copy. A copy that this checkout made of a database with objects of others is not trusted any more than their file. Also returns
    /// whether the copy is trusted.
    ///
    /// # Errors
    /// The copy is refused.
    pub(super) async fn checked(
        session: &'a Session,
        copy: Copy,
        trusted: bool,
    ) -> Result<(Self, Report, bool), Error> {
        let mut loader = Self {
            session,
            copy: Arc::new(copy),
            rules: Arc::new(room::rules(session, trusted).await?),
        };
        let report = loader.check().await?;
        if !trusted || !report.is_of_others {
            return Ok((loader, report, trusted));
        }
        loader.rules = Arc::new(room::rules(session, false).await?);
        let report = loader.check().await?;
        Ok((loader, report, false))
    }

    /// Checks the complete SQL of the copy, or the schema of an archive, and runs nothing.
    ///
    /// # Errors
    /// The copy is refused.
    async fn check(&self) -> Result<Report, Error> {
        // The schema of an archive is checked without rows, which pg_restore verifies itself.
        let report = self.pass(&["--schema-only"], std::io::sink()).await?;
        if self.copy.format == Format::Sql || !report.tables.is_empty() {
            return Ok(report);
        }
        let rows = self.pass(&["--data-only"], std::io::sink()).await?;
        Ok(Report {
            has_rows: rows.has_rows,
            ..report
        })
    }

    /// Runs the copy in a database, in one transaction.
    ///
    /// # Errors
    /// A statement is refused.
    pub(super) async fn load(&self, psql: Configuration) -> Result<Report, Error> {
        let words = [
            "-X",
            "-q",
            "-w",
            "-v",
            "ON_ERROR_STOP=1",
            "--single-transaction",
            "-o",
            "/dev/null",
        ];
        let psql = self.restricted(psql.args(words)).await?;
        let (reader, writer) = std::io::pipe().map_err(|source| self.unread(source))?;
        let ran = from_file(psql.args(["-f", "-"]), reader, BOUND);
        let (passed, ran) = tokio::join!(self.pass(&[], writer), ran);
        let ran = ran?;
        match passed {
            // psql ends at the first error, and closes its end of the pipe.
            Err(error) if error.is().is_some_and(is_closed_pipe) => Err(self.refused(&ran)),
            Ok(_) if !ran.status.success() => Err(self.refused(&ran)),
            passed => passed,
        }
    }

    /// Returns psql that runs no backslash command except `\unrestrict` with the same word.
    ///
    /// Without `\restrict` a function in the copy could change how psql reads strings (`standard_conforming_strings`).
    async fn restricted(&self, mut psql: Configuration) -> Result<Configuration, Error> {
        let own = find::client_version(self.session.client_in("psql", "postgres").await?).await;
        let version = own.map_or_else(|| "unknown".to_owned(), |(_, version)| version);
        if !can_restrict(&version) {
            // Copies of this checkout do not need it.
            if self.rules.trusted {
                return Ok(psql);
            }
            let copy = self.copy.shown.clone();
            if self.session.is_in_container() {
                return Err(RestoreError::OldPsql {
                    copy,
                    version,
                    hint: "docker compose pull db, then cargo dev down, and restore again",
                }
                .into());
            }
            psql.program = match find::newest_client("psql", self.session.bin_dir()).await {
                Some((program, _, newest)) if can_restrict(&newest) => program,
                _ => location::downloaded_client("psql", RESTRICTS, self.session.events()).await.ok_or(RestoreError::OldPsql {
                    copy,
                    version,
                    hint: "install the newest psql with your system's packages (on Debian: apt-get install postgresql-client), and restore again",
                })?,
            };
        }
        Ok(psql.args([
            "-c".to_owned(),
            format!("\\restrict {}", crate::project::configuration::generate()),
        ]))
    }

    /// Returns the output of psql.
    fn refused(&self, ran: &Output) -> Error {
        let said = if ran.stderr.trim().is_empty() {
            describe(ran.status)
        } else {
            reason(&ran.stderr)
        };
        RestoreError::Statement {
            copy: self.copy.shown.clone(),
            reason: said,
        }
        .into()
    }

    /// Passes the SQL of the copy through the filter.
    async fn pass(&self, words: &[&str], to: impl Write + Send + 'static) -> Result<Report, Error> {
        let unread = |source| self.unread(source);
        if self.copy.format == Format::Sql {
            return self.filter(self.copy.rewound().map_err(unread)?, to).await;
        }
        let Archive {
            pg_restore,
            stdin,
            sent,
        } = self.archive(words).await?;
        let (reader, writer) = std::io::pipe().map_err(unread)?;
        let converted = from_file_into(pg_restore, stdin, writer, BOUND);
        let send = async {
            match sent {
                Some((folder, pipe)) => in_thread(move |_| send(&folder, pipe))
                    .await
                    .unwrap_or(Ok(())),
                None => Ok(()),
            }
        };
        let (filtered, converted, sent) = tokio::join!(self.filter(reader, to), converted, send);
        let converted = match converted {
            Err(ProcessError::Exited { tail, status, .. }) => {
                let reason = if tail.is_empty() {
                    describe(status)
                } else {
                    tail.join("\n")
                };
                Err(RestoreError::Archive {
                    copy: self.copy.shown.clone(),
                    reason,
                }
                .into())
            }
            Ok(()) => sent.map_err(unread),
            Err(other) => Err(other.into()),
        };
        match (filtered, converted) {
            // A damaged archive produces truncated SQL.
            (Err(error), Err(archive)) if error.is().is_some_and(RestoreError::is_cut_off) => {
                Err(archive)
            }
            (Err(error), _) => Err(error),
            (Ok(report), converted) => converted.map(|()| report),
        }
    }

    async fn filter(
        &self,
        from: impl Read + Send + 'static,
        to: impl Write + Send + 'static,
    ) -> Result<Report, Error> {
        let rules = Arc::clone(&self.rules);
        let done = in_thread(move |_| {
            filter(
                BufReader::with_capacity(PART, from),
                BufWriter::with_capacity(PART, to),
                &rules,
            )
        })
        .await;
        let done = done.unwrap_or_else(|| Err(Refusal::Read(IoError::other("the work broke off"))));
        done.map_err(|refusal| {
            RestoreError::Refused {
                copy: self.copy.shown.clone(),
                refusal,
            }
            .into()
        })
    }

    fn unread(&self, source: IoError) -> Error {
        RestoreError::Read {
            copy: self.copy.shown.clone(),
            source,
        }
        .into()
    }

    async fn archive(&self, words: &[&str]) -> Result<Archive, Error> {
        let unread = |source| self.unread(source);
        let (Format::Archive { version } | Format::Tar { version } | Format::Folder { version }) =
            self.copy.format
        else {
            unreachable!("SQL is not an archive")
        };
        let (pg_restore, is_inside) = self.reader(oldest_reader(version)).await?;
        let pg_restore = pg_restore.args(words.iter().copied());
        match self.copy.format {
            Format::Folder { .. } if is_inside => {
                let (reader, writer) = std::io::pipe().map_err(unread)?;
                let pg_restore = self
                    .session
                    .client_in("sh", "postgres")
                    .await?
                    .args(["-c", UNPACK_INSIDE, "sh"])
                    .args(words.iter().copied());
                Ok(Archive {
                    pg_restore,
                    stdin: reader.into(),
                    sent: Some((self.copy.path.clone(), writer)),
                })
            }
            Format::Folder { .. } => {
                let folder = std::path::absolute(&self.copy.path).map_err(unread)?;
                Ok(Archive {
                    pg_restore: pg_restore.args(["--file=-"]).args([folder]),
                    stdin: Stdio::null(),
                    sent: None,
                })
            }
            _ => {
                let file = self.copy.rewound().map_err(unread)?;
                Ok(Archive {
                    pg_restore: pg_restore.args(["--file=-"]),
                    stdin: file.into(),
                    sent: None,
                })
            }
        }
    }

    /// Returns a `pg_restore` that reads archives of this major version, and whether it is in a container: the server's own, the newest of
    /// this machine, or a downloaded one.
    async fn reader(&self, needed: u32) -> Result<(Configuration, bool), Error> {
        let own = self.session.client_in("pg_restore", "postgres").await?;
        let is_inside = self.session.is_in_container();
        if needed == 0 {
            return Ok((own, is_inside));
        }
        let (major, version) = find::client_version(own.clone()).await.unwrap_or_default();
        if major >= needed {
            return Ok((own, is_inside));
        }
        match find::newest_client("pg_restore", self.session.bin_dir()).await {
            Some((program, newest, _)) if newest >= needed => Ok((find::client(program), false)),
            newest => {
                if let Some(program) =
                    location::downloaded_client("pg_restore", needed, self.session.events()).await
                {
                    return Ok((find::client(program), false));
                }
                let newest = newest
                    .filter(|(_, newest, _)| *newest > major)
                    .map_or(version, |(_, _, version)| version);
                Err(RestoreError::NewerArchive {
                    copy: self.copy.shown.clone(),
                    needed,
                    newest,
                }
                .into())
            }
        }
    }
}

/// `pg_restore` with its input.
struct Archive {
    pg_restore: Configuration,
    stdin: Stdio,
    /// A folder that is sent to the container, with the target path.
    sent: Option<(PathBuf, PipeWriter)>,
}

fn is_closed_pipe(error: &RestoreError) -> bool {
    matches!(error, RestoreError::Refused { refusal: Refusal::Write(error), .. } if error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Sends a folder as a tar archive.
fn send(folder: &Path, to: PipeWriter) -> std::io::Result<()> {
    let mut tar = tar::Builder::new(BufWriter::with_capacity(PART, to));
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.metadata()?.is_file() {
            tar.append_file(entry.file_name(), &mut File::open(entry.path())?)?;
        }
    }
    tar.into_inner()?.flush()
}

/// Returns whether psql supports `\restrict`, which the releases of August 2025 added.
fn can_restrict(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    let (major, minor): (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    match major {
        13 => minor >= 22,
        14 => minor >= 19,
        15 => minor >= 14,
        16 => minor >= 10,
        17 => minor >= 6,
        _ => major >= 18,
    }
}

/// Returns psql's message of the first error, with the line in the copy.
fn reason(said: &str) -> String {
    let mut lines = said.lines().skip_while(|line| {
        !line.contains("ERROR:") && !line.contains("FATAL:") && !line.contains("error:")
    });
    let Some(first) = lines.next() else {
        return said.trim().to_owned();
    };
    // PostgreSQL's hints do not apply to this tool.
    let rest = lines
        .take_while(|line| !line.starts_with("psql:"))
        .filter(|line| !line.starts_with("HINT:"));
    let first = match first
        .strip_prefix("psql:<stdin>:")
        .and_then(|first| first.split_once(": "))
    {
        Some((number, message)) => format!(
            "line {number}: {}",
            message.trim_start_matches("ERROR:").trim_start()
        ),
        None => first.to_owned(),
    };
    std::iter::once(first)
        .chain(rest.map(str::to_owned))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_psql_has_the_line_of_the_copy() {
        let said = "psql:<stdin>:3: NOTICE:  x\npsql:<stdin>:7: ERROR:  relation \"x\" does not exist\nLINE 1: SELECT x\nHINT:  y\npsql:<stdin>:8: error: y\n";
        assert_eq!(
            reason(said),
            "line 7: relation \"x\" does not exist\nLINE 1: SELECT x"
        );
        assert_eq!(reason("psql: error: no server"), "psql: error: no server");
    }

    #[test]
    fn psql_runs_restricted_if_its_version_supports_it() {
        for (version, can) in [
            ("15.13", false),
            ("15.14", true),
            ("16.10", true),
            ("17.5", false),
            ("18.0", true),
            ("18rc1", false),
            ("19.1", true),
        ] {
            assert_eq!(can_restrict(version), can, "{version}");
        }
    }

    #[test]
    fn a_dump_folder_is_unpacked_in_the_container() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["toc.dat", "1.dat.gz"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        let (reader, writer) = std::io::pipe().unwrap();
        let sent = {
            let folder = folder.path().to_owned();
            std::thread::spawn(move || send(&folder, writer).unwrap())
        };
        let mut names: Vec<_> = tar::Archive::new(reader)
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        sent.join().unwrap();
        names.sort();
        assert_eq!(names, ["1.dat.gz", "toc.dat"]);
    }
}
