//! Cargo goes by the times of files: a change that bears an older time than the last build (a file that was moved back to its
//! place, a clock that was set back) is none to it, and old code would go on to answer.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::watch::files;

/// Lets cargo compile anew what it built of the service's own crates since the times that changed files bear. None is aged where these
/// are newer than all that was built, as they are where somebody has just written them.
///
/// # Errors
/// What was built cannot be looked at, or written.
pub(crate) fn distrust(build_folder: &Path, changed: &BTreeSet<PathBuf>) -> io::Result<()> {
    let time = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified());
    // What is gone is missed in any case.
    let Some(oldest) = changed.iter().filter_map(|file| time(file).ok()).min() else { return Ok(()) };
    let built = build_folder.join("debug/.fingerprint");
    if !built.exists() {
        return Ok(());
    }
    // Beside each crate's fingerprint lies the list of its files, whose time theirs are compared with
    // (https://doc.rust-lang.org/nightly/nightly-rustc/cargo/core/compiler/fingerprint).
    for folder in std::fs::read_dir(built)? {
        let folder = folder?;
        if !folder.file_name().to_string_lossy().starts_with("emotionviz") {
            continue;
        }
        for list in files(&folder.path(), false) {
            let is_list = list.file_name().is_some_and(|name| name.to_string_lossy().starts_with("dep-"));
            // One that is gone by now is missed by cargo.
            if is_list && time(&list).is_ok_and(|built| built >= oldest) {
                match File::options().write(true).open(list) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    list => list?.set_modified(SystemTime::UNIX_EPOCH)?,
                }
            }
        }
    }
    Ok(())
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
        let [before, since, other, fingerprint] = [("core-1/dep-lib", 30), ("db-1/dep-lib", 10), ("db-1/output", 10), ("db-1/lib", 10)]
            .map(|(name, age)| save(&format!("debug/.fingerprint/emotionviz-{name}"), age));
        let foreign = save("debug/.fingerprint/serde-1/dep-lib", 10);
        let lists = [&before, &since, &other, &fingerprint, &foreign];

        let times = lists.map(of);
        distrust(folder.path(), &BTreeSet::from([save("new.rs", 0), folder.path().join("gone.rs")])).unwrap();
        assert_eq!(lists.map(of), times, "cargo sees a time that is newer than all");

        distrust(folder.path(), &BTreeSet::from([save("new.rs", 0), save("moved.rs", 20)])).unwrap();
        let aged: Vec<_> = lists.into_iter().filter(|path| of(path) == SystemTime::UNIX_EPOCH).collect();
        assert_eq!(aged, [&since]);

        distrust(&folder.path().join("nothing"), &BTreeSet::from([save("moved.rs", 20)])).unwrap();
    }
}
