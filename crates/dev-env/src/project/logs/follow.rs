//! Logs as they are written.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use tokio::sync::mpsc;

use super::{Entry, Log, Query, group};
use crate::Environment;
use crate::report::events::Source;
use process::Process;

/// Files say nothing by themselves; asking them costs a system call each.
const POLL: Duration = Duration::from_millis(100);

/// Reads what is written to the logs from now on.
pub struct Follower {
    query: Query,
    files: Vec<Followed>,
    lines: Option<Lines>,
}

/// Messages that a process tells, which ends with this.
pub(crate) struct Lines {
    pub(crate) entries: mpsc::UnboundedReceiver<Entry>,
    pub(crate) _process: Process,
}

struct Followed {
    log: Log,
    open: Option<File>,
    /// The beginning of a line whose end is not written yet.
    unfinished: Vec<u8>,
}

impl Follower {
    /// Begins at the end of what is there.
    pub(crate) fn of_files(environment: &Environment, query: Query) -> Self {
        let files = query.logs(environment).into_iter().map(|log| {
            let mut open = File::open(&log.path).ok();
            if let Some(file) = &mut open {
                // A file that cannot be sought is read from its beginning.
                let _at_start = std::io::Seek::seek(file, std::io::SeekFrom::End(0));
            }
            Followed {
                log,
                open,
                unfinished: Vec::new(),
            }
        });
        Self {
            files: files.collect(),
            query,
            lines: None,
        }
    }

    /// The environment's own file, and what a process tells of the services.
    pub(crate) fn of_lines(environment: &Environment, query: Query, lines: Lines) -> Self {
        let mut follower = Self::of_files(environment, query);
        follower
            .files
            .retain(|followed| followed.log.from == Source::Dev);
        Self {
            lines: Some(lines),
            ..follower
        }
    }

    /// Waits for more. Cancel safe.
    pub async fn next(&mut self) -> Vec<Entry> {
        loop {
            let mut entries: Vec<Entry> = self.files.iter_mut().flat_map(Followed::more).collect();
            if let Some(lines) = &mut self.lines {
                entries.extend(std::iter::from_fn(|| lines.entries.try_recv().ok()));
            }
            entries.retain(|entry| self.query.wants(entry));
            if !entries.is_empty() {
                entries.sort_by_key(|entry| entry.at);
                return entries;
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Followed {
    fn more(&mut self) -> Vec<Entry> {
        let mut bytes = std::mem::take(&mut self.unfinished);
        self.read(&mut bytes);
        let rotated = || {
            Some(
                self.open.as_ref()?.metadata().ok()?.ino()
                    != std::fs::metadata(&self.log.path).ok()?.ino(),
            )
        };
        if rotated().unwrap_or(self.open.is_none()) {
            // What was written to it before it was put aside.
            self.read(&mut bytes);
            self.open = File::open(&self.log.path).ok();
            self.read(&mut bytes);
        }
        let end = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |last| last + 1);
        self.unfinished = bytes.split_off(end);
        let lines = bytes
            .split(|byte| *byte == b'\n')
            .map(|line| String::from_utf8_lossy(line).into_owned());
        let mut lines: Vec<String> = lines.collect();
        // After the last line's end there is nothing.
        lines.pop();
        group(self.log.from, lines)
    }

    fn read(&mut self, bytes: &mut Vec<u8>) {
        if let Some(file) = &mut self.open {
            // What could not be read is read the next time.
            let _again = file.read_to_end(bytes);
        }
    }
}
