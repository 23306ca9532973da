//! File systems that other machines write to, without events on this one.

use std::path::Path;

/// Returns the kind of file system of a folder if it belongs to another machine, or to the host of a virtual machine.
#[cfg(target_os = "linux")]
pub(super) fn remote(folder: &Path) -> Option<&'static str> {
    use nix::sys::statfs::{FUSE_SUPER_MAGIC, FsType, NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, statfs};
    // Numbers of statfs(2) that nix does not name.
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

/// The event interfaces of other systems cover them.
#[cfg(not(target_os = "linux"))]
pub(super) fn remote(_: &Path) -> Option<&'static str> {
    None
}
