//! What the containers say: as `docker compose logs` shows it, and before their time what is in `data/logs`.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::project::Project;
use crate::project::logs::Entry;
use crate::report::events::Source;
use crate::{Environment, Error};
use process::disk::is_reported_full;
use process::log_file::LogFile;
use process::{Process, capture};

const READ_BOUND: Duration = Duration::from_secs(60);
/// What the tool in the API's container writes before a line of the API.
const OF_THE_API: &str = "  api │ ";
/// Enough to say why a container ended.
const LAST_WORDS: usize = 12;

/// A line of a container.
pub(super) struct Line {
    pub(super) from: Source,
    pub(super) at: Option<SystemTime>,
    pub(super) text: String,
}

/// `api-1  | 2026-11-25T10:00:00.123456789Z text`; `None` for what no container says.
fn parse(line: &str) -> Option<Line> {
    // Some versions clear the line of the terminal first, colours or not.
    let line = line.trim_start_matches("\u{1b}[2K");
    let (container, rest) = line.split_once('|')?;
    let (service, _) = container.trim().rsplit_once('-')?;
    let (at, text) = rest
        .strip_prefix(' ')?
        .split_once(' ')
        .unwrap_or((rest.trim(), ""));
    let at = humantime::parse_rfc3339_weak(at.trim_end_matches('Z')).ok();
    let plain = anstream::adapter::strip_str(text).to_string();
    let (from, text) = match (service.rsplit('-').next()?, plain.strip_prefix(OF_THE_API)) {
        ("api", Some(text)) => (Source::Api, text.to_owned()),
        // With the compiler's colours: who prints it knows whether they are wanted.
        ("api", None) => (Source::Build, text.to_owned()),
        ("db", _) => (Source::Db, plain),
        _ => (Source::Dev, plain),
    };
    Some(Line { from, at, text })
}

/// The containers' lines as they come, told by a process that ends with this.
pub(super) struct Told(pub(super) Process);

impl Told {
    /// Hands each line since then to `sink`.
    ///
    /// # Errors
    /// Docker does not run.
    pub(super) async fn follow(
        project: &Project,
        since: SystemTime,
        sink: impl Fn(Line) + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let since = humantime::format_rfc3339_nanos(since).to_string();
        let follow = [
            "--profile",
            "tools",
            "logs",
            "--no-color",
            "--timestamps",
            "--follow",
            "--since",
            &since,
        ];
        let mut compose = project.compose(&follow);
        compose.sink = Some(Arc::new(move |_, line: &str| {
            if let Some(line) = parse(line) {
                sink(line);
            }
        }));
        let mut process = Process::new(compose);
        process.start().await?;
        Ok(Self(process))
    }

    /// Waits until no container says anything any more.
    ///
    /// # Errors
    /// Docker cannot be waited for.
    pub(super) async fn ended(&mut self) -> Result<(), Error> {
        self.0.exited().await?;
        Ok(())
    }
}

pub(super) async fn lines(project: &Project, args: &[&str]) -> Result<Vec<Line>, Error> {
    let read = ["--profile", "tools", "logs", "--no-color", "--timestamps"];
    let output = capture(project.compose(&[&read, args].concat()), b"", READ_BOUND).await?;
    if !output.status.success() {
        return Err(super::command::refused(
            &output.stderr,
            "docker compose logs failed",
        ));
    }
    let mut lines: Vec<Line> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(parse)
        .collect();
    // One container after the other, and of each its two streams in any order.
    lines.sort_by_key(|line| line.at);
    Ok(lines)
}

/// Why a container ended, in its own words.
pub(super) async fn last_words(project: &Project, service: &str) -> String {
    // Without them the message is shorter, and true.
    let lines = lines(project, &["--tail", "40", service])
        .await
        .unwrap_or_default();
    let said: Vec<String> = lines
        .iter()
        .map(|line| anstream::adapter::strip_str(&line.text).to_string())
        .filter(|text| !text.trim().is_empty())
        .collect();
    reason(service, &said)
        .iter()
        .take(LAST_WORDS)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("\n")
}

/// What says why a container ended, and what follows: its log may hold several starts.
fn reason<'a>(service: &str, said: &'a [String]) -> &'a [String] {
    // Whatever kept the database from running is over where it ran.
    let ran = said
        .iter()
        .rposition(|text| text.contains("database system is ready to accept connections"));
    let mut said = &said[ran.unwrap_or(0)..];
    if let Some(full) = said.iter().rposition(|text| is_reported_full(text)) {
        // Everything else comes of it, but for another reason that a later start of the database has: its first process, or its script.
        let is_another = |text: &String| {
            text.contains(" [1] FATAL:")
                || text.starts_with("error:") && !text.contains("see above")
        };
        if service != "db" || !said[full + 1..].iter().any(is_another) {
            return &said[full..];
        }
        said = &said[full + 1..];
    }
    // What it says of itself begins with a word of ours, if it says anything.
    let from = said.iter().rposition(|text| text.starts_with("error:"));
    &said[from.unwrap_or(said.len().saturating_sub(LAST_WORDS))..]
}

