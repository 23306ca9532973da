//! Free space of a disk.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

/// Returns the bytes that this process can write to the disk of `folder`, or `None` if the system does not report them.
pub(crate) fn free(folder: &Path) -> Option<u64> {
    let disk = statvfs(folder).ok()?;
    // The types differ between systems.
    #[allow(clippy::useless_conversion)]
    let (blocks, size) = (
        u64::from(disk.blocks_available()),
        u64::from(disk.fragment_size()),
    );
    Some(blocks.saturating_mul(size))
}

/// Returns the outermost folder on the same disk.
pub(crate) fn mount(folder: &Path) -> PathBuf {
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
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_has_a_mount_point_and_a_size() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free(folder.path()).unwrap() > 0);
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
