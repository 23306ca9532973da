use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small file system in memory, unmounted with its value.
#[derive(Debug)]
pub struct SmallDisk {
    mount_point: PathBuf,
    size: usize,
}

impl SmallDisk {
    /// Mounts one. Reports the test as skipped and returns `None` where this user may not mount.
    ///
    /// # Panics
    /// If the mount point cannot be created, or everything is required.
    #[must_use]
    #[track_caller]
    pub fn mount(at: &Path, megabytes: u32) -> Option<Self> {
        fs::create_dir_all(at).expect("the mount point can be created");
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={megabytes}m,mode=0755"),
                "tmpfs",
            ])
            .arg(at)
            .output()
            .is_ok_and(|mounted| mounted.status.success());
        crate::met(
            mounted,
            "the right to mount a file system",
            "run the tests as root",
        )
        .then(|| Self {
            mount_point: at.to_owned(),
            size: megabytes as usize * (1 << 20),
        })
    }

    /// Fills the file system. Returns the file that fills it.
    ///
    /// # Panics
    /// If more than its size can be written.
    #[must_use]
    pub fn fill(&self) -> PathBuf {
        let filler = self.mount_point.join("filler");
        fs::write(&filler, vec![0; self.size + 1]).expect_err("the file system is smaller");
        filler
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _gone = Command::new("umount")
            .arg("--lazy")
            .arg(&self.mount_point)
            .status();
    }
}
