//! Which files changed: told by the system, or found by looking where the system does not tell.

mod links;
mod place;
mod seen;
mod sources;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{
    Config, ErrorKind, EventKind, PollWatcher, RecommendedWatcher, RecursiveMode, Watcher as _,
};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::report::events::Events;
use crate::report::reload::Watching;
use crate::{Environment, Error};
use links::Links;

pub(crate) use seen::Seen;
pub(crate) use sources::{Sources, dependencies, files, has_extension};

/// A save is over when nothing more came for this long: editors write twice, and git writes many files.
const QUIET: Duration = Duration::from_millis(30);
/// What never rests is taken as it is after this.
const LONGEST_SAVE: Duration = Duration::from_secs(1);
/// How long the system may take to tell of the first change.
const TEST_BOUND: Duration = Duration::from_secs(2);
/// Looking at the files may cost this part of the time…
const LOOKING: u32 = 100;
/// …and happens within these bounds.
const OFTEN: Duration = Duration::from_millis(500);
const SELDOM: Duration = Duration::from_secs(10);

/// What the system's watcher said.
enum Told {
    /// This changed.
    Path(PathBuf),
    /// So much did that it lost count.
    Everything,
    /// It cannot go on.
    Lost(String),
}

/// Watches the files of a checkout that the service is made of.
pub(crate) struct Watcher {
    /// What is watched for.
    pub(crate) sources: Sources,
    links: Links,
    told: mpsc::UnboundedReceiver<Told>,
    watcher: Box<dyn notify::Watcher>,
    watching: Watching,
    events: Events,
    /// What is known to have changed, and since when.
    changed: BTreeSet<PathBuf>,
    since: Option<Instant>,
}

impl Watcher {
    /// Watches from now on. Where the system does not tell of changes the files are looked at, which is said.
    ///
    /// # Errors
    /// The files cannot be read.
    pub(crate) async fn start(
        environment: &Environment,
        sources: Sources,
        events: &Events,
    ) -> Result<Self, Error> {
        let folders = sources.folders();
        let told = match place::remote(environment.checkout.root()) {
            Some(kind) => Err(format!(
                "the checkout is on {kind}, where changes from outside are not told"
            )),
            None => by_events(&folders, &environment.watch_test()).await,
        };
        let (watching, (watcher, told)) = match told {
            Ok(watcher) => (Watching::Events, watcher),
            Err(reason) => looking(&folders, &reason, events)?,
        };
        let links = Links::default();
        let mut watcher = Self {
            sources,
            links,
            told,
            watcher,
            watching,
            events: events.clone(),
            changed: BTreeSet::new(),
            since: None,
        };
        watcher.watch_links();
        Ok(watcher)
    }

    /// Adds the source files of a program that cargo has built.
    pub(crate) fn learn(&mut self, program: &Path) {
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
            if let Err(error) = self.watcher.watch(&folder, RecursiveMode::NonRecursive) {
                self.events
                    .warn(format!("{} cannot be watched: {error}", folder.display()));
            }
        }
    }

    /// How changes are noticed.
    pub(crate) fn watching(&self) -> Watching {
        self.watching
    }

    /// Waits for the next save, and returns all of its files: what matters of them, whether it exists or does not any more.
    /// Cancel safe.
    pub(crate) async fn changed(&mut self) -> BTreeSet<PathBuf> {
        loop {
            let end = self
                .since
                .map(|since| (Instant::now() + QUIET).min(since + LONGEST_SAVE));
            let told = async {
                match end {
                    Some(end) => tokio::time::timeout_at(end, self.told.recv()).await.ok(),
                    None => Some(self.told.recv().await),
                }
            };
            match told.await {
                Some(Some(told)) => self.take(told),
                None => {
                    self.since = None;
                    return std::mem::take(&mut self.changed);
                }
                // The watcher's thread has ended, which it does not by itself.
                Some(None) => std::future::pending().await,
            }
        }
    }

    fn take(&mut self, told: Told) {
        match told {
            Told::Path(path) if self.changed.contains(&path) => {}
            Told::Path(path) => {
                self.watch_if_new_folder(&path);
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
            Told::Everything => {
                for (folder, _) in self.sources.folders() {
                    self.changed.extend(self.sources.that_matter(&folder));
                }
            }
            Told::Lost(reason) => match looking(&self.sources.folders(), &reason, &self.events) {
                Ok((watching, (watcher, told))) => {
                    (self.watching, self.watcher, self.told) = (watching, watcher, told)
                }
                Err(error) => self.events.warn(format!(
                    "{error}\nchanges are not noticed any more: cargo dev down, then cargo dev up"
                )),
            },
        }
        if !self.changed.is_empty() {
            self.since.get_or_insert_with(Instant::now);
        }
    }

    fn watch_if_new_folder(&mut self, path: &Path) {
        if self.sources.is_watched_folder(path)
            && let Err(error) = self.watcher.watch(path, RecursiveMode::Recursive)
        {
            self.events
                .warn(format!("{} cannot be watched: {error}", path.display()));
        }
    }
}

