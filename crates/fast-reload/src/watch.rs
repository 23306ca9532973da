//! Which files changed: reported by the system, or detected by polling.

mod file_system;
mod links;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{
    Config, ErrorKind, EventKind, PollWatcher, RecommendedWatcher, RecursiveMode, Watcher as _,
};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::{Error, Listener, Notice, Sources, files};
use links::Links;

/// A save has ended when no event came for this time: editors write twice, and git writes many files.
const QUIET: Duration = Duration::from_millis(30);
/// Continuous writes are reported after this time.
const LONGEST_SAVE: Duration = Duration::from_secs(1);
/// The longest time until the system reports the probe.
const PROBE_BOUND: Duration = Duration::from_secs(2);
/// The interval of polling is this multiple of the time that one round takes…
const POLLING_SHARE: u32 = 100;
/// …within these bounds.
const POLLING_MIN: Duration = Duration::from_millis(500);
const POLLING_MAX: Duration = Duration::from_secs(10);

/// What the system's watcher reports.
enum FsEvent {
    Changed(PathBuf),
    /// Events were lost.
    Overflow,
    /// The watcher cannot continue.
    Failed(String),
}

/// How changes are detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watching {
    /// By events of the system.
    Events,
    /// By polling at this interval.
    Polling(Duration),
}

/// Watches the files that a program is built of.
pub struct Watcher {
    /// The files to watch for.
    pub sources: Sources,
    links: Links,
    fs_events: mpsc::UnboundedReceiver<FsEvent>,
    watcher: Box<dyn notify::Watcher>,
    watching: Watching,
    listener: Listener,
    /// The files of the present save, and its begin.
    changed: BTreeSet<PathBuf>,
    since: Option<Instant>,
}

impl Watcher {
    /// Starts to watch. Falls back to polling where the system reports no events, which is a [`Notice::Polling`].
    ///
    /// `probe`: a file that is created and removed to test whether the system reports events. Its folder must exist; the folder's
    /// modification time is restored.
    ///
    /// # Errors
    /// [`Error::Watch`]: the files cannot be read.
    pub async fn start(sources: Sources, probe: &Path, listener: &Listener) -> Result<Self, Error> {
        let folders = sources.folders();
        let by_events = match file_system::remote(sources.root()) {
            Some(kind) => Err(format!(
                "the workspace is on {kind}, which reports no changes from outside"
            )),
            None => by_events(&folders, probe).await,
        };
        let (watching, (watcher, fs_events)) = match by_events {
            Ok(watcher) => (Watching::Events, watcher),
            Err(reason) => by_polling(&folders, &reason, listener)?,
        };
        let mut watcher = Self {
            sources,
            links: Links::default(),
            fs_events,
            watcher,
            watching,
            listener: listener.clone(),
            changed: BTreeSet::new(),
            since: None,
        };
        watcher.watch_links();
        Ok(watcher)
    }

    /// Adds the source files of a program that cargo has built.
    pub fn learn(&mut self, program: &Path) {
        self.sources.learn(program);
        self.watch_links();
    }

    /// Watches the targets of links that are not watched yet.
    fn watch_links(&mut self) {
        self.links = Links::among(self.sources.all());
        let watched = self.sources.folders();
        let is_watched = |folder: &PathBuf| {
            watched.iter().any(|(top, mode)| {
                folder == top || *mode == RecursiveMode::Recursive && folder.starts_with(top)
            })
        };
        for folder in self
            .links
            .folders()
            .into_iter()
            .filter(|folder| !is_watched(folder))
        {
            self.watch(&folder, RecursiveMode::NonRecursive);
        }
    }

    fn watch(&mut self, folder: &Path, mode: RecursiveMode) {
        if let Err(error) = self.watcher.watch(folder, mode) {
            (self.listener)(Notice::Unwatched {
                folder: folder.to_owned(),
                reason: error.to_string(),
            });
        }
    }

