//! The logs of all services, merged by time: app.log, postgres.log, dev.log, and what they were rotated to.

mod follow;
mod time;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub use follow::Follower;
pub(crate) use follow::Lines;
pub use time::since;

use crate::report::events::Source;
use crate::{Environment, Error};

/// What of the logs is wanted.
#[derive(Clone, Debug)]
pub struct Query {
    /// Whose; all of them when empty.
    pub sources: Vec<Source>,
    /// Not what is older.
    pub since: Option<SystemTime>,
    /// Only what has this request id.
    pub request: Option<String>,
    /// Only the newest so many.
    pub last: Option<usize>,
}

/// A message: a line, and the lines after it that belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When; where the first lines of a file have no time, never.
    pub at: Option<SystemTime>,
    /// Who.
    pub from: Source,
    /// The lines.
    pub text: String,
}

/// A log and the file that it is written to.
#[derive(Clone, Debug)]
struct Log {
    from: Source,
    path: PathBuf,
}

impl Query {
    fn logs(&self, environment: &Environment) -> Vec<Log> {
        let folder = environment.checkout.logs();
        let app = environment.configuration.log_dir(&environment.checkout);
        let all = [
            Log {
                from: Source::Api,
                path: app.join("app.log"),
            },
            Log {
                from: Source::Db,
                path: folder.join("postgres.log"),
            },
            Log {
                from: Source::Dev,
                path: folder.join("dev.log"),
            },
        ];
        all.into_iter().filter(|log| self.is_of(log.from)).collect()
    }

    /// Whether somebody's messages are wanted.
    pub(crate) fn is_of(&self, from: Source) -> bool {
        self.sources.is_empty() || self.sources.contains(&from)
    }

    pub(crate) fn wants(&self, entry: &Entry) -> bool {
        self.since
            .is_none_or(|since| entry.at.is_some_and(|at| at >= since))
            && self
                .request
                .as_ref()
                .is_none_or(|id| entry.text.contains(id.as_str()))
    }

    /// As many of the messages as are wanted, by their time.
    pub(crate) fn newest(&self, mut entries: Vec<Entry>) -> Vec<Entry> {
        // Stable: what has the same time stays in the order of its file.
        entries.sort_by_key(|entry| entry.at);
        if let Some(last) = self.last {
            entries.drain(..entries.len().saturating_sub(last));
        }
        entries
    }
}

/// Reads what is there, oldest first.
///
/// # Errors
/// A file cannot be read.
pub(crate) fn read(environment: &Environment, query: &Query) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    for log in query.logs(environment) {
        let mut of_log = Vec::new();
        for path in generations(&log.path) {
            // Newest file first: what is enough is enough.
            if query.last.is_some_and(|last| of_log.len() >= last) {
                break;
            }
            let file =
                std::fs::File::open(&path).map_err(|source| Error::io("read", &path, source))?;
            let mut older = group(log.from, lines(BufReader::new(file)));
            older.retain(|entry| query.wants(entry));
            older.append(&mut of_log);
            of_log = older;
        }
        entries.append(&mut of_log);
    }
    Ok(query.newest(entries))
}

/// The file that is written, then those that it was rotated to, newest first.
fn generations(path: &Path) -> impl Iterator<Item = PathBuf> {
    let rotated = |n: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{n}"));
        PathBuf::from(name)
    };
    let rotated: Vec<PathBuf> = (1..10).map(rotated).collect();
    std::iter::once(path.to_owned())
        .chain(rotated)
        .filter(|path| path.is_file())
}

fn lines(reader: impl BufRead) -> Vec<String> {
    reader
        .split(b'\n')
        .map_while(Result::ok)
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .collect()
}

/// A line with a time begins an entry; those without one belong to it.
fn group(from: Source, lines: Vec<String>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in lines {
        let at = time::of_line(&line);
        match entries.last_mut() {
            Some(entry) if at.is_none() => {
                entry.text.push('\n');
                entry.text.push_str(&line);
            }
            _ => entries.push(Entry {
                at,
                from,
                text: line,
            }),
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> (tempfile::TempDir, Environment) {
        let (folder, checkout) = crate::Checkout::scratch(&[]);
        std::fs::create_dir_all(checkout.logs()).unwrap();
        let environment = Environment::find(folder.path(), []).unwrap();
        (folder, environment)
    }

    fn query() -> Query {
        Query {
            sources: Vec::new(),
            since: None,
            request: None,
            last: None,
        }
    }

    fn write(environment: &Environment, name: &str, text: &str) {
        std::fs::write(environment.checkout.logs().join(name), text).unwrap();
    }

    #[test]
    fn logs_are_merged_by_time_with_rotated_files() {
        let (_folder, environment) = environment();
        write(
            &environment,
            "app.log.1",
            "{\"timestamp\":\"2026-11-24T10:00:00.100Z\",\"m\":1}\n",
        );
        write(
            &environment,
            "app.log",
            "{\"timestamp\":\"2026-11-24T10:00:00.300Z\",\"m\":3}\n2026-11-24T10:00:00.500000Z  INFO five id=abc\n",
        );
        write(
            &environment,
            "postgres.log",
            "2026-11-24 10:00:00.200 UTC [1] LOG:  two\n\tits detail\n2026-11-24 10:00:00.400 UTC [1] LOG:  four\n",
        );
        let texts: Vec<String> = read(&environment, &query())
            .unwrap()
            .into_iter()
            .map(|e| e.text)
            .collect();
        let found: Vec<_> = ["\"m\":1", "two\n\tits detail", "\"m\":3", "four", "five"]
            .into_iter()
            .zip(&texts)
            .collect();
        assert!(
            texts.len() == 5 && found.iter().all(|(part, text)| text.contains(part)),
            "{found:?}"
        );

        let last = read(
            &environment,
            &Query {
                last: Some(2),
                ..query()
            },
        )
        .unwrap();
        assert!(last.len() == 2 && last[0].text.contains("four"));
        let api = read(
            &environment,
            &Query {
                sources: vec![Source::Api],
                ..query()
            },
        )
        .unwrap();
        assert_eq!(api.len(), 3);
        let since = time::since("2026-11-24T10:00:00.4Z", SystemTime::now()).unwrap();
        assert_eq!(
            read(
                &environment,
                &Query {
                    since: Some(since),
                    ..query()
                }
            )
            .unwrap()
            .len(),
            2
        );
        assert_eq!(
            read(
                &environment,
                &Query {
                    request: Some("abc".to_owned()),
                    ..query()
                }
            )
            .unwrap()
            .len(),
            1
        );
    }

    #[tokio::test]
    async fn a_followed_log_continues_after_its_rotation() {
        use std::io::Write;
        let (_folder, environment) = environment();
        write(&environment, "app.log", "2026-11-24T10:00:00Z old\n");
        let mut follower = Follower::of_files(&environment, query());
        let path = environment.checkout.logs().join("app.log");
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap();
        file.write_all(b"2026-11-24T10:00:01Z one\n2026-11-24T10:00:02Z half a")
            .unwrap();
        assert_eq!(follower.next().await[0].text, "2026-11-24T10:00:01Z one");
        file.write_all(b" line\n").unwrap();
        std::fs::rename(&path, path.with_extension("log.1")).unwrap();
        std::fs::write(&path, "2026-11-24T10:00:03Z three\n").unwrap();
        let mut texts = Vec::new();
        while texts.len() < 2 {
            texts.extend(follower.next().await.into_iter().map(|e| e.text));
        }
        assert_eq!(
            texts,
            [
                "2026-11-24T10:00:02Z half a line",
                "2026-11-24T10:00:03Z three"
            ]
        );
    }
}
