//! Cargo goes by the times of files: a change that bears an older time than the last build (a file that was moved or copied to its
//! place with the time that it had, a clock that was set back) is none to it, and old code would go on to answer. So each build notes
//! what the sources hold, and the next one looks what is different.

use std::collections::{BTreeSet, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::Checkout;
use crate::Error;
use crate::build::cargo::BUILD_BOUND;
use crate::build::watch::Sources;
use crate::build::watch::files;
use crate::report::events::Events;
use process::FileLock;
use process::FileLockError;
use process::files as owned;

/// Lets cargo see all that has changed since the last build, whenever that was and whatever came of it; `program` is where it puts the
/// service. Other builds of the checkout wait until what is returned is dropped: what they compile meanwhile would be taken for what is
/// new.
///
/// # Errors
/// What was built cannot be looked at, or written, or another build does not end.
pub(crate) async fn look(
    checkout: &Checkout,
    program: &Path,
    events: &Events,
) -> Result<FileLock, Error> {
    let folder = checkout.intermediate_folder();
    let path = folder.join(format!("sources-{}", checkout.hash()));
    let failed = |source| Error::io("write", &path, source);
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let note = owned::open(OpenOptions::new().read(true).write(true), &path).map_err(failed)?;
    let waits = |holder| events.phase(format!("waiting for the build of {holder}"));
    let note = match FileLock::acquire(note, &path, BUILD_BOUND, waits).await {
        Ok(lock) => lock,
        Err(FileLockError::Held { waited, .. }) => return Err(Error::OtherBuild { waited }),
        Err(FileLockError::Io { source, .. }) => return Err(failed(source)),
    };
    let (checkout, program) = (checkout.clone(), program.to_owned());
    let compared = tokio::task::spawn_blocking(move || {
        compare(
            &mut note.file(),
            &folder,
            &sources(&checkout, &program),
            program.exists(),
        )?;
        Ok(note)
    });
    compared
        .await
        .map_err(io::Error::other)
        .flatten()
        .map_err(failed)
}

/// The files that something may be built of: those of the last program, and Rust's, which may be those of the next.
fn sources(checkout: &Checkout, program: &Path) -> BTreeSet<PathBuf> {
    let mut sources = Sources::new(checkout, None);
    sources.learn(program);
    let found = sources
        .folders()
        .into_iter()
        .flat_map(|(folder, _)| sources.that_matter(&folder))
        .chain(sources.rust());
    found
        .filter(|file| !sources.is_settings(file) && file.is_file())
        .collect()
}

/// Distrusts what differs from the note, and notes what there is now: as what is distrusted stays so until it is compiled, that is true
/// whatever comes of the build. What a note does not say, as it is half or not there, has changed.
fn compare(
    note: &mut &File,
    folder: &Path,
    files: &BTreeSet<PathBuf>,
    was_built: bool,
) -> io::Result<()> {
    let mut noted = Vec::new();
    note.read_to_end(&mut noted)?;
    let lines: HashSet<&[u8]> = noted.split_inclusive(|byte| *byte == b'\n').collect();
    let mut now = String::new();
    let mut changed = BTreeSet::new();
    for file in files {
        let line = stamp(file);
        if !line
            .as_ref()
            .is_some_and(|line| lines.contains(line.as_bytes()))
        {
            changed.insert(file.clone());
        }
        now.extend(line);
    }
    // Before the first build of all there is nothing to distrust.
    if was_built || !noted.is_empty() {
        distrust(folder, &changed)?;
    }
    if now.as_bytes() != noted {
        note.rewind()?;
        note.set_len(0)?;
        note.write_all(now.as_bytes())?;
    }
    Ok(())
}

/// What a file holds, as a line; none of one that is gone.
fn stamp(file: &Path) -> Option<String> {
    Some(format!(
        "{}  {file:?}\n",
        process::files::sha256_of(file).ok()?
    ))
}

/// Lets cargo compile anew what it built of the service's own crates since the times that changed files bear. None is aged where these
/// are newer than all that was built, as they are where somebody has just written them.
fn distrust(build_folder: &Path, changed: &BTreeSet<PathBuf>) -> io::Result<()> {
    let time = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified());
    // What is gone is missed in any case.
    let Some(oldest) = changed.iter().filter_map(|file| time(file).ok()).min() else {
        return Ok(());
    };
    // Beside each crate's fingerprint lies the list of its files, whose time theirs are compared with, and that of those which a build
    // script reads with the time of what it printed (https://doc.rust-lang.org/nightly/nightly-rustc/cargo/core/compiler/fingerprint).
    // Where cargo is told what to build for (build.target), they lie in a folder of that name, `aarch64-apple-darwin` say.
    let is_target = |folder: &PathBuf| {
        folder
            .file_name()
            .is_some_and(|name| name.to_string_lossy().matches('-').count() >= 2)
    };
    let targets = folders(build_folder, "").into_iter().filter(is_target);
    let places = std::iter::once(build_folder.to_owned()).chain(targets);
    let kinds =
        places.flat_map(|place| [place.join("debug/.fingerprint"), place.join("debug/build")]);
    let lists = kinds.flat_map(|kind| folders(&kind, "emotionviz"));
    for list in lists.flat_map(|folder| files(&folder, false)) {
        let is_list = list
            .file_name()
            .is_some_and(|name| name == "output" || name.to_string_lossy().starts_with("dep-"));
        // One that is gone by now is missed by cargo.
        if is_list && time(&list).is_ok_and(|built| built >= oldest) {
            match File::options().write(true).open(list) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                list => list?.set_modified(SystemTime::UNIX_EPOCH)?,
            }
        }
    }
    Ok(())
}