    /// Returns how changes are detected.
    pub fn watching(&self) -> Watching {
        self.watching
    }

    /// Waits for the next save, and returns all of its files, as absolute paths. A file may have been removed.
    ///
    /// Cancel safe.
    pub async fn changed(&mut self) -> BTreeSet<PathBuf> {
        loop {
            let end = self
                .since
                .map(|since| (Instant::now() + QUIET).min(since + LONGEST_SAVE));
            let event = async {
                match end {
                    Some(end) => tokio::time::timeout_at(end, self.fs_events.recv())
                        .await
                        .ok(),
                    None => Some(self.fs_events.recv().await),
                }
            };
            match event.await {
                Some(Some(event)) => self.take(event),
                None => {
                    self.since = None;
                    return std::mem::take(&mut self.changed);
                }
                // The sender lives in `self.watcher`.
                Some(None) => std::future::pending().await,
            }
        }
    }

    fn take(&mut self, event: FsEvent) {
        match event {
            FsEvent::Changed(path) if self.changed.contains(&path) => {}
            FsEvent::Changed(path) => {
                if self.sources.is_watched_folder(&path) {
                    self.watch(&path, RecursiveMode::Recursive);
                }
                if path.is_symlink() {
                    self.watch_links();
                }
                let names = self.links.names(&path);
                self.changed.extend(
                    names
                        .iter()
                        .chain([&path])
                        .flat_map(|name| self.sources.that_matter(name)),
                );
            }
            FsEvent::Overflow => {
                for (folder, _) in self.sources.folders() {
                    self.changed.extend(self.sources.that_matter(&folder));
                }
            }
            FsEvent::Failed(reason) => {
                match by_polling(&self.sources.folders(), &reason, &self.listener) {
                    Ok((watching, (watcher, fs_events))) => {
                        (self.watching, self.watcher, self.fs_events) =
                            (watching, watcher, fs_events);
                    }
                    Err(error) => (self.listener)(Notice::Lost {
                        reason: error.to_string(),
                    }),
                }
            }
        }
        if !self.changed.is_empty() {
            self.since.get_or_insert_with(Instant::now);
        }
    }
}

type Folders = [(PathBuf, RecursiveMode)];
type Running = (Box<dyn notify::Watcher>, mpsc::UnboundedReceiver<FsEvent>);

/// Returns a watcher by events, after the system has reported one.
async fn by_events(folders: &Folders, probe: &Path) -> Result<Running, String> {
    let (sender, mut fs_events) = mpsc::unbounded_channel();
    let mut watcher = RecommendedWatcher::new(move |event| send(&sender, event), Config::default())
        .map_err(|error| why(&error))?;
    let scratch = probe.parent().unwrap_or(Path::new("/"));
    watcher
        .watch(scratch, RecursiveMode::NonRecursive)
        .map_err(|error| why(&error))?;
    let before = std::fs::metadata(scratch).and_then(|folder| folder.modified());
    std::fs::write(probe, "").map_err(|error| error.to_string())?;
    let name = probe.file_name();
    let reported = async {
        while !matches!(fs_events.recv().await, Some(FsEvent::Changed(path)) if path.file_name() == name)
        {
        }
    };
    let reported = tokio::time::timeout(PROBE_BOUND, reported).await;
    let _gone = std::fs::remove_file(probe);
    reported.map_err(|_| "the system reports no changes in this folder".to_owned())?;
    watcher.unwatch(scratch).map_err(|error| why(&error))?;
    // The probe may be in a folder of sources, whose modification time cargo compares.
    if let Ok(before) = before {
        let _another = std::fs::File::open(scratch).and_then(|folder| folder.set_modified(before));
    }
    for (folder, mode) in folders {
        watcher.watch(folder, *mode).map_err(|error| why(&error))?;
    }
    Ok((Box::new(watcher), fs_events))
}

