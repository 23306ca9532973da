//! Restores every format of pg_dump, of this PostgreSQL version and of newer versions.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use local_postgres::fetch;

use crate::restore::{ENTRIES, ROLES, gzip, run, with_dump};
use crate::support::{Running, eventually};

#[test]
fn restore_reads_every_format_of_pg_dump() {
    if !test_needs::program("bash", "apt install bash") {
        return;
    }
    let (scratch, url, dump) = with_dump();
    let entries = scratch.sql(ENTRIES);
    let write = |name: &str, bytes: &[u8]| fs::write(scratch.path(name), bytes).unwrap();
    let utf16 = |bytes: fn(u16) -> [u8; 2]| {
        std::iter::once(0xfeff)
            .chain(dump.encode_utf16())
            .flat_map(bytes)
            .collect::<Vec<u8>>()
    };
    write("plain.sql", dump.as_bytes());
    write("packed.sql.gz", &gzip(dump.as_bytes()));
    write("tar.tar", &run("pg_dump", &[&url, "--format=tar"]));
    write("tar.tgz", &gzip(&run("pg_dump", &[&url, "--format=tar"])));
    write("custom.dump", &run("pg_dump", &[&url, "--format=custom"]));
    write("inserts.sql", &run("pg_dump", &[&url, "--inserts"]));
    write(
        "clean.sql",
        &run("pg_dump", &[&url, "--clean", "--if-exists"]),
    );
    write("create.sql", &run("pg_dump", &[&url, "--create"]));
    let before_migrate =
        String::from_utf8(run("pg_dump", &[&url, "--clean", "--if-exists"])).unwrap();
    write(
        "2025-before-migrate-down-1.sql",
        format!("\\set ON_ERROR_STOP on\nBEGIN;\n{before_migrate}COMMIT;\n").as_bytes(),
    );
    write("utf16le.sql", &utf16(u16::to_le_bytes));
    write("utf16be.sql", &utf16(u16::to_be_bytes));
    write("windows.sql", dump.replace('\n', "\r\n").as_bytes());
    run(
        "pg_dump",
        &[
            &url,
            "--format=directory",
            &format!("--file={}", scratch.path("folder").display()),
        ],
    );
    for file in [
        "plain.sql",
        "packed.sql.gz",
        "tar.tar",
        "tar.tgz",
        "custom.dump",
        "folder",
        "inserts.sql",
        "clean.sql",
        "create.sql",
        "2025-before-migrate-down-1.sql",
        "utf16le.sql",
        "utf16be.sql",
        "windows.sql",
    ] {
        scratch
            .ok(&["restore", file])
            .prints(&format!("emotion_entries {entries} → {entries}"));
    }
    // Through pipes.
    Running::reading(
        scratch.command(&["restore", "-"]),
        fs::File::open(scratch.path("plain.sql")).unwrap(),
    )
    .finish()
    .expect_code(0);
    let piped = |command: &str| {
        let mut shell = Command::new("bash");
        shell
            .args(["-c", command, "bash", env!("CARGO_BIN_EXE_dev-cli")])
            .current_dir(scratch.root());
        shell.envs(
            scratch
                .command(&[])
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        Running::start(shell).finish().expect_code(0)
    };
    piped("cat custom.dump | \"$1\" restore -");
    piped("\"$1\" restore <(cat packed.sql.gz)");
    let fifo = scratch.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    piped("cat plain.sql > fifo & \"$1\" restore fifo");

    assert_eq!(scratch.sql(ENTRIES), entries);
    let rights =
        "SELECT has_table_privilege('emotionviz_api', 'users', 'INSERT'), has_schema_privilege('emotionviz_api', 'public', 'CREATE'),
        has_table_privilege('emotionviz_api', '_sqlx_migrations', 'DELETE')";
    assert!(scratch.sql(rights).starts_with("t\tf\t"));
    assert_eq!(
        scratch.sql("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"),
        "emotionviz_owner"
    );
    assert_eq!(
        scratch.sql(ROLES),
        "emotionviz emotionviz_api emotionviz_owner"
    );
    eventually("a ready API", || {
        scratch
            .get("/health/ready")
            .contains("\"ready\"")
            .then_some(())
    });
}

#[test]
fn restore_skips_and_lists_settings_and_roles_of_other_servers() {
    let (scratch, _, dump) = with_dump();
    let dump = dump
        .replacen(
            "SET statement_timeout = 0;",
            "SET statement_timeout = 0;\nSET transaction_timeout = 0;",
            1,
        )
        .replace("OWNER TO emotionviz;", "OWNER TO \"prod user\";")
        .replace("TO emotionviz_api;", "TO reporting;")
        .replacen(
            "-- Dumped by pg_dump version 15",
            "-- Dumped by pg_dump version 18",
            1,
        )
        .replacen("\nSET ", "\n\\restrict AbC1\n\nSET ", 1);
    scratch.write("newer.sql", &format!("{dump}\\unrestrict AbC1\n"));
    let restored = scratch.ok(&["restore", "newer.sql"]);
    for words in [
        "skipped in newer.sql",
        "transaction_timeout",
        "OWNER TO prod user",
        "privileges of reporting: that role does not exist here",
    ] {
        restored.says(words);
    }
    scratch.write(
        "bare.sql",
        &dump
            .lines()
            .filter(|line| !line.starts_with("--"))
            .collect::<Vec<_>>()
            .join("\n"),
    );
    scratch
        .ok(&["restore", "bare.sql"])
        .says("was not written by pg_dump and has no end mark");
    // The API still has its privileges.
    eventually("a ready API", || {
        scratch
            .get("/health/ready")
            .contains("\"ready\"")
            .then_some(())
    });
    assert_eq!(
        scratch.sql("SELECT has_table_privilege('emotionviz_api', 'users', 'INSERT')"),
        "t"
    );
}

#[test]
fn restore_of_a_newer_archive_uses_a_newer_pg_restore_or_reports_both_versions() {
    let (mut scratch, url, _) = with_dump();
    let mut archive = run("pg_dump", &[&url, "--format=custom"]);
    assert_eq!(archive[5..7], [1, 14], "pg_dump of PostgreSQL 15");
    // A version that is neither installed nor downloadable.
    archive[6] = 17;
    fs::write(scratch.path("newer.dump"), &archive).unwrap();
    let refused = scratch.dev(&["restore", "newer.dump"]).expect_code(1);
    for words in [
        "written by pg_dump of PostgreSQL 19 or newer",
        "the newest pg_restore here is version 15.",
        "pg_dump --format=plain",
        "Nothing was changed",
    ] {
        refused.says(words);
    }
    // A program that claims to be version 19.
    let folder = scratch.beside().join("19");
    fs::create_dir(&folder).unwrap();
    let real = String::from_utf8(run("sh", &["-c", "command -v pg_restore"])).unwrap();
    let script = scratch.script(
        "19/pg_restore",
        &format!(
            "case \"$1\" in --version) echo 'pg_restore (PostgreSQL) 19.2'; exit;; esac\necho 'SET transaction_timeout = 0;'\n\
             {{ head -c 6; head -c 1 >/dev/null; printf '\\016'; cat; }} | {} \"$@\"\n",
            real.trim()
        ),
    );
    let path = format!(
        "{}:{}",
        script.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    scratch.set("PATH", path);
    let restored = scratch.ok(&["restore", "newer.dump"]);
    restored.says("transaction_timeout");
    restored.prints("emotion_entries 30 → 30");
}

#[test]
fn restore_of_a_newer_archive_downloads_a_newer_pg_restore() {
    let (scratch, url, _) = with_dump();
    // The download of `restore` also contains pg_dump.
    let cache = fetch::cache_dir("emotionviz");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let newest = runtime
        .block_on(fetch::fetch(
            fetch::NEWEST,
            &cache,
            &fetch::Sources::default(),
            std::sync::Arc::new(()),
        ))
        .unwrap();
    let pg_dump = newest.join("bin/pg_dump");
    for (format, name) in [
        ("custom", "18.dump"),
        ("tar", "18.tar"),
        ("directory", "18"),
    ] {
        let to = scratch.path(name);
        run(
            pg_dump.to_str().unwrap(),
            &[&url, "--format", format, "--file", to.to_str().unwrap()],
        );
        let restored = scratch.ok(&["restore", name]);
        restored.says("transaction_timeout");
        restored.prints("emotion_entries 30 → 30");
    }
}

#[test]
fn a_file_of_others_is_not_read_by_a_psql_that_cannot_be_restricted() {
    let (mut scratch, _, dump) = with_dump();
    scratch.write("backup.sql", &dump);
    // Of a database that came from no file of others.
    scratch.ok(&["backup", "--output", "own.dump"]);
    // The programs of this machine with an older psql, in a folder of their own.
    let server = PathBuf::from(scratch.sql("SELECT setting FROM pg_config WHERE name = 'BINDIR'"));
    let (bin, marker) = (
        scratch.beside().join("bin"),
        scratch.beside().join("marker"),
    );
    fs::create_dir(&bin).unwrap();
    fs::copy(server.join("postgres"), bin.join("postgres")).unwrap();
    for program in ["initdb", "pg_ctl", "pg_dump", "pg_restore"] {
        symlink(server.join(program), bin.join(program)).unwrap();
    }
    let psql = format!(
        "#!/bin/sh\ncase \" $* \" in *\" --version \"*) echo 'psql (PostgreSQL) 15.13'; exit ;; *\" --single-transaction \"*) touch '{}' ;; esac\nexec {}/psql \"$@\"\n",
        marker.display(),
        server.display()
    );
    fs::write(bin.join("psql"), psql).unwrap();
    fs::set_permissions(bin.join("psql"), fs::Permissions::from_mode(0o755)).unwrap();
    scratch.set("POSTGRES_BIN_DIR", &bin);
    scratch
        .ok(&["restore", "backup.sql"])
        .prints("emotion_entries 30 → 30");
    assert!(!marker.exists(), "the older psql read the file");

    // What this checkout has written it may read.
    scratch
        .ok(&["restore", "own.dump"])
        .prints("emotion_entries 30 → 30");
    assert!(marker.exists());
}
