//! Whether a disk is full, which shows itself in whatever was writing.

use std::path::Path;

use nix::sys::statvfs::statvfs;

/// PostgreSQL writes in pieces of 8 KB and 16 MB, and does not always say why one failed.
const HARDLY_ANYTHING: u64 = 1 << 20;

/// Whether what failed, failed for want of room: it says so, or there is none below `path` now.
pub(super) fn is_full<'a>(path: &Path, words: impl IntoIterator<Item = &'a str>) -> bool {
    words.into_iter().any(|words| {
        words.contains("No space left on device") || words.contains("Disk quota exceeded")
    }) || path
        .ancestors()
        .find_map(|folder| statvfs(folder).ok())
        .is_some_and(|disk| {
            // The types differ between systems.
            #[allow(clippy::useless_conversion)]
            let (blocks, size) = (
                u64::from(disk.blocks_available()),
                u64::from(disk.fragment_size()),
            );
            blocks.saturating_mul(size) < HARDLY_ANYTHING
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_count() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("absent");
        assert!(is_full(
            &absent,
            ["fine", "could not write: No space left on device"]
        ));
        assert!(!is_full(&absent, ["connection refused"]));
    }
}