/// Returns a watcher that reads all files, at an interval that makes this cheap.
fn by_polling(
    folders: &Folders,
    reason: &str,
    listener: &Listener,
) -> Result<(Watching, Running), Error> {
    let started = std::time::Instant::now();
    for (folder, mode) in folders {
        files(folder, *mode == RecursiveMode::Recursive)
            .iter()
            .filter(|file| file.is_file())
            .for_each(|file| drop(std::fs::read(file)));
    }
    let every = (started.elapsed() * POLLING_SHARE).clamp(POLLING_MIN, POLLING_MAX);
    let (sender, fs_events) = mpsc::unbounded_channel();
    let failed = |error: notify::Error| Error::Watch {
        reason: error.to_string(),
    };
    let mut watcher = PollWatcher::new(
        move |event| send(&sender, event),
        Config::default()
            .with_poll_interval(every)
            .with_compare_contents(true),
    )
    .map_err(failed)?;
    for (folder, mode) in folders {
        watcher.watch(folder, *mode).map_err(failed)?;
    }
    listener(Notice::Polling {
        every,
        reason: reason.to_owned(),
    });
    Ok((Watching::Polling(every), (Box::new(watcher), fs_events)))
}

fn send(sender: &mpsc::UnboundedSender<FsEvent>, event: notify::Result<notify::Event>) {
    let events = match event {
        Ok(event) if event.need_rescan() => vec![FsEvent::Overflow],
        // A compiler reads all files.
        Ok(event) if matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write)) => {
            Vec::new()
        }
        Ok(event) => event.paths.into_iter().map(FsEvent::Changed).collect(),
        Err(error) if matches!(error.kind, ErrorKind::MaxFilesWatch) => {
            vec![FsEvent::Failed(why(&error))]
        }
        // A file that was removed before it could be read.
        Err(error) => error.paths.into_iter().map(FsEvent::Changed).collect(),
    };
    for event in events {
        // The watcher was dropped.
        let _gone = sender.send(event);
    }
}

