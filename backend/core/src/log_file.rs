use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use file_rotate::compression::Compression;
use file_rotate::suffix::AppendCount;
use file_rotate::{ContentLimit, FileRotate};

/// The size at which `app.log` is rotated, in bytes.
const MAX_BYTES: usize = 10_000_000;
/// `app.log.1` and `app.log.2`.
const OLDER_FILES: usize = 2;
/// The size of a batch, in bytes. A batch holds whole lines.
const BATCH_BYTES: usize = 64 * 1024;

/// Writes the log in batches to standard output and, if there is one, to a file. The writing thread flushes when no more lines wait.
pub(crate) struct Sink {
    batch: Vec<u8>,
    file: Option<LogFile>,
}

struct LogFile {
    path: PathBuf,
    file: FileRotate<AppendCount>,
    /// Device and inode at the path after the last write.
    identity: Option<(u64, u64)>,
}

impl LogFile {
    fn open(path: PathBuf) -> io::Result<Self> {
        // FileRotate ignores a file that it cannot open.
        OpenOptions::new().create(true).append(true).open(&path)?;
        let limit = ContentLimit::BytesSurpassed(MAX_BYTES - BATCH_BYTES);
        let file = FileRotate::new(
            &path,
            AppendCount::new(OLDER_FILES),
            limit,
            Compression::None,
            None,
        );
        Ok(Self {
            identity: identity(&path),
            path,
            file,
        })
    }

    /// Writes to the file at the path, which may be a different file than before.
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if identity(&self.path) != self.identity {
            // The file was removed, or another program rotated it.
            *self = Self::open(self.path.clone())?;
        }
        self.file.write_all(lines)?;
        self.file.flush()?;
        self.identity = identity(&self.path);
        Ok(())
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path)
        .map(|file| (file.dev(), file.ino()))
        .ok()
}

impl Sink {
    /// Opens `app.log` in the folder, which is created if it does not exist.
    pub(crate) fn open(dir: Option<&Path>) -> io::Result<Self> {
        let open = |dir: &Path| {
            let path = dir.join("app.log");
            let with_path = |e: io::Error| {
                io::Error::new(e.kind(), format!("cannot write {}: {e}", path.display()))
            };
            std::fs::create_dir_all(dir).map_err(with_path)?;
            LogFile::open(path.clone()).map_err(with_path)
        };
        Ok(Self {
            batch: Vec::new(),
            file: dir.map(open).transpose()?,
        })
    }
}

impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.batch.len() + line.len() > BATCH_BYTES {
            self.flush()?;
        }
        self.batch.extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // A full disk must not silence standard output, nor a closed terminal the file.
        if let Some(file) = &mut self.file {
            file.append(&self.batch).ok();
        }
        let mut out = io::stdout().lock();
        out.write_all(&self.batch).and_then(|()| out.flush()).ok();
        self.batch.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_files_of_ten_megabytes_and_whole_lines() {
        let dir = std::env::temp_dir().join(format!("app-log-{}", uuid::Uuid::new_v4()));
        let mut sink = Sink {
            batch: Vec::new(),
            file: Sink::open(Some(&dir)).unwrap().file,
        };
        let line = [&[b'x'; 9_999][..], b"\n"].concat();
        for _ in 0..4_000 {
            // Not through flush(), which would print them.
            sink.file.as_mut().unwrap().append(&line).unwrap();
        }
        let mut names: Vec<_> = std::fs::read_dir(&dir)
            .unwrap()
            .map(|e| e.unwrap())
            .collect();
        names.sort_by_key(|e| e.file_name());
        assert_eq!(
            names
                .iter()
                .map(|e| e.file_name().into_string().unwrap())
                .collect::<Vec<_>>(),
            ["app.log", "app.log.1", "app.log.2"]
        );
        for file in names {
            let text = std::fs::read(file.path()).unwrap();
            assert!(
                text.len() <= MAX_BYTES && text.ends_with(b"\n") && text.len() % line.len() == 0
            );
        }
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_log_continues_in_a_new_folder_when_its_folder_is_removed() {
        let dir = std::env::temp_dir().join(format!("app-log-{}", uuid::Uuid::new_v4()));
        let mut sink = Sink::open(Some(&dir)).unwrap();
        let file = sink.file.as_mut().unwrap();
        file.append(b"before\n").unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
        file.append(b"lost\n").unwrap_err();
        std::fs::create_dir(&dir).unwrap();
        file.append(b"after\n").unwrap();
        file.append(b"and on\n").unwrap();
        assert_eq!(
            std::fs::read_to_string(dir.join("app.log")).unwrap(),
            "after\nand on\n"
        );
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_is_said() {
        let error = Sink::open(Some(Path::new("/dev/null/logs")))
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("/dev/null/logs/app.log"), "{error}");
    }
}