/// Writes what the database has said to its file, before its container goes and its log with it.
pub(super) async fn keep(environment: &Environment, project: &Project) {
    // A log is not worth a failure.
    let Ok(lines) = lines(project, &["db"]).await else {
        return;
    };
    let file = LogFile::open(&environment.checkout.logs().join("postgres.log"));
    lines.iter().for_each(|line| file.line(&line.text));
}

/// Lines as messages: what is indented belongs to the line before it.
pub(super) fn group(lines: Vec<Line>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in lines {
        let from = if line.from == Source::Build {
            Source::Dev
        } else {
            line.from
        };
        let continues = line.text.starts_with([' ', '\t']) && line.from != Source::Build;
        match entries
            .iter_mut()
            .rev()
            .find(|entry| entry.from == from)
            .filter(|_| continues)
        {
            Some(entry) => {
                entry.text.push('\n');
                entry.text.push_str(&line.text);
            }
            None => entries.push(Entry {
                at: line.at,
                from,
                text: line.text,
            }),
        }
    }
    entries
}

/// Why a container does not run, in our words where we know them.
pub(super) async fn ended(project: &Project, service: &'static str) -> Error {
    super::command::of_last_words(service, &last_words(project, service).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_of_compose_are_parsed() {
        let line = parse("api-1  | 2026-11-25T10:00:00.123456789Z   api │ 2026-11-25T10:00:00.1Z  INFO listening").unwrap();
        assert_eq!(
            (line.from, line.text.as_str()),
            (Source::Api, "2026-11-25T10:00:00.1Z  INFO listening")
        );
        assert!(line.at.is_some());
        let line = parse(
            "\u{1b}[2Kapi-1      | 2026-11-25T10:00:00.1Z \u{1b}[1m   Compiling\u{1b}[0m a | b",
        )
        .unwrap();
        assert_eq!(
            (line.from, line.text.as_str()),
            (Source::Build, "\u{1b}[1m   Compiling\u{1b}[0m a | b")
        );
        let line =
            parse("api-1  | 2026-11-25T10:00:00.1Z \u{1b}[32m  api │\u{1b}[0m listening").unwrap();
        assert_eq!((line.from, line.text.as_str()), (Source::Api, "listening"));
        let line = parse("db-1  | 2026-11-25T10:00:00.1Z \tan indented detail").unwrap();
        assert_eq!(
            (line.from, line.text.as_str()),
            (Source::Db, "\tan indented detail")
        );
        let line = parse("db-1  | 2026-11-25T10:00:00.1Z ").unwrap();
        assert_eq!((line.text.as_str(), line.at.is_some()), ("", true));
        assert!(parse("a warning of Compose").is_none());
    }

    #[test]
    fn a_full_disk_is_the_reason_until_there_is_another() {
        let full = "2026-11-28 10:00:00.000 UTC [1] FATAL:  could not write lock file \"postmaster.pid\": No space left on device";
        let made = [
            "initdb: error: could not write to file \"x\": No space left on device",
            "error: it could not be made, see above",
        ];
        let ready =
            "2026-11-28 10:00:01.000 UTC [1] LOG:  database system is ready to accept connections";
        let client =
            "2026-11-28 10:00:02.000 UTC [31] FATAL:  the database system is in recovery mode";
        let server = "2026-11-28 10:00:03.000 UTC [1] FATAL:  could not create any TCP/IP sockets";
        let major = "error: data/postgres is of PostgreSQL 17, and this is PostgreSQL 15";
        let compiler =
            "error: could not write output to /cache/target/x.o: No space left on device";
        for (service, said, first) in [
            ("db", vec!["a", full], full),
            ("db", vec![full, client], full),
            ("db", vec![full, major, made[0], made[1]], made[0]),
            ("db", vec![full, major], major),
            ("db", vec![full, server], server),
            ("db", vec![made[0], made[1], ready, "it stops"], ready),
            ("db", vec![major, "a"], major),
            (
                "api",
                vec![
                    compiler,
                    "error: could not compile `x` (lib) due to 1 previous error",
                ],
                compiler,
            ),
        ] {
            let said: Vec<String> = said.into_iter().map(str::to_owned).collect();
            assert_eq!(reason(service, &said)[0], first, "{said:?}");
        }
        assert!(reason("db", &[]).is_empty());
    }

    #[test]
    fn indented_log_lines_belong_to_the_line_before() {
        let of = |text: &str| parse(&format!("db-1  | 2026-11-25T10:00:00.1Z {text}")).unwrap();
        let entries = group(vec![
            of("2026 LOG:  one"),
            of("\tits detail"),
            of("2026 LOG:  two"),
        ]);
        assert_eq!(
            entries
                .iter()
                .map(|entry| entry.text.as_str())
                .collect::<Vec<_>>(),
            ["2026 LOG:  one\n\tits detail", "2026 LOG:  two"]
        );
    }
}