fn why(error: &notify::Error) -> String {
    match error.kind {
        ErrorKind::MaxFilesWatch => {
            "the system's limit of watched folders is reached (more: sudo sysctl fs.inotify.max_user_watches=524288)".to_owned()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Workspace;

    fn workspace() -> (tempfile::TempDir, Workspace) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("members/app/src")).unwrap();
        std::fs::create_dir_all(folder.path().join("target")).unwrap();
        std::fs::write(folder.path().join("Cargo.toml"), "").unwrap();
        let workspace = Workspace::scratch(folder.path());
        (folder, workspace)
    }

    async fn watch(workspace: &Workspace) -> Watcher {
        let settings = vec![workspace.root.join(".env")];
        let sources = Sources::new(workspace, settings, None);
        let listener: Listener = Arc::new(drop);
        Watcher::start(sources, &workspace.root.join("target/probe"), &listener)
            .await
            .unwrap()
    }

    /// Waits until a change of a file is reported.
    async fn expect(watcher: &mut Watcher, file: &Path) {
        while !watcher.changed().await.contains(file) {}
    }

    #[tokio::test]
    async fn every_way_to_write_a_file_is_detected() {
        let (_folder, workspace) = workspace();
        let root = &workspace.root;
        let mut watcher = watch(&workspace).await;
        assert_eq!(watcher.watching(), Watching::Events);
        let src = root.join("members/app/src");
        let files: BTreeSet<PathBuf> = (0..500).map(|n| src.join(format!("f{n}.rs"))).collect();
        for file in &files {
            std::fs::write(file, "").unwrap();
            std::fs::write(file, "fn f() {}").unwrap();
        }
        std::fs::write(src.join(".f1.rs.swp"), "").unwrap();
        std::fs::write(root.join("target/noise.rs"), "").unwrap();
        let mut seen = BTreeSet::new();
        while seen != files {
            seen.extend(watcher.changed().await);
            assert!(
                seen.is_subset(&files),
                "{:?}",
                seen.difference(&files).collect::<Vec<_>>()
            );
        }

        // By renaming, as careful editors do; and a folder at once.
        std::fs::write(src.join(".new"), "fn g() {}").unwrap();
        std::fs::rename(src.join(".new"), src.join("f1.rs")).unwrap();
        expect(&mut watcher, &src.join("f1.rs")).await;
        std::fs::create_dir(root.join("elsewhere")).unwrap();
        std::fs::write(root.join("elsewhere/lib.rs"), "").unwrap();
        std::fs::rename(root.join("elsewhere"), src.join("module")).unwrap();
        expect(&mut watcher, &src.join("module/lib.rs")).await;
        std::fs::write(src.join("module/lib.rs"), "fn h() {}").unwrap();
        expect(&mut watcher, &src.join("module/lib.rs")).await;
    }

    #[tokio::test]
    async fn edits_behind_links_to_files_and_folders_are_detected() {
        let (folder, workspace) = workspace();
        let elsewhere = tempfile::tempdir().unwrap();
        let (root, outside) = (&workspace.root, elsewhere.path().canonicalize().unwrap());
        let src = root.join("members/app/src");
        std::fs::create_dir_all(outside.join("folder")).unwrap();
        std::fs::create_dir_all(root.join("members/shared")).unwrap();
        for (file, link) in [
            (outside.join("a.rs"), src.join("a.rs")),
            (outside.join("env"), root.join(".env")),
            (root.join("members/shared/b.rs"), src.join("b.rs")),
        ] {
            std::fs::write(&file, "").unwrap();
            std::os::unix::fs::symlink(file, link).unwrap();
        }
        std::fs::write(outside.join("folder/c.rs"), "").unwrap();
        std::os::unix::fs::symlink(outside.join("folder"), src.join("linked")).unwrap();
        // A link to its own folder is harmless.
        std::os::unix::fs::symlink(&src, src.join("round")).unwrap();

        let mut watcher = watch(&workspace).await;
        for (edited, source) in [
            (outside.join("a.rs"), src.join("a.rs")),
            (outside.join("env"), root.join(".env")),
            (root.join("members/shared/b.rs"), src.join("b.rs")),
            (outside.join("folder/c.rs"), src.join("linked/c.rs")),
        ] {
            std::fs::write(&edited, "fn f() {}").unwrap();
            expect(&mut watcher, &source).await;
            // Some editors save in this way.
            std::fs::write(edited.with_extension("new"), "fn g() {}").unwrap();
            std::fs::rename(edited.with_extension("new"), &edited).unwrap();
            expect(&mut watcher, &source).await;
        }

        // A new link, and a link that is replaced by a file with another time.
        std::fs::write(outside.join("late.rs"), "").unwrap();
        std::os::unix::fs::symlink(outside.join("late.rs"), src.join("late.rs")).unwrap();
        expect(&mut watcher, &src.join("late.rs")).await;
        std::fs::write(outside.join("late.rs"), "fn f() {}").unwrap();
        expect(&mut watcher, &src.join("late.rs")).await;
        let old = folder.path().join("old.rs");
        std::fs::write(&old, "fn old() {}").unwrap();
        std::fs::File::options()
            .write(true)
            .open(&old)
            .unwrap()
            .set_modified(std::time::UNIX_EPOCH)
            .unwrap();
        std::fs::rename(old, src.join("a.rs")).unwrap();
        expect(&mut watcher, &src.join("a.rs")).await;
    }

    #[tokio::test]
    async fn files_are_polled_after_the_events_failed() {
        let (_folder, workspace) = workspace();
        let root = &workspace.root;
        let mut watcher = watch(&workspace).await;
        watcher.take(FsEvent::Failed("a test".to_owned()));
        assert!(matches!(
            watcher.watching(),
            Watching::Polling(every) if every >= POLLING_MIN
        ));
        let file = root.join(".env");
        std::fs::write(&file, "A=1").unwrap();
        expect(&mut watcher, &file).await;
    }
}
