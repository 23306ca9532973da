//! Changed sources that cargo does not notice.
//!
//! cargo compares modification times. A file that was moved or copied with an older time, or saved after the clock was set back, does not
//! look changed, and old code would be linked. So each build records the hashes of all sources, and the next build ages cargo's own lists
//! for the files that differ.

use std::collections::{BTreeSet, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use process::{FileLock, FileLockError};

use crate::workspace::{BUILD_BOUND, Members};
use crate::{Error, Listener, Notice, Sources, Workspace, files};

/// Opens and locks the file of hashes. Other builds wait until it is closed: a source that they compile meanwhile would count as new.
///
/// # Errors
/// The file cannot be written, or another build does not end.
pub(crate) async fn lock(workspace: &Workspace, listener: &Listener) -> Result<FileLock, Error> {
    let path = &workspace.sources_file;
    let failed = |source| Error::io("write", path, source);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let file =
        process::files::open(OpenOptions::new().read(true).write(true), path).map_err(failed)?;
    let waits = |holder| listener(Notice::Waiting { holder });
    match FileLock::acquire(file, path, BUILD_BOUND, waits).await {
        Ok(lock) => Ok(lock),
        Err(FileLockError::Held { waited, .. }) => Err(Error::Locked { waited }),
        Err(FileLockError::Io { source, .. }) => Err(failed(source)),
    }
}

/// Makes cargo notice every source that differs from the last build, whatever the result of that build was. Returns the locked file.
///
/// `build_dir`: the folder where cargo has its fingerprints.
///
/// # Errors
/// A list of cargo, or the file of hashes, cannot be written.
pub(crate) async fn age(
    workspace: &Workspace,
    hashes: FileLock,
    build_dir: PathBuf,
    members: &Members,
) -> Result<FileLock, Error> {
    let mut sources = Sources::new(workspace, Vec::new(), None);
    let packages = members.iter().map(|member| member.name.clone()).collect();
    let (program, path) = (workspace.program(), workspace.sources_file.clone());
    let compared = tokio::task::spawn_blocking(move || {
        sources.learn(&program);
        compare(&mut hashes.file(), &build_dir, &packages, &of(&sources))?;
        Ok(hashes)
    });
    compared
        .await
        .map_err(io::Error::other)
        .flatten()
        .map_err(|source| Error::io("write", &path, source))
}

/// Returns the files of the last program, and all Rust sources, which the next one may be built of.
fn of(sources: &Sources) -> BTreeSet<PathBuf> {
    let found = sources
        .folders()
        .into_iter()
        .flat_map(|(folder, _)| sources.that_matter(&folder))
        .chain(sources.rust());
    found.filter(|file| file.is_file()).collect()
}

/// Ages the lists for files that differ from the recorded hashes, and records the present ones. An aged list stays old until its crate is
/// compiled, so the record is true whatever the result of the build is. A file without a complete record counts as changed.
fn compare(
    hashes: &mut &File,
    build_dir: &Path,
    packages: &BTreeSet<String>,
    files: &BTreeSet<PathBuf>,
) -> io::Result<()> {
    let mut recorded = Vec::new();
    hashes.read_to_end(&mut recorded)?;
    let lines: HashSet<&[u8]> = recorded.split_inclusive(|byte| *byte == b'\n').collect();
    let mut now = String::new();
    let mut changed = BTreeSet::new();
    for file in files {
        let line = hash(file);
        if !line
            .as_ref()
            .is_some_and(|line| lines.contains(line.as_bytes()))
        {
            changed.insert(file.clone());
        }
        now.extend(line);
    }
    age_lists(build_dir, packages, &changed)?;
    if now.as_bytes() != recorded {
        hashes.rewind()?;
        hashes.set_len(0)?;
        hashes.write_all(now.as_bytes())?;
    }
    Ok(())
}

/// Returns a line with the hash of a file. `None`: the file was removed.
fn hash(file: &Path) -> Option<String> {
    Some(format!(
        "{}  {file:?}\n",
        process::files::sha256_of(file).ok()?
    ))
}

/// Makes cargo compile the crates of the workspace that were built at or after the oldest modification time of the changed files. Nothing
/// is aged if the files are newer than every list, as after an ordinary save.
fn age_lists(
    build_dir: &Path,
    packages: &BTreeSet<String>,
    changed: &BTreeSet<PathBuf>,
) -> io::Result<()> {
    let time = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified());
    // cargo notices a removed file.
    let Some(oldest) = changed.iter().filter_map(|file| time(file).ok()).min() else {
        return Ok(());
    };
    // Next to the fingerprint of each crate is the list of its files. cargo compares their modification times with that of the list, and
    // those of a build script with the time of its output
    // (https://doc.rust-lang.org/nightly/nightly-rustc/cargo/core/compiler/fingerprint). With `build.target` these folders are in a folder
    // with the name of the target, such as `aarch64-apple-darwin`.
    let is_target = |folder: &PathBuf| {
        folder
            .file_name()
            .is_some_and(|name| name.to_string_lossy().matches('-').count() >= 2)
    };
    let targets = folders(build_dir).into_iter().filter(is_target);
    let profiles = std::iter::once(build_dir.to_owned()).chain(targets);
    let kinds = profiles.flat_map(|folder| {
        [
            folder.join("debug/.fingerprint"),
            folder.join("debug/build"),
        ]
    });
    let of_members = kinds
        .flat_map(|kind| folders(&kind))
        .filter(|folder| package(folder).is_some_and(|name| packages.contains(name)));
    for list in of_members.flat_map(|folder| files(&folder, false)) {
        let is_list = list
            .file_name()
            .is_some_and(|name| name == "output" || name.to_string_lossy().starts_with("dep-"));
        if is_list && time(&list).is_ok_and(|built| built >= oldest) {
            match File::options().write(true).open(list) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                list => list?.set_modified(SystemTime::UNIX_EPOCH)?,
            }
        }
    }
    Ok(())
}

