//! A disk that is full: said, with no damage; and nothing of it where only logs are lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Scratch;
use crate::support::processes::expect_none;

/// A small disk, where this user may mount one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf, megabytes: u32) -> Option<Self> {
        fs::create_dir_all(&at).unwrap();
        let size = format!("size={megabytes}m,mode=0755");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at).output();
        mounted.is_ok_and(|mounted| mounted.status.success()).then(|| Self(at))
    }

    fn fill(&self) -> PathBuf {
        let filler = self.0.join("filler");
        fs::write(&filler, vec![0; 64 << 20]).expect_err("it is smaller");
        filler
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn expect_empty(folder: &Path) {
    let left: Vec<_> = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn while_the_database_is_made() {
    let scratch = Scratch::new();
    let Some(disk) = SmallDisk::mount(scratch.path("data"), 12) else { return };
    let refused = scratch.dev(&["up", "--detach"]).expect_code(1);
    refused.says("disk");
    refused.says("full");
    expect_none(scratch.root());
    expect_empty(&scratch.path("data/postgres"));
    drop(disk);
    scratch.up();
}

#[test]
fn of_the_logs() {
    let scratch = Scratch::new();
    let Some(disk) = SmallDisk::mount(scratch.path("data/logs"), 1) else { return };
    let filler = disk.fill();
    scratch.up();
    scratch.ok(&["db", "shell", "-c", "select 1"]);
    scratch.ok(&["restart", "api"]);
    scratch.ok(&["status"]);
    fs::remove_file(filler).unwrap();
    scratch.ok(&["down"]);
    expect_none(scratch.root());
}
