//! Whether a folder is one that others write to without this system hearing of it.

use std::path::Path;

/// The kind of file system that a folder is on, where that is one of another machine, or of a virtual machine's host.
#[cfg(target_os = "linux")]
pub(super) fn remote(folder: &Path) -> Option<&'static str> {
    use nix::sys::statfs::{FUSE_SUPER_MAGIC, FsType, NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, statfs};
    // statfs(2) lists those that the library does not name.
    const CIFS: FsType = FsType(0xFF53_4D42);
    const SMB2: FsType = FsType(0xFE53_4D42);
    const PLAN9: FsType = FsType(0x0102_1997);
    const VIRTUAL_BOX: FsType = FsType(0x786F_4256);
    let known = [
        (NFS_SUPER_MAGIC, "a network file system (NFS)"),
        (SMB_SUPER_MAGIC, "a network file system (SMB)"),
        (CIFS, "a network file system (SMB)"),
        (SMB2, "a network file system (SMB)"),
        (
            FUSE_SUPER_MAGIC,
            "a file system of another program or of a host (FUSE, virtiofs)",
        ),
        (PLAN9, "a host's file system (9p)"),
        (VIRTUAL_BOX, "a host's file system (VirtualBox)"),
    ];
    let kind = statfs(folder).ok()?.filesystem_type();
    known
        .into_iter()
        .find(|(known, _)| *known == kind)
        .map(|(_, name)| name)
}

/// Elsewhere the system's own watcher covers them.
#[cfg(not(target_os = "linux"))]
pub(super) fn remote(_: &Path) -> Option<&'static str> {
    None
}
