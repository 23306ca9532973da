//! Restores: accepted copies, refused copies, and that a refusal changes nothing.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Output;

use nix::sys::signal::Signal;

use crate::support::{Finished, Running, Scratch, postgres, service_binary};

const DATABASES: &str = "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'";
pub(crate) const ROLES: &str = "SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles WHERE NOT starts_with(rolname, 'pg_')";
pub(crate) const ENTRIES: &str = "SELECT count(*) FROM emotion_entries";

/// Returns the name of the database that a restore kept, from its hint.
fn kept_database(restored: &Finished) -> String {
    let (_, hint) = restored.stderr.split_once("cargo dev restore ").unwrap();
    hint.split_whitespace().next().unwrap().to_owned()
}

/// Runs a program of PostgreSQL, which must succeed.
pub(crate) fn run(program: &str, args: &[&str]) -> Vec<u8> {
    let Output {
        status,
        stdout,
        stderr,
    } = postgres(program).args(args).output().unwrap();
    assert!(
        status.success(),
        "{program} {args:?}: {}",
        String::from_utf8_lossy(&stderr)
    );
    stdout
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// Returns a running checkout with demonstration data, the URL of its database, and a dump.
pub(crate) fn with_dump() -> (Scratch, String, String) {
    let scratch = Scratch::new();
    scratch.up();
    scratch.ok(&["db", "seed"]);
    let url = scratch.ok(&["db", "url"]).stdout.trim().to_owned();
    let dump = String::from_utf8(run("pg_dump", &[&url])).unwrap();
    (scratch, url, dump)
}

/// Restores a file and expects a refusal with these words and a hint, and an unchanged database.
fn refused(scratch: &Scratch, file: &str, words: &[&str]) {
    let refused = scratch.dev(&["restore", file]).expect_code(1);
    for word in words.iter().chain(&["othing was changed", "hint: "]) {
        assert!(
            refused.stderr.contains(word),
            "{file}: {word:?} is not in {refused}"
        );
    }
    for bare in ["psql:", "pg_restore: error: input file", "os error"] {
        assert!(!refused.stderr.contains(bare), "{file}: {refused}");
    }
}

#[test]
fn restore_refuses_incomplete_and_foreign_copies_and_changes_nothing() {
    let (scratch, url, dump) = with_dump();
    let state = |scratch: &Scratch| [DATABASES, ROLES, ENTRIES].map(|sql| scratch.sql(sql));
    let before = state(&scratch);
    let write = |name: &str, bytes: &[u8]| fs::write(scratch.path(name), bytes).unwrap();

    let rows = dump.find("COPY public.emotion_entries").unwrap();
    let row = rows + dump[rows..].match_indices('\n').nth(3).unwrap().0 + 1;
    let last_rows = dump.rfind("\n\\.\n").unwrap() + 4;
    let end = dump
        .find("--\n-- PostgreSQL database dump complete")
        .unwrap();
    write("rows.sql", &dump.as_bytes()[..row]);
    write("half-a-row.sql", &dump.as_bytes()[..row + 9]);
    write("last-rows.sql", &dump.as_bytes()[..last_rows]);
    write("without-end.sql", &dump.as_bytes()[..end]);
    for file in [
        "rows.sql",
        "half-a-row.sql",
        "last-rows.sql",
        "without-end.sql",
    ] {
        refused(&scratch, file, &[file, "is truncated"]);
    }
    write("rows.sql.gz", &gzip(&dump.as_bytes()[..row]));
    refused(&scratch, "rows.sql.gz", &["rows.sql.gz", "is truncated"]);
    write("empty.sql", b"");
    refused(&scratch, "empty.sql", &["empty (0 bytes)"]);
    write("comments.sql", b"-- one\n/* two */\n");
    refused(&scratch, "comments.sql", &["no statement"]);

    // Whole dumps without a part of the schema.
    let index = dump.find("CREATE INDEX").unwrap();
    let index_end = index + dump[index..].find(";\n").unwrap() + 2;
    write(
        "without-index.sql",
        format!("{}{}", &dump[..index], &dump[index_end..]).as_bytes(),
    );
    refused(
        &scratch,
        "without-index.sql",
        &[
            "its schema differs from the schema of the migrations",
            "index of ",
        ],
    );
    write(
        "without-table.sql",
        &run("pg_dump", &[&url, "--exclude-table=intake_sessions"]),
    );
    refused(
        &scratch,
        "without-table.sql",
        &["lacks tables of this application: intake_sessions"],
    );
    write("data.sql", &run("pg_dump", &[&url, "--data-only"]));
    refused(&scratch, "data.sql", &["--data-only"]);
    write("data.dump", &run("pg_dump", &[&url, "-Fc", "--data-only"]));
    refused(
        &scratch,
        "data.dump",
        &["has rows but no tables", "--data-only", "pg_dump --file="],
    );

    // A dump of another project.
    scratch.ok(&["db", "shell", "-c", "CREATE DATABASE films"]);
    let films = url.replace("/emotionviz_db", "/films");
    run(
        "psql",
        &[
            &films,
            "-c",
            "CREATE TABLE films AS SELECT 1 AS id; CREATE TABLE actors (); CREATE TABLE users ()",
        ],
    );
    write("films.sql", &run("pg_dump", &[&films]));
    write("films.dump", &run("pg_dump", &[&films, "--format=custom"]));
    run("psql", &[&films, "-c", "DROP TABLE users"]);
    write("other.sql", &run("pg_dump", &[&films]));
    write("other.tar", &run("pg_dump", &[&films, "--format=tar"]));
    scratch.ok(&["db", "shell", "-c", "DROP DATABASE films"]);
    for file in ["films.sql", "films.dump"] {
        refused(
            &scratch,
            file,
            &["lacks tables of this application: emotion_entries"],
        );
    }
    for file in ["other.sql", "other.tar"] {
        refused(
            &scratch,
            file,
            &["has no tables of this application", "actors, films"],
        );
    }

    // Statements that would do more than fill a database.
    let marker = scratch.beside().join("marker");
    let touch = format!("touch {}", marker.display());
    let after = |words: &str| format!("{}{words}\n{}", &dump[..last_rows], &dump[last_rows..]);
    let line = format!("line {}", dump[..last_rows].lines().count() + 1);
    for (number, words) in [
        "\\connect postgres".to_owned(),
        format!("\\! {touch}"),
        format!("SELECT 1 \\! {touch}"),
        format!("COPY public.users FROM PROGRAM '{touch}';"),
        format!("SELECT 1; COPY (SELECT 1) TO PROGRAM '{touch}';"),
        "ALTER ROLE emotionviz_api SUPERUSER;".to_owned(),
        "ALTER SYSTEM SET work_mem = '1MB';".to_owned(),
        "SET standard_conforming_strings = off;".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        let file = format!("command-{number}.sql");
        write(&file, after(words).as_bytes());
        refused(
            &scratch,
            &file,
            &[&line, words.split_whitespace().next().unwrap()],
        );
    }
    for (number, (words, rights)) in [
        (format!("DO $$ BEGIN EXECUTE 'COPY public.users FROM PROGRAM ''{touch}'''; END $$;"), "must be superuser"),
        ("DO $$ BEGIN EXECUTE 'ALTER ROLE emotionviz_api SUPERUSER'; END $$;".to_owned(), "must be superuser"),
        (
            "DO $$ BEGIN EXECUTE 'RESET SESSION AUTHORIZATION'; EXECUTE 'CREATE ROLE evil SUPERUSER'; END $$;".to_owned(),
            "must be superuser",
        ),
        ("SELECT pg_read_file('/etc/passwd');".to_owned(), "permission denied"),
    ]
    .iter()
    .enumerate()
    {
        let file = format!("rights-{number}.sql");
        write(&file, after(words).as_bytes());
        refused(&scratch, &file, &["PostgreSQL refused", &line, rights]);
    }
    // A checksum that says that this tool wrote it gives a file no rights.
    write(
        "forged.sql",
        after("SELECT pg_read_file('/etc/passwd');").as_bytes(),
    );
    let path = scratch.path("forged.sql");
    let sum = String::from_utf8(run("sha256sum", &[path.to_str().unwrap()])).unwrap();
    write(
        "forged.sql.sha256",
        format!(
            "{}  forged.sql\n# written by cargo dev backup\n",
            &sum[..64]
        )
        .as_bytes(),
    );
    refused(
        &scratch,
        "forged.sql",
        &["PostgreSQL refused", &line, "permission denied"],
    );

    // Code that would run with the rights of the owner: what `migrate` writes to, and functions that become his.
    let on_delete = |body: &str| {
        format!(
            "CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN {body} RETURN NULL; END $f$;
CREATE TRIGGER t BEFORE DELETE ON public._migrations_paused FOR EACH STATEMENT EXECUTE FUNCTION public.f();"
        )
    };
    for (number, (words, why)) in [
        (
            on_delete(&format!(
                "EXECUTE 'COPY (SELECT 1) TO PROGRAM ''{touch}''';"
            )),
            "must be superuser",
        ),
        (on_delete(""), "trigger t of public._migrations_paused"),
        (
            "CREATE FUNCTION public.g() RETURNS int SECURITY DEFINER LANGUAGE sql AS 'SELECT 1';"
                .to_owned(),
            "function public.g()",
        ),
    ]
    .iter()
    .enumerate()
    {
        let file = format!("code-{number}.sql");
        write(&file, after(words).as_bytes());
        refused(&scratch, &file, &["cannot be restored", why]);
    }
    assert!(!marker.exists());

    // Other formats.
    let random: Vec<u8> = (0..4096_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8 | 0x80)
        .collect();
    for (file, bytes, words) in [
        ("a.pdf", &b"%PDF-1.7\n"[..], "a PDF"),
        ("a.html", b"<!DOCTYPE html>\n<html>", "HTML"),
        ("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "PNG"),
        ("a.zip", b"PK\x03\x04\x14\0\0\0", "ZIP"),
        ("a.db", b"SQLite format 3\0", "SQLite"),
        (
            "mysql.sql",
            b"-- MySQL dump 10.13\nSET NAMES utf8;\n",
            "MySQL",
        ),
        (
            "cluster.sql",
            b"--\n-- PostgreSQL database cluster dump\n--\nCREATE ROLE a;\n",
            "pg_dumpall",
        ),
        ("random", &random, "of an unknown format"),
    ] {
        write(file, bytes);
        refused(&scratch, file, &[words, "not a dump"]);
    }
    refused(&scratch, "backend", &["a folder without toc.dat"]);
    refused(
        &scratch,
        "not-there.sql",
        &["neither a file nor a kept database"],
    );
    refused(
        &scratch,
        "before_restore_20251124",
        &["neither a file nor a kept database"],
    );
    write("no-tables.sql", b"SELECT 1;\n");
    refused(
        &scratch,
        "no-tables.sql",
        &["has no tables of this application"],
    );
    write(
        "half.sql",
        dump.replace(
            "CREATE TABLE public.users",
            "CREATE TABLE public.users (); nonsense here",
        )
        .as_bytes(),
    );
    refused(
        &scratch,
        "half.sql",
        &["is not a statement that pg_dump writes", "nonsense here"],
    );
    write(
        "wrong.sql",
        dump.replace(
            "ADD CONSTRAINT users_pkey",
            "ADD CONSTRAINT users_pkey CHECK (nonsense), ADD CONSTRAINT b",
        )
        .as_bytes(),
    );
    refused(
        &scratch,
        "wrong.sql",
        &[
            "PostgreSQL refused a statement",
            "line ",
            "\"nonsense\" does not exist",
        ],
    );

    // Damaged archives without a checksum.
    let archive = run("pg_dump", &[&url, "--format=custom"]);
    write("cut.dump", &archive[..archive.len() / 2]);
    write("cut-early.dump", &archive[..40]);
    for file in ["cut.dump", "cut-early.dump"] {
        refused(&scratch, file, &[file, "damaged or incomplete"]);
    }
    assert_eq!(state(&scratch), before);
    assert!(scratch.get("/health/ready").contains("\"ready\""));
}

/// Code on our tables that tries to become a superuser, and records the role that it runs as.
const EVIL: &str = "CREATE TABLE public.ran (who text);
CREATE FUNCTION public.evil() RETURNS boolean LANGUAGE plpgsql AS $f$ BEGIN
BEGIN EXECUTE 'RESET SESSION AUTHORIZATION'; EXECUTE 'RESET ROLE'; EXECUTE 'CREATE ROLE evil SUPERUSER'; EXCEPTION WHEN OTHERS THEN NULL; END;
INSERT INTO public.ran VALUES (session_user);
RETURN true; END $f$;
CREATE FUNCTION public.touched() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN PERFORM public.evil(); RETURN NULL; END $f$;
ALTER TABLE public.users ADD CONSTRAINT evil CHECK (public.evil());
CREATE TRIGGER touched AFTER INSERT OR UPDATE ON public.users FOR EACH STATEMENT EXECUTE FUNCTION public.touched();

";

#[test]
fn code_of_a_restored_file_never_runs_with_the_rights_of_a_superuser() {
    let (scratch, _, dump) = with_dump();
    let end = dump
        .find("--\n-- PostgreSQL database dump complete")
        .unwrap();
    scratch.write(
        "evil.sql",
        &format!("{}{EVIL}{}", &dump[..end], &dump[end..]),
    );
    scratch
        .ok(&["restore", "evil.sql"])
        .says("trigger touched of public.users");
    let first = scratch.first_migration();
    let who = "SELECT string_agg(DISTINCT who, ' ' ORDER BY who) FROM ran WHERE NOT starts_with(who, 'emotionviz_restoring_')";
    // It is the same in a copy that this checkout makes of that database, and in a kept one that is copied for its missing migrations.
    for round in ["of the file", "of our own copy", "of a kept database"] {
        // The conversion of the first tables changes all users.
        scratch.ok(&["migrate", "to", &first]);
        scratch.ok(&["migrate", "up"]);
        scratch.ok(&["db", "seed"]);
        assert_eq!(
            scratch.sql(who),
            "emotionviz_api emotionviz_owner",
            "{round}"
        );
        assert_eq!(
            scratch.sql(ROLES),
            "emotionviz emotionviz_api emotionviz_owner",
            "{round}"
        );
        let copy = scratch.ok(&["backup"]).stdout.trim().to_owned();
        if round == "of our own copy" {
            scratch.ok(&["migrate", "down"]);
            scratch.ok(&["db", "shell", "-c", "DELETE FROM _migrations_paused"]);
        }
        let restored = scratch.ok(&["restore", &copy]);
        if round == "of our own copy" {
            let (_, kept) = restored.stderr.split_once("cargo dev restore ").unwrap();
            let kept = kept.split_whitespace().next().unwrap();
            scratch
                .ok(&["restore", kept])
                .says("applied 20261123000100");
        }
        scratch.ok(&["db", "shell", "-c", "TRUNCATE ran"]);
    }
}

#[test]
fn restore_returns_to_a_kept_database() {
    let (scratch, ..) = with_dump();
    let copy = scratch.ok(&["backup"]).stdout.trim().to_owned();
    scratch.ok(&["db", "shell", "-c", "DELETE FROM emotion_entries"]);
    scratch.ok(&[
        "db",
        "shell",
        "-c",
        "COMMENT ON DATABASE emotionviz_db IS 'it''s mine'",
    ]);
    let restored = scratch.ok(&["restore", &copy]);
    restored.prints("emotion_entries 0 → 30");
    let kept = kept_database(&restored);
    let comment = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'emotionviz_db'";
    assert_eq!(scratch.sql(comment), "it's mine");
    let back = scratch.ok(&["restore", &kept]);
    back.prints("emotion_entries 30 → 0");
    assert_eq!(scratch.sql(ENTRIES), "0");
    assert!(!scratch.sql(DATABASES).contains(&kept));
    // A file of that name takes precedence.
    scratch.write(&kept, "");
    scratch
        .dev(&["restore", &kept])
        .expect_code(1)
        .says("empty (0 bytes)");
}

#[test]
fn a_kept_database_that_lacks_migrations_stays_what_it_was() {
    let (scratch, ..) = with_dump();
    let copy = scratch.ok(&["backup"]).stdout.trim().to_owned();
    scratch.ok(&["migrate", "down"]);
    scratch.ok(&["db", "shell", "-c", "DELETE FROM _migrations_paused"]);
    let restored = scratch.ok(&["restore", &copy]);
    let kept = kept_database(&restored);
    scratch
        .ok(&["restore", &kept])
        .says("applied 20261123000100");
    let lacks = |url: &str| {
        run(
            "psql",
            &[
                "-XAt",
                url,
                "-c",
                "SELECT to_regclass('revoked_tokens') IS NULL",
            ],
        ) == b"t\n"
    };
    let url = scratch.ok(&["db", "url"]).stdout.trim().to_owned();
    let (server, _) = url.rsplit_once('/').unwrap();
    assert!(!lacks(&url) && lacks(&format!("{server}/{kept}")));
    assert_eq!(scratch.sql(ENTRIES), "30");
}

#[test]
fn two_commands_that_replace_the_database_do_not_run_at_once() {
    let (scratch, ..) = with_dump();
    let copy = scratch.ok(&["backup"]).stdout.trim().to_owned();
    let other = fs::File::create(scratch.path("data/run/replacing.lock")).unwrap();
    other.lock().unwrap();
    for command in [&["restore", &copy][..], &["migrate", "down"]] {
        let refused = scratch.dev(command).expect_code(1);
        refused.says("another command that replaces the database or reverts its schema is at work");
        refused.says("nothing was changed");
    }
    drop(other);
    scratch.ok(&["migrate", "down"]).prints("reverted");
}

#[test]
fn restore_works_while_the_sources_do_not_compile_or_a_migration_was_edited() {
    let (mut scratch, ..) = with_dump();
    let copy = scratch.ok(&["backup"]).stdout.trim().to_owned();
    let built = scratch.path("data/run/emotionviz");
    if !built.is_file() {
        fs::copy(service_binary(), &built).unwrap();
    }
    scratch.set("SERVICE_BINARY", "");
    scratch.set(
        "CARGO",
        scratch.script("cargo", "echo 'error: expected one of' >&2\nexit 101"),
    );
    scratch
        .ok(&["restore", &copy])
        .says("the sources do not compile; using the last build of the service");

    scratch.set("SERVICE_BINARY", service_binary());
    scratch.set("CARGO", "");
    scratch.ok(&[
        "db",
        "shell",
        "-c",
        "UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 20261123000100",
    ]);
    scratch.ok(&["db", "shell", "-c", "INSERT INTO _sqlx_migrations VALUES (20991231235959, 'of tomorrow', now(), true, '\\x00', 1)"]);
    let copy = scratch.ok(&["backup"]).stdout.trim().to_owned();
    let restored = scratch.ok(&["restore", &copy]);
    restored.says(&format!(
        "migrations that were edited after {copy} was written: 20261123000100"
    ));
    restored.says(&format!(
        "migrations that are applied in {copy} and are not in this code: 20991231235959"
    ));
}

#[test]
fn restore_removes_only_the_objects_of_a_killed_restore() {
    let (scratch, ..) = with_dump();
    let copy = scratch.ok(&["backup"]).stdout.trim().to_owned();
    for sql in [
        "CREATE DATABASE restoring_novel",
        "CREATE DATABASE emotionviz_restoring_mine",
        "CREATE ROLE emotionviz_restoring_me",
    ] {
        scratch.ok(&["db", "shell", "-c", sql]);
    }
    for phase in [
        "checking the copy",
        "restoring into a new database",
        "applying migrations",
        "comparing the schema",
    ] {
        let mut restore = scratch.start(&["--verbose", "restore", &copy]);
        restore.printed(phase);
        restore.signal(Signal::SIGKILL);
        restore.finish();
    }
    let mut restore = scratch.start(&["--verbose", "restore", &copy]);
    restore.printed("applying migrations");
    restore.signal(Signal::SIGINT);
    restore.finish().expect_code(130);
    assert_eq!(
        scratch.sql(DATABASES),
        "emotionviz_db emotionviz_restoring_mine restoring_novel"
    );
    assert_eq!(
        scratch.sql(ROLES),
        "emotionviz emotionviz_api emotionviz_restoring_me"
    );
    assert_eq!(scratch.sql(ENTRIES), "30");
}

#[test]
fn ctrl_c_ends_a_restore_from_a_silent_pipe() {
    let scratch = Scratch::new();
    let fifo = scratch.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for path in ["fifo", "-"] {
        // A writer holds the pipe open, and writes nothing.
        let (reader, _writer) = std::io::pipe().unwrap();
        let mut restore =
            Running::reading(scratch.command(&["--verbose", "restore", path]), reader);
        restore.printed("reading the copy");
        restore.signal(Signal::SIGINT);
        restore.finish().expect_code(130);
    }
}

#[test]
fn restore_reports_a_checksum_file_that_does_not_apply() {
    let (scratch, ..) = with_dump();
    scratch.ok(&["backup", "--output", "a.dump"]);
    let sum = scratch.path("a.dump.sha256");
    let good = fs::read_to_string(&sum).unwrap();
    let restore = |words: &str| scratch.ok(&["restore", "a.dump"]).says(words);
    fs::write(&sum, "").unwrap();
    restore("a.dump.sha256 is empty");
    fs::write(&sum, "garbage\n").unwrap();
    restore("a.dump.sha256 is not a checksum file");
    fs::remove_file(&sum).unwrap();
    restore("a.dump.sha256 does not exist");
    // Another copy has this name, with the old checksum.
    fs::write(&sum, &good).unwrap();
    let another = scratch.ok(&["backup"]).stdout.trim().to_owned();
    fs::copy(Path::new(&another), scratch.path("a.dump")).unwrap();
    restore("is the checksum of another copy that had this name");
    fs::write(&sum, format!("{}  a.dump\n", "0".repeat(64))).unwrap();
    let hour = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    fs::File::open(&sum).unwrap().set_modified(hour).unwrap();
    let refused = scratch.dev(&["restore", "a.dump"]).expect_code(1);
    refused.says("was replaced or changed after the checksum was written");
    assert!(!refused.stderr.contains("damaged"), "{refused}");
}
