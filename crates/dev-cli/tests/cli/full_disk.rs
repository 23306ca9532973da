//! A disk that is full: said, with no damage; and nothing of it where only logs are lost.

use std::fs;
use std::path::Path;

use crate::support::Scratch;
use crate::support::processes::expect_none;
use crate::support::small_disk::SmallDisk;

fn expect_empty(folder: &Path) {
    let left: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn while_the_database_is_made() {
    let scratch = Scratch::new();
    let Some(disk) = SmallDisk::mount(scratch.path("data"), 12) else {
        return;
    };
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
    let Some(disk) = SmallDisk::mount(scratch.path("data/logs"), 1) else {
        return;
    };
    let filler = disk.fill();
    scratch.up();
    scratch.ok(&["db", "shell", "-c", "select 1"]);
    scratch.ok(&["restart", "api"]);
    scratch.ok(&["status"]);
    fs::remove_file(filler).unwrap();
    scratch.ok(&["down"]);
    expect_none(scratch.root());
}
