//! Free space of disks.

use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

/// A program that writes in pieces of up to 16 MB fails with less, and does not always report the reason.
const HARDLY_ANYTHING: u64 = 1 << 20;

/// Returns the bytes that this process can write to the disk of `path`, or `None` if the system does not report them.
pub fn free(path: &Path) -> Option<u64> {
    let disk = statvfs(path).ok()?;
    // The types differ between systems.
    #[allow(clippy::useless_conversion)]
    let (blocks, size) = (
        u64::from(disk.blocks_available()),
        u64::from(disk.fragment_size()),
    );
    Some(blocks.saturating_mul(size))
}

/// Returns whether an operation failed because a disk or a quota is full.
pub fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    )
}

/// Returns whether a program reports a full disk or quota, in the words of strerror(3) (`LC_ALL=C`) or of apt.
pub fn is_reported_full(text: &str) -> bool {
    let text = text.to_lowercase();
    [
        "no space left on device",
        "disk quota exceeded",
        "have enough free space",
    ]
    .iter()
    .any(|words| text.contains(words))
}

/// Returns whether a program that writes below `path` failed because the disk is full: it reports that, or there is hardly any space.
pub fn explains<'a>(path: &Path, texts: impl IntoIterator<Item = &'a str>) -> bool {
    texts.into_iter().any(is_reported_full)
        || path
            .ancestors()
            .find_map(free)
            .is_some_and(|bytes| bytes < HARDLY_ANYTHING)
}

/// Returns the outermost folder on the same disk.
pub fn mount(folder: &Path) -> PathBuf {
    let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let device = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.dev()).ok();
    let disk = device(&real);
    real.ancestors()
        .take_while(|above| device(above) == disk)
        .last()
        .unwrap_or(&real)
        .to_owned()
}

/// Formats bytes as megabytes.
pub fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_recognised_in_errors_and_in_texts() {
        assert!(is_full(&ErrorKind::StorageFull.into()));
        assert!(is_full(&ErrorKind::QuotaExceeded.into()));
        assert!(!is_full(&ErrorKind::NotFound.into()));
        assert!(is_reported_full("could not write: No space left on device"));
        assert!(is_reported_full("Disk quota exceeded"));
        assert!(!is_reported_full("connection refused"));
    }

    #[test]
    fn a_program_that_reports_a_full_disk_failed_because_of_it() {
        let absent = tempfile::tempdir().unwrap().path().join("absent");
        assert!(explains(
            &absent,
            ["fine", "could not write: No space left on device"]
        ));
        assert!(!explains(&absent, ["connection refused"]));
    }

    #[test]
    fn a_disk_has_a_mount_point_and_a_size() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free(folder.path()).is_some_and(|bytes| bytes > 0));
        assert!(
            folder
                .path()
                .canonicalize()
                .unwrap()
                .starts_with(mount(folder.path()))
        );
        assert_eq!(megabytes(23_456_789), "23.4 MB");
    }
}
