//! A disk that is full: said, with no damage; and nothing of it where only logs are lost.

use std::fs;
use std::path::Path;

use test_needs::SmallDisk;

use crate::support::Scratch;
use crate::support::processes::expect_none;

fn expect_empty(folder: &Path) {
    let left: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn up_reports_a_full_disk_and_leaves_no_half_made_database() {
    let scratch = Scratch::new();
    let Some(disk) = SmallDisk::mount(&scratch.path("data"), 12) else {
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
fn up_works_while_the_disk_of_the_logs_is_full() {
    let scratch = Scratch::new();
    let Some(disk) = SmallDisk::mount(&scratch.path("data/logs"), 1) else {
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
