//! Checkouts on Windows, where git may have written CRLF.

use std::fs;
use std::process::Command;

use crate::support::{Scratch, workspace};

#[test]
fn git_keeps_lf_in_every_checkout() {
    if !test_needs::program("git", "apt install git") {
        return;
    }
    let files = [
        "backend/docker/db/start",
        "backend/db/migrations/20261123000000_present_shape.up.sql",
        ".ci/run",
        "Cargo.lock",
    ];
    let asked = Command::new("git")
        .args(["check-attr", "eol", "--"])
        .args(files)
        .current_dir(workspace())
        .output()
        .unwrap();
    let said = String::from_utf8(asked.stdout).unwrap();
    assert_eq!(
        said.lines()
            .filter(|line| line.ends_with("eol: lf"))
            .count(),
        files.len(),
        "{said}"
    );
}

#[test]
fn migrations_and_settings_with_crlf_equal_those_with_lf() {
    let scratch = Scratch::new();
    for entry in fs::read_dir(scratch.path("backend/db/migrations")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap().replace('\n', "\r\n");
        fs::write(&path, text).unwrap();
    }
    scratch.write(".env", "POSTGRES_USER=ann\r\nPOSTGRES_DB=journal\r\n");
    scratch.up();
    assert_eq!(scratch.status()["schema"]["state"], "current");
    scratch.ok(&["migrate", "verify"]);
    assert_eq!(
        scratch.sql("SELECT current_user || ' ' || current_database()"),
        "ann journal"
    );
}