type Folders = [(PathBuf, RecursiveMode)];
type Running = (Box<dyn notify::Watcher>, mpsc::UnboundedReceiver<Told>);

/// A watcher that the system tells, once it has been seen to do so.
async fn by_events(folders: &Folders, test: &Path) -> Result<Running, String> {
    let (sender, mut told) = mpsc::unbounded_channel();
    let mut watcher = RecommendedWatcher::new(move |event| tell(&sender, event), Config::default())
        .map_err(|error| why(&error))?;
    let scratch = test.parent().expect("the file lies in a folder");
    watcher
        .watch(scratch, RecursiveMode::NonRecursive)
        .map_err(|error| why(&error))?;
    let before = std::fs::metadata(scratch).and_then(|folder| folder.modified());
    std::fs::write(test, "").map_err(|error| error.to_string())?;
    let name = test.file_name();
    let seen = async {
        while !matches!(told.recv().await, Some(Told::Path(path)) if path.file_name() == name) {}
    };
    let seen = tokio::time::timeout(TEST_BOUND, seen).await;
    // It has done its work, seen or not.
    let _gone = std::fs::remove_file(test);
    seen.map_err(|_| "the system does not tell of changes in this folder".to_owned())?;
    watcher.unwatch(scratch).map_err(|error| why(&error))?;
    // In the container the folder is that of the migrations: where its time is another one cargo embeds them again.
    if let Ok(before) = before {
        let _another = std::fs::File::open(scratch).and_then(|folder| folder.set_modified(before));
    }
    for (folder, mode) in folders {
        watcher.watch(folder, *mode).map_err(|error| why(&error))?;
    }
    Ok((Box::new(watcher), told))
}

/// A watcher that looks at the files, as often as costs little.
fn looking(folders: &Folders, reason: &str, events: &Events) -> Result<(Watching, Running), Error> {
    let started = std::time::Instant::now();
    for (folder, mode) in folders {
        let files = sources::files(folder, *mode == RecursiveMode::Recursive);
        files
            .iter()
            .filter(|file| file.is_file())
            .for_each(|file| drop(std::fs::read(file)));
    }
    let every = (started.elapsed() * LOOKING).clamp(OFTEN, SELDOM);
    let (sender, told) = mpsc::unbounded_channel();
    let failed = |error: notify::Error| Error::Watch {
        reason: error.to_string(),
    };
    let mut watcher = PollWatcher::new(
        move |event| tell(&sender, event),
        Config::default()
            .with_poll_interval(every)
            .with_compare_contents(true),
    )
    .map_err(failed)?;
    for (folder, mode) in folders {
        watcher.watch(folder, *mode).map_err(failed)?;
    }
    events.note(format!(
        "files are looked at every {} ms for changes: {reason}",
        every.as_millis()
    ));
    let every_ms = u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
    Ok((Watching::Polling { every_ms }, (Box::new(watcher), told)))
}

