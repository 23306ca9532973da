//! Noticing edits. By looking at times and sizes a few times a second: events of a mounted folder do not arrive everywhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const EVERY: Duration = Duration::from_millis(300);
/// Folders and files whose change may be one of the service.
const WATCHED: [&str; 8] = [".cargo", ".env", "Cargo.lock", "Cargo.toml", "backend", "backend/.env", "crates", "rust-toolchain.toml"];

type Stamp = (Option<SystemTime>, u64);

/// The files as they were last seen.
pub(super) struct Sources {
    root: PathBuf,
    seen: BTreeMap<PathBuf, Stamp>,
}

impl Sources {
    /// The files of a checkout as they are now.
    pub(super) fn look(root: &Path) -> Self {
        Self { root: root.to_owned(), seen: stamps(root) }
    }

    /// Waits until something has changed and nothing changes any more; says what, as paths in the checkout. Cancel safe.
    pub(super) async fn changed(&mut self) -> Vec<String> {
        let mut last = None;
        loop {
            tokio::time::sleep(EVERY).await;
            let now = stamps(&self.root);
            if now == self.seen {
                last = None;
            } else if last.as_ref() == Some(&now) {
                // An editor writes twice, `git switch` hundreds of files.
                let before = std::mem::replace(&mut self.seen, now);
                return self.difference(&before);
            } else {
                last = Some(now);
            }
        }
    }

    fn difference(&self, before: &BTreeMap<PathBuf, Stamp>) -> Vec<String> {
        let all: std::collections::BTreeSet<_> = before.keys().chain(self.seen.keys()).collect();
        let changed = all.into_iter().filter(|path| before.get(*path) != self.seen.get(*path));
        let mut names: Vec<_> = changed.map(|path| path.strip_prefix(&self.root).unwrap_or(path).display().to_string()).collect();
        if names.len() > 3 {
            let more = names.len() - 2;
            names.truncate(2);
            names.push(format!("{more} more files"));
        }
        names
    }
}

fn stamps(root: &Path) -> BTreeMap<PathBuf, Stamp> {
    let mut stamps = BTreeMap::new();
    WATCHED.iter().for_each(|name| stamp(&root.join(name), true, &mut stamps));
    stamps
}

fn stamp(path: &Path, named: bool, stamps: &mut BTreeMap<PathBuf, Stamp>) {
    // Editors' temporaries begin with a dot or end with a tilde; what is watched by its name is none.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if !named && (name.starts_with('.') || name.ends_with('~') || name == "target") {
        return;
    }
    let Ok(metadata) = std::fs::metadata(path) else { return };
    if !metadata.is_dir() {
        stamps.insert(path.to_owned(), (metadata.modified().ok(), metadata.len()));
        return;
    }
    std::fs::read_dir(path).into_iter().flatten().flatten().for_each(|entry| stamp(&entry.path(), false, stamps));
}

/// Whether Cargo.lock was replaced on the machine, as git does it: a file that is mounted by itself goes on showing the old one
/// until the container is started again. The kernel says so of its source (proc(5), mountinfo).
pub(super) fn lock_was_replaced() -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounts.lines().any(|line| line.split(' ').nth(3).is_some_and(|source| source.ends_with("Cargo.lock//deleted")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn edits_are_noticed_together() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        std::fs::create_dir(folder.path().join("backend")).unwrap();
        file("backend/a.rs", "1");
        file("README.md", "1");
        let mut sources = Sources::look(folder.path());
        file("README.md", "22");
        file("backend/.a.rs.swp", "22");
        file("backend/a.rs", "22");
        file("backend/b.rs", "1");
        file(".env", "A=1");
        assert_eq!(sources.changed().await, [".env", "backend/a.rs", "backend/b.rs"]);
        std::fs::remove_file(folder.path().join("backend/b.rs")).unwrap();
        assert_eq!(sources.changed().await, ["backend/b.rs"]);
    }
}
