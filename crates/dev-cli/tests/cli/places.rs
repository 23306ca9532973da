//! Odd paths, odd shells.

use std::process::Command;

use crate::support::processes::expect_none;
use crate::support::{Running, Scratch};

#[test]
fn up_works_in_a_path_with_spaces_commas_and_non_ascii_letters() {
    let scratch = Scratch::named("ein Ordner, mit 'ä' und 日本");
    scratch.up();
    assert!(scratch.get("/health/ready").contains("\"ready\""));
    assert_eq!(scratch.sql("SELECT 1"), "1");
    scratch.ok(&["migrate", "down"]).says("data/backups/");
    scratch.ok(&["logs"]).prints("listening on");
}

#[test]
fn up_works_in_a_path_longer_than_a_socket_path_may_be() {
    let scratch = Scratch::named(&"very-long-".repeat(20));
    scratch.up();
    assert!(scratch.get("/health/ready").contains("\"ready\""));
}

#[test]
fn verbs_work_in_every_folder_of_the_checkout_and_nowhere_else() {
    let scratch = Scratch::new();
    let typed_in = |folder: &std::path::Path| {
        let mut command = scratch.command(&["status", "--json"]);
        command.current_dir(folder);
        Running::start(command).finish()
    };
    typed_in(&scratch.path("backend/db/migrations"))
        .expect_code(0)
        .prints(&format!("\"checkout\": \"{}\"", scratch.root().display()));
    let outside = typed_in(scratch.beside()).expect_code(1);
    outside.says("is in no checkout of the project");

    // Through a link it is the same checkout.
    let link = scratch.beside().join("link");
    std::os::unix::fs::symlink(scratch.root(), &link).unwrap();
    typed_in(&link)
        .expect_code(0)
        .prints(&format!("\"checkout\": \"{}\"", scratch.root().display()));
}

#[test]
fn the_shells_time_zone_locale_and_libpq_variables_do_not_affect_the_database() {
    let mut scratch = Scratch::new();
    let odd = [
        ("TZ", "Asia/Kolkata"),
        ("LC_ALL", "tr_TR.UTF-8"),
        ("LANG", "de_DE.UTF-8"),
        ("PGHOST", "nowhere.invalid"),
        ("PGPORT", "1"),
        ("PGUSER", "nobody"),
        ("PGDATABASE", "nothing"),
        ("PGPASSWORD", "wrong"),
        ("PGSSLMODE", "verify-full"),
        ("PGOPTIONS", "-c datestyle=German"),
        ("PGDATA", "/nowhere"),
        ("HTTP_PROXY", "http://nowhere.invalid:1"),
    ];
    for (name, value) in odd {
        scratch.set(name, value);
    }
    scratch.up();
    assert_eq!(scratch.service("api")["health"], "healthy");
    assert_eq!(scratch.sql("SELECT current_setting('timezone')"), "UTC");
    assert_eq!(
        scratch.sql("SELECT datcollate FROM pg_database WHERE datname = current_database()"),
        "C"
    );
    assert_eq!(
        scratch.sql("SELECT current_setting('server_encoding')"),
        "UTF8"
    );
    let since = scratch.ok(&["logs", "--since", "5m"]);
    since.prints("listening on");
    since.prints("database system is ready");
    scratch.ok(&["migrate", "status"]).prints("applied");
    for name in ["TZ", "LC_ALL", "PGHOST"] {
        scratch.set(name, "");
    }
}

#[test]
fn git_status_stays_clean_with_all_verbs() {
    if !test_needs::program("git", "apt install git") {
        return;
    }
    let scratch = Scratch::new();
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command
            .args([
                "-c",
                "user.name=t",
                "-c",
                "user.email=t@example.com",
                "-c",
                "init.defaultBranch=main",
            ])
            .args(args);
        Running::start({
            command.current_dir(scratch.root());
            command
        })
        .finish()
        .expect_code(0)
        .stdout
    };
    git(&["init", "--quiet"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "all"]);
    scratch.up();
    scratch.ok(&["db", "seed"]);
    scratch.ok(&["backup"]);
    scratch.ok(&["migrate", "down"]);
    assert_eq!(git(&["status", "--porcelain"]), "");
    scratch.ok(&["down"]);
    assert_eq!(git(&["status", "--porcelain"]), "");
    expect_none(scratch.root());
}

#[test]
fn files_created_as_root_belong_to_the_owner_of_the_checkout() {
    use std::os::unix::fs::MetadataExt;
    if !test_needs::root() {
        return;
    }
    let scratch = Scratch::new();
    let user = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    for path in ["", "backend"] {
        nix::unistd::chown(&scratch.path(path), Some(user.uid), Some(user.gid)).unwrap();
    }
    scratch.up();
    scratch.ok(&["db", "seed"]);
    scratch.ok(&["migrate", "down"]);
    scratch.ok(&["restart"]);
    scratch.ok(&["down"]);
    let mut folders = vec![scratch.path("data")];
    let mut seen = vec![scratch.path(".env")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap())
        {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            }
            seen.push(entry.path());
        }
        seen.push(folder);
    }
    for name in [
        "dev.log",
        "app.log",
        "postgres.log",
        "supervisor.lock",
        "api.pid",
        "postgres.pid",
        "PG_VERSION",
    ] {
        assert!(
            seen.iter().any(|path| path.ends_with(name)),
            "no {name} in {seen:?}"
        );
    }
    assert!(seen.iter().any(|path| {
        path.parent()
            .is_some_and(|folder| folder.ends_with("backups"))
    }));
    for path in seen {
        assert_eq!(
            std::fs::symlink_metadata(&path).unwrap().uid(),
            user.uid.as_raw(),
            "{}",
            path.display()
        );
    }
}