fn tell(sender: &mpsc::UnboundedSender<Told>, event: notify::Result<notify::Event>) {
    let told = match event {
        Ok(event) if event.need_rescan() => vec![Told::Everything],
        // Reading changes nothing, and a compiler reads all.
        Ok(event) if matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write)) => {
            Vec::new()
        }
        Ok(event) => event.paths.into_iter().map(Told::Path).collect(),
        Err(error) if matches!(error.kind, ErrorKind::MaxFilesWatch) => {
            vec![Told::Lost(why(&error))]
        }
        // A file that was gone before it could be looked at.
        Err(error) => error.paths.into_iter().map(Told::Path).collect(),
    };
    for told in told {
        // Nobody listens any more.
        let _gone = sender.send(told);
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
    use super::*;

    fn environment() -> (tempfile::TempDir, Environment) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("backend/app/src")).unwrap();
        std::fs::create_dir_all(folder.path().join("data/run")).unwrap();
        std::fs::write(folder.path().join("Cargo.toml"), "").unwrap();
        std::fs::write(folder.path().join("backend/.env.example"), "").unwrap();
        let environment = Environment::find(folder.path(), []).unwrap();
        (folder, environment)
    }

    fn quiet() -> Events {
        Events::new(|_| {})
    }

    /// Waits until a file is said to have changed.
    async fn expect(watcher: &mut Watcher, file: &Path) {
        while !watcher.changed().await.contains(file) {}
    }

    #[tokio::test]
    async fn whatever_way_files_are_written() {
        let (_folder, environment) = environment();
        let checkout = &environment.checkout;
        let mut watcher = Watcher::start(&environment, Sources::new(checkout, None), &quiet())
            .await
            .unwrap();
        assert_eq!(watcher.watching(), Watching::Events);
        let src = checkout.root().join("backend/app/src");
        let files: BTreeSet<PathBuf> = (0..500).map(|n| src.join(format!("f{n}.rs"))).collect();
        for file in &files {
            std::fs::write(file, "").unwrap();
            std::fs::write(file, "fn f() {}").unwrap();
        }
        std::fs::write(src.join(".f1.rs.swp"), "").unwrap();
        std::fs::write(checkout.root().join("data/noise.rs"), "").unwrap();
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
        std::fs::create_dir(checkout.root().join("elsewhere")).unwrap();
        std::fs::write(checkout.root().join("elsewhere/lib.rs"), "").unwrap();
        std::fs::rename(checkout.root().join("elsewhere"), src.join("module")).unwrap();
        expect(&mut watcher, &src.join("module/lib.rs")).await;
        std::fs::write(src.join("module/lib.rs"), "fn h() {}").unwrap();
        expect(&mut watcher, &src.join("module/lib.rs")).await;
    }

    #[tokio::test]
    async fn edits_behind_links_to_files_and_folders_are_detected() {
        let (folder, environment) = environment();
        let elsewhere = tempfile::tempdir().unwrap();
        let (checkout, outside) = (
            &environment.checkout,
            elsewhere.path().canonicalize().unwrap(),
        );
        let src = checkout.root().join("backend/app/src");
        std::fs::create_dir_all(outside.join("folder")).unwrap();
        std::fs::create_dir_all(checkout.root().join("backend/shared")).unwrap();
        for (file, link) in [
            (outside.join("a.rs"), src.join("a.rs")),
            (outside.join("env"), checkout.env_file()),
            (
                checkout.root().join("backend/shared/b.rs"),
                src.join("b.rs"),
            ),
        ] {
            std::fs::write(&file, "").unwrap();
            std::os::unix::fs::symlink(file, link).unwrap();
        }
        std::fs::write(outside.join("folder/c.rs"), "").unwrap();
        std::os::unix::fs::symlink(outside.join("folder"), src.join("linked")).unwrap();
        // A link to its own folder is harmless.
        std::os::unix::fs::symlink(&src, src.join("round")).unwrap();

        let mut watcher = Watcher::start(&environment, Sources::new(checkout, None), &quiet())
            .await
            .unwrap();
        for (edited, source) in [
            (outside.join("a.rs"), src.join("a.rs")),
            (outside.join("env"), checkout.env_file()),
            (
                checkout.root().join("backend/shared/b.rs"),
                src.join("b.rs"),
            ),
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
    async fn looked_at_where_the_system_does_not_tell() {
        let (_folder, environment) = environment();
        let checkout = &environment.checkout;
        let mut watcher = Watcher::start(&environment, Sources::new(checkout, None), &quiet())
            .await
            .unwrap();
        watcher.take(Told::Lost("a test".to_owned()));
        assert!(matches!(
            watcher.watching(),
            Watching::Polling { every_ms: 500.. }
        ));
        let file = checkout.root().join(".env");
        std::fs::write(&file, "A=1").unwrap();
        expect(&mut watcher, &file).await;
    }
}
