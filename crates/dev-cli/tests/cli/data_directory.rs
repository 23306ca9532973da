//! Data directories in a bad way: said, with the remedy, and never touched.

use std::fs;

use crate::support::Scratch;
use crate::support::processes::expect_none;

#[test]
fn up_refuses_a_data_folder_of_another_postgresql_major() {
    let scratch = Scratch::new();
    scratch.up();
    scratch.ok(&["down"]);
    let version = scratch.read("data/postgres/PG_VERSION");
    scratch.write("data/postgres/PG_VERSION", "9\n");
    let refused = scratch.dev(&["up", "--detach"]).expect_code(1);
    refused.says("PostgreSQL 9");
    refused.says("POSTGRES_BIN_DIR");
    expect_none(scratch.root());
    scratch.write("data/postgres/PG_VERSION", &version);
    scratch.up();
}

#[test]
fn up_refuses_a_data_folder_with_foreign_files() {
    let scratch = Scratch::new();
    scratch.write("data/postgres/thesis.txt", "years of work");
    let refused = scratch.dev(&["up", "--detach"]).expect_code(1);
    refused.says("is left alone");
    assert_eq!(scratch.read("data/postgres/thesis.txt"), "years of work");
    assert_eq!(
        fs::read_dir(scratch.path("data/postgres")).unwrap().count(),
        1
    );
    expect_none(scratch.root());
}

#[test]
fn up_creates_a_database_in_an_empty_data_folder() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.path("data/postgres")).unwrap();
    fs::create_dir_all(scratch.path("data/logs")).unwrap();
    scratch.up();
}

#[test]
fn up_refuses_a_data_folder_with_missing_files() {
    let scratch = Scratch::new();
    scratch.up();
    scratch.ok(&["down"]);
    fs::remove_file(scratch.path("data/postgres/global/pg_control")).unwrap();
    scratch
        .dev(&["up", "--detach"])
        .expect_code(1)
        .says("is left alone");
    expect_none(scratch.root());
}

#[test]
fn up_refuses_a_data_folder_that_is_not_writable() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    scratch.up();
    scratch.ok(&["down"]);
    let mode = |mode| {
        fs::set_permissions(
            scratch.path("data/postgres"),
            PermissionsExt::from_mode(mode),
        )
        .unwrap()
    };
    mode(0o500);
    let refused = scratch.dev(&["up", "--detach"]).expect_code(1);
    refused.says(&format!(
        "may not write in {}",
        scratch.path("data/postgres").display()
    ));
    refused.says("make that folder writable");
    mode(0o700);
    scratch.up();
}

#[test]
fn up_refuses_a_data_folder_of_another_user() {
    // Only root can give files away.
    if !test_needs::root() {
        return;
    }
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.path("data/postgres")).unwrap();
    scratch.write("data/postgres/PG_VERSION", "15\n");
    let stranger = nix::unistd::Uid::from_raw(4242);
    for path in ["data/postgres/PG_VERSION", "data/postgres"] {
        nix::unistd::chown(&scratch.path(path), Some(stranger), None).unwrap();
    }
    let refused = scratch.dev(&["up", "--detach"]).expect_code(1);
    refused.says("4242");
    refused.says("chown");
    expect_none(scratch.root());
}