/// Returns the package of a folder of cargo's: `<package>-<hash>`.
pub(crate) fn package(folder: &Path) -> Option<&str> {
    Some(folder.file_name()?.to_str()?.rsplit_once('-')?.0)
}

/// Returns the entries of a folder.
pub(crate) fn folders(folder: &Path) -> Vec<PathBuf> {
    let found = std::fs::read_dir(folder).into_iter().flatten().flatten();
    found.map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    fn packages() -> BTreeSet<String> {
        ["app-core", "app-db"].map(str::to_owned).into()
    }

    #[test]
    fn lists_that_are_not_older_than_the_oldest_changed_file_are_aged() {
        let folder = tempfile::tempdir().unwrap();
        let save = |name: &str, age: u64| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let at = SystemTime::now() - Duration::from_secs(age);
            File::create(&path).unwrap().set_modified(at).unwrap();
            path
        };
        let of = |path: &PathBuf| std::fs::metadata(path).unwrap().modified().unwrap();
        let [
            before,
            since,
            script,
            targeted,
            fingerprint,
            foreign,
            longer,
        ] = [
            ("debug/.fingerprint/app-core-1/dep-lib", 30),
            ("debug/.fingerprint/app-db-1/dep-lib", 10),
            ("debug/build/app-db-1/output", 10),
            (
                "x86_64-unknown-linux-gnu/debug/.fingerprint/app-db-1/dep-lib",
                10,
            ),
            ("debug/.fingerprint/app-db-1/lib", 10),
            ("debug/.fingerprint/serde-1/dep-lib", 10),
            ("debug/build/app-db-sys-1/output", 10),
        ]
        .map(|(name, age)| save(name, age));
        let lists = [
            &before,
            &since,
            &script,
            &targeted,
            &fingerprint,
            &foreign,
            &longer,
        ];

        let times = lists.map(of);
        age_lists(
            folder.path(),
            &packages(),
            &BTreeSet::from([save("new.rs", 0), folder.path().join("gone.rs")]),
        )
        .unwrap();
        assert_eq!(
            lists.map(of),
            times,
            "cargo sees a time that is newer than all"
        );

        age_lists(
            folder.path(),
            &packages(),
            &BTreeSet::from([save("new.rs", 0), save("moved.rs", 20)]),
        )
        .unwrap();
        let aged: Vec<_> = lists
            .into_iter()
            .filter(|path| of(path) == SystemTime::UNIX_EPOCH)
            .collect();
        assert_eq!(aged, [&since, &script, &targeted]);

        age_lists(
            &folder.path().join("nothing"),
            &packages(),
            &BTreeSet::from([save("moved.rs", 20)]),
        )
        .unwrap();
    }

    /// A folder with sources that are older than what was built of them, and the record of their hashes.
    struct Built(tempfile::TempDir);

    impl Built {
        fn new() -> Self {
            let built = Self(tempfile::tempdir().unwrap());
            std::fs::create_dir_all(built.path("debug/.fingerprint/app-core-1")).unwrap();
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
            std::fs::write(self.path("debug/.fingerprint/app-core-1/dep-lib"), "").unwrap();
        }

        /// Compares, and returns whether the list was aged.
        fn is_aged(&self) -> bool {
            let hashes = File::options()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(self.path("hashes"))
                .unwrap();
            compare(
                &mut &hashes,
                self.0.path(),
                &packages(),
                &["a.rs", "b.rs"].map(|name| self.path(name)).into(),
            )
            .unwrap();
            let list =
                std::fs::metadata(self.path("debug/.fingerprint/app-core-1/dep-lib")).unwrap();
            list.modified().unwrap() == SystemTime::UNIX_EPOCH
        }
    }

    #[test]
    fn a_file_that_differs_from_its_recorded_hash_is_stale_until_it_is_compiled() {
        let built = Built::new();
        built.is_aged();
        built.build();
        assert!(!built.is_aged());
        built.save("a.rs", "new!");
        assert!(built.is_aged() && built.is_aged(), "until it is compiled");
        built.build();
        assert!(!built.is_aged());

        std::fs::rename(built.path("b.rs"), built.path("kept.rs")).unwrap();
        assert!(!built.is_aged(), "cargo notices a removed file");
        std::fs::rename(built.path("kept.rs"), built.path("b.rs")).unwrap();
        assert!(built.is_aged());
    }

    #[test]
    fn files_without_a_complete_record_are_stale() {
        let built = Built::new();
        assert!(built.is_aged(), "another program may have built");
        built.build();
        let hashes = std::fs::read(built.path("hashes")).unwrap();
        std::fs::write(built.path("hashes"), &hashes[..hashes.len() / 2]).unwrap();
        assert!(built.is_aged());
        built.build();
        std::fs::remove_file(built.path("hashes")).unwrap();
        assert!(built.is_aged());
    }

    #[tokio::test]
    async fn one_build_of_a_workspace_runs_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = Workspace::scratch(folder.path());
        let listener: Listener = Arc::new(drop);
        let first = lock(&workspace, &listener).await.unwrap();
        let mut second = std::pin::pin!(lock(&workspace, &listener));
        tokio::select! {
            biased;
            _ = &mut second => panic!("two builds run"),
            () = std::future::ready(()) => {}
        }
        drop(first);
        second.await.unwrap();
    }
}