/// The folders in a folder whose names begin so.
fn folders(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let found = std::fs::read_dir(folder).into_iter().flatten().flatten();
    found
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_built_since() {
        let folder = tempfile::tempdir().unwrap();
        let save = |name: &str, age: u64| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let at = SystemTime::now() - Duration::from_secs(age);
            File::create(&path).unwrap().set_modified(at).unwrap();
            path
        };
        let of = |path: &PathBuf| std::fs::metadata(path).unwrap().modified().unwrap();
        let [before, since, script, targeted, fingerprint, foreign] = [
            ("debug/.fingerprint/emotionviz-core-1/dep-lib", 30),
            ("debug/.fingerprint/emotionviz-db-1/dep-lib", 10),
            ("debug/build/emotionviz-db-1/output", 10),
            (
                "x86_64-unknown-linux-gnu/debug/.fingerprint/emotionviz-db-1/dep-lib",
                10,
            ),
            ("debug/.fingerprint/emotionviz-db-1/lib", 10),
            ("debug/.fingerprint/serde-1/dep-lib", 10),
        ]
        .map(|(name, age)| save(name, age));
        let lists = [&before, &since, &script, &targeted, &fingerprint, &foreign];

        let times = lists.map(of);
        distrust(
            folder.path(),
            &BTreeSet::from([save("new.rs", 0), folder.path().join("gone.rs")]),
        )
        .unwrap();
        assert_eq!(
            lists.map(of),
            times,
            "cargo sees a time that is newer than all"
        );

        distrust(
            folder.path(),
            &BTreeSet::from([save("new.rs", 0), save("moved.rs", 20)]),
        )
        .unwrap();
        let aged: Vec<_> = lists
            .into_iter()
            .filter(|path| of(path) == SystemTime::UNIX_EPOCH)
            .collect();
        assert_eq!(aged, [&since, &script, &targeted]);

        distrust(
            &folder.path().join("nothing"),
            &BTreeSet::from([save("moved.rs", 20)]),
        )
        .unwrap();
    }

    /// A folder with sources that are older than what was built of them, and their note.
    struct Built(tempfile::TempDir);

    impl Built {
        fn new() -> Self {
            let built = Self(tempfile::tempdir().unwrap());
            std::fs::create_dir_all(built.path("debug/.fingerprint/emotionviz-core-1")).unwrap();
            for name in ["a.rs", "b.rs"] {
                built.save(name, name);
            }
            built.build();
            built
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn save(&self, name: &str, text: &str) {
            std::fs::write(self.path(name), text).unwrap();
            let old = SystemTime::now() - Duration::from_secs(60);
            File::options()
                .write(true)
                .open(self.path(name))
                .unwrap()
                .set_modified(old)
                .unwrap();
        }

        fn build(&self) {
            std::fs::write(
                self.path("debug/.fingerprint/emotionviz-core-1/dep-lib"),
                "",
            )
            .unwrap();
        }

        /// Looks, and returns whether what was built is distrusted.
        fn is_distrusted(&self, was_built: bool) -> bool {
            let note = File::options()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(self.path("note"))
                .unwrap();
            compare(
                &mut &note,
                self.0.path(),
                &["a.rs", "b.rs"].map(|name| self.path(name)).into(),
                was_built,
            )
            .unwrap();
            let list = std::fs::metadata(self.path("debug/.fingerprint/emotionviz-core-1/dep-lib"))
                .unwrap();
            list.modified().unwrap() == SystemTime::UNIX_EPOCH
        }
    }

    #[test]
    fn what_differs_from_the_note() {
        let built = Built::new();
        assert!(
            !built.is_distrusted(false) && !built.is_distrusted(true),
            "noted by the first build"
        );
        built.save("a.rs", "new!");
        assert!(
            built.is_distrusted(true) && built.is_distrusted(true),
            "until it is compiled"
        );
        built.build();
        assert!(!built.is_distrusted(true));

        std::fs::rename(built.path("b.rs"), built.path("kept.rs")).unwrap();
        assert!(!built.is_distrusted(true), "cargo misses it");
        std::fs::rename(built.path("kept.rs"), built.path("b.rs")).unwrap();
        assert!(built.is_distrusted(true));
    }

    #[test]
    fn a_note_that_is_torn_or_gone() {
        let built = Built::new();
        assert!(
            built.is_distrusted(true),
            "it may be of a tool that noted nothing"
        );
        built.build();
        let note = std::fs::read(built.path("note")).unwrap();
        std::fs::write(built.path("note"), &note[..note.len() / 2]).unwrap();
        assert!(built.is_distrusted(false));
        built.build();
        std::fs::remove_file(built.path("note")).unwrap();
        assert!(!built.is_distrusted(false), "nothing was built");
        std::fs::remove_file(built.path("note")).unwrap();
        assert!(built.is_distrusted(true));
    }

    #[tokio::test]
    async fn one_build_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("backend")).unwrap();
        std::fs::write(folder.path().join("Cargo.toml"), "").unwrap();
        std::fs::write(folder.path().join("backend/.env.example"), "").unwrap();
        let checkout = Checkout::find(folder.path()).unwrap();
        let events = Events::silent();
        let look = || look(&checkout, Path::new("none"), &events);
        let first = look().await.unwrap();
        assert!(
            tokio::time::timeout(Duration::from_millis(100), look())
                .await
                .is_err()
        );
        drop(first);
        look().await.unwrap();
    }
}
