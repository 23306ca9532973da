#![doc = include_str!("../README.md")]

mod report;
mod small_disk;

use std::path::Path;

use nix::unistd::{AccessFlags, Uid, access};

pub use report::{Skipped, read_report};
pub use small_disk::SmallDisk;

/// The variable that makes a missing need a failure, if its value is `required`.
pub const NEEDS: &str = "TEST_NEEDS";
/// The variable that names the file to which skipped tests are appended.
pub const REPORT: &str = "TEST_NEEDS_REPORT";

/// Reports that the machine lacks what the current test needs. The test has to return.
///
/// # Panics
/// If everything is required, or the report cannot be written.
#[track_caller]
pub fn skip(need: &str, hint: &str) {
    let required = std::env::var(NEEDS).is_ok_and(|value| value == "required");
    assert!(
        !required,
        "{NEEDS}=required, and this test needs {need}: {hint}"
    );
    eprintln!("skipped: this test needs {need}: {hint}");
    if let Some(file) = std::env::var_os(REPORT) {
        report::append(Path::new(&file), need, hint).expect("the report can be written");
    }
}

/// Returns whether a need is met, and reports the test as skipped if it is not.
#[must_use]
#[track_caller]
pub fn met(is_met: bool, need: &str, hint: &str) -> bool {
    if !is_met {
        skip(need, hint);
    }
    is_met
}

/// Returns whether a program is in the `PATH`, and reports the test as skipped if it is not.
#[must_use]
#[track_caller]
pub fn program(name: &str, hint: &str) -> bool {
    met(has_program(name), name, hint)
}

/// Returns whether this process is root, and reports the test as skipped if it is not.
#[must_use]
#[track_caller]
pub fn root() -> bool {
    met(
        Uid::effective().is_root(),
        "the rights of root",
        "run the tests as root",
    )
}

fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .any(|file| file.is_file() && access(&file, AccessFlags::X_OK).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_in_the_path_only() {
        assert!(has_program("sh"));
        assert!(!has_program("no-such-program"));
    }
}
