//! Cargo goes by the times of files: a change that bears an older time than the last build (a file that was moved back to its
//! place, a clock that was set back) is none to it, and old code would go on to answer.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::service::build_folder;
use crate::watch::files;

/// Lets cargo compile anew what was built of the service's own crates, where a file that changed is older than that.
///
/// # Errors
/// What was built cannot be written.
pub(crate) fn distrust(root: &Path, changed: &BTreeSet<PathBuf>) -> io::Result<()> {
    let time = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified());
    let Ok(built) = time(&build_folder(root).join("debug/emotionviz")) else { return Ok(()) };
    // What is gone is missed in any case.
    if !changed.iter().any(|file| time(file).is_ok_and(|time| time <= built)) {
        return Ok(());
    }
    // Beside each crate's fingerprint lies the list of its files, whose time theirs are compared with
    // (https://doc.rust-lang.org/nightly/nightly-rustc/cargo/core/compiler/fingerprint).
    for folder in std::fs::read_dir(intermediates(root).join("debug/.fingerprint")).into_iter().flatten().flatten() {
        if !folder.file_name().to_string_lossy().starts_with("emotionviz") {
            continue;
        }
        for list in files(&folder.path(), false) {
            if list.file_name().is_some_and(|name| name.to_string_lossy().starts_with("dep-")) {
                File::options().write(true).open(list)?.set_modified(SystemTime::UNIX_EPOCH)?;
            }
        }
    }
    Ok(())
}

/// Where cargo has what it needs for itself (`build.build-dir`).
fn intermediates(root: &Path) -> PathBuf {
    match std::env::var_os("CARGO_BUILD_BUILD_DIR").filter(|given| !given.is_empty()) {
        Some(given) => root.join(given),
        None => build_folder(root),
    }
}
