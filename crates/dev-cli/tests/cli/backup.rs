//! Copies of the database, and the way back.

use std::fs;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::process::Command;

use nix::sys::signal::Signal;
use test_needs::SmallDisk;

use crate::support::{Running, Scratch, eventually, postgres};

const DATABASES: &str =
    "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY 1";

fn databases(scratch: &Scratch) -> Vec<String> {
    scratch.sql(DATABASES).lines().map(str::to_owned).collect()
}

fn run(scratch: &Scratch, sql: &str) {
    scratch.ok(&["db", "shell", "-c", sql]);
}

/// What sessions in the database begin with, where it was said by ALTER DATABASE or ALTER ROLE.
const SETTINGS: &str = "SELECT setrole::regrole, setconfig FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase
    WHERE datname = 'emotionviz_db' ORDER BY 1";

/// All that has to be quoted, and lists.
const ODD_SETTINGS: &str = r#"ALTER DATABASE emotionviz_db SET search_path = "$user", public, 'odd "name", it''s', '';
ALTER DATABASE emotionviz_db SET "app.note" = E'it''s "a" \\ note,\n:of \\gexec two lines';
ALTER DATABASE emotionviz_db SET TimeZone = 'UTC';
ALTER ROLE emotionviz_api IN DATABASE emotionviz_db SET idle_in_transaction_session_timeout = '77s';
CREATE ROLE "an ""odd"" role's";
ALTER ROLE "an ""odd"" role's" IN DATABASE emotionviz_db SET search_path = '';
COMMENT ON DATABASE emotionviz_db IS 'it''s "mine"';
ALTER DATABASE emotionviz_db CONNECTION LIMIT 50;
REVOKE CONNECT ON DATABASE emotionviz_db FROM PUBLIC;
GRANT CONNECT ON DATABASE emotionviz_db TO "an ""odd"" role's" WITH GRANT OPTION;
GRANT CREATE ON DATABASE emotionviz_db TO "an ""odd"" role's""#;

/// What belongs to the database itself, without its owner.
const ITSELF: &str = "SELECT datconnlimit, shobj_description(oid, 'pg_database'), ARRAY(
        SELECT concat_ws(' ', grantee::regrole, privilege_type, is_grantable) FROM aclexplode(datacl) WHERE grantee <> datdba ORDER BY 1)
    FROM pg_database WHERE datname = 'emotionviz_db'";

#[test]
fn a_copy_is_put_back_and_what_was_there_is_kept() {
    if !test_needs::program("sha256sum", "install coreutils") {
        return;
    }
    let scratch = Scratch::new();
    scratch.up();
    scratch.ok(&["db", "seed"]);
    let entries = scratch.sql("SELECT count(*) FROM emotion_entries");
    let backup = scratch.ok(&["backup"]);
    let copy = backup.stdout.trim().to_owned();
    assert!(
        copy.starts_with(&*scratch.path("data/backups").to_string_lossy())
            && copy.ends_with(".dump"),
        "{backup}"
    );
    let mut check = Command::new("sha256sum");
    check
        .args(["--check", "--quiet"])
        .arg(format!("{copy}.sha256"))
        .current_dir(scratch.path("data/backups"));
    assert!(check.status().unwrap().success());

    run(&scratch, ODD_SETTINGS);
    let settings = scratch.sql(SETTINGS);
    assert_eq!(settings.lines().count(), 3, "{settings}");
    let itself = scratch.sql(ITSELF);
    assert_eq!(
        (itself.matches("CONNECT").count(), itself.contains("50\t")),
        (2, true),
        "{itself}"
    );
    run(&scratch, "DELETE FROM emotion_entries");
    run(&scratch, "CREATE TABLE of_today AS SELECT 1");
    let restored = scratch.ok(&["restore", &copy]);
    restored.prints("restored emotionviz_db from ");
    restored.says("is kept as before_restore_");
    assert_eq!(scratch.sql("SELECT count(*) FROM emotion_entries"), entries);
    assert_eq!(scratch.sql("SELECT to_regclass('of_today') IS NULL"), "t");
    assert_eq!(scratch.sql(SETTINGS), settings, "they are of the name");
    assert_eq!(scratch.sql(ITSELF), itself);
    let [kept, now] = &databases(&scratch)[..] else {
        panic!("{:?}", databases(&scratch))
    };
    assert!(kept.starts_with("before_restore_") && now == "emotionviz_db");

    // The API was not started anew. It has its rights, and no more than those.
    eventually("a ready API", || {
        scratch
            .get("/health/ready")
            .contains("\"ready\"")
            .then_some(())
    });
    assert_eq!(scratch.service("api")["restarts"], 0);
    let rights = "SELECT has_table_privilege('emotionviz_api', 'users', 'INSERT'), has_schema_privilege('emotionviz_api', 'public', 'CREATE')";
    assert_eq!(scratch.sql(rights), "t\tf");

    // Without an environment that runs, and from SQL as pg_dump prints it.
    let url = scratch.ok(&["db", "url"]).stdout.trim().to_owned();
    let dump = postgres("pg_dump").arg(&url).output().unwrap();
    assert!(dump.status.success(), "{dump:?}");
    fs::write(scratch.path("backup.sql"), dump.stdout).unwrap();
    scratch.ok(&["down"]);
    scratch
        .ok(&["restore", "backup.sql"])
        .says("the copy was not verified with a checksum");
    scratch.up();
    assert_eq!(scratch.sql("SELECT count(*) FROM emotion_entries"), entries);
    assert_eq!(scratch.sql(ITSELF), itself);
}

#[test]
fn a_copy_that_is_damaged_or_refused_changes_nothing() {
    let scratch = Scratch::new();
    scratch.up();
    run(&scratch, "CREATE TABLE kept AS SELECT 1");
    scratch.ok(&["backup", "--output", "mine.dump"]);
    let mut bytes = fs::read(scratch.path("mine.dump")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(scratch.path("mine.dump"), bytes).unwrap();
    scratch
        .dev(&["restore", "mine.dump"])
        .expect_code(1)
        .says("is damaged: it does not match the checksum next to it");

    scratch.write("half.sql", "CREATE TABLE half ();\nSELECT nonsense;\n");
    scratch
        .dev(&["restore", "half.sql"])
        .expect_code(1)
        .says("has no tables of this application");
    scratch
        .dev(&["restore", "not-there.sql"])
        .expect_code(1)
        .says("not-there.sql");
    assert_eq!(databases(&scratch), ["emotionviz_db"]);
    assert_eq!(scratch.sql("SELECT count(*) FROM kept"), "1");
}

#[test]
fn backup_replaces_no_foreign_files_without_force() {
    if !test_needs::program("sha256sum", "install coreutils") {
        return;
    }
    let scratch = Scratch::new();
    scratch.up();
    scratch.write("notes.txt", "mine");
    scratch.write("data/backups/.unfinished-novel", "mine");
    let env = scratch.read(".env");
    symlink("notes.txt", scratch.path("link")).unwrap();
    scratch.write("new.dump.sha256", "mine");
    scratch.write("forged.dump", "PGDMP, or so it says");
    scratch.write("forged.dump.sha256", "# written by cargo dev backup\n");
    for (path, words) in [
        ("notes.txt", "not a copy that this tool made"),
        (".env", "not a copy that this tool made"),
        ("Cargo.toml", "not a copy that this tool made"),
        (
            "link",
            "notes.txt exists and is not a copy that this tool made",
        ),
        ("forged.dump", "not a copy that this tool made"),
        (
            "new.dump",
            "new.dump.sha256 exists and is not a checksum that this tool wrote",
        ),
        ("backend", "is a folder"),
        ("data/backups/", "is a folder"),
        ("not/there/a.dump", "backup creates folders only below"),
        (
            "data/../elsewhere/a.dump",
            "backup creates folders only below",
        ),
    ] {
        let refused = scratch.dev(&["backup", "--output", path]).expect_code(1);
        refused.says(words);
        refused.says("Nothing was changed");
        refused.says("hint: ");
    }
    assert_eq!(
        [
            scratch.read("notes.txt"),
            scratch.read("new.dump.sha256"),
            scratch.read(".env")
        ],
        ["mine".to_owned(), "mine".to_owned(), env]
    );
    assert!(!scratch.path("elsewhere").exists() && !scratch.path("not").exists());

    scratch.ok(&["backup", "--output", "data/a/b.dump"]);
    scratch.ok(&["backup", "--output", "data/a/b.dump"]);
    scratch.ok(&["backup", "--output", "notes.txt", "--force"]);
    // A link is followed, to an existing file and to a missing one.
    symlink("elsewhere.dump", scratch.path("to-nothing")).unwrap();
    for link in ["link", "to-nothing"] {
        scratch.ok(&["backup", "--output", link]);
        assert!(scratch.path(link).is_symlink());
        scratch.ok(&["restore", link]);
    }
    for copy in ["data/a/b.dump", "notes.txt", "elsewhere.dump"] {
        let check = format!(
            "cd \"$(dirname '{copy}')\" && sha256sum --check --strict --quiet \"$(basename '{copy}').sha256\""
        );
        assert!(
            Command::new("sh")
                .args(["-c", &check])
                .current_dir(scratch.root())
                .status()
                .unwrap()
                .success(),
            "{copy}"
        );
    }
    assert_eq!(scratch.read("data/backups/.unfinished-novel"), "mine");

    // Standard output, a FIFO and devices are written to, and are not replaced.
    let piped = |command: &str| {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", command, "sh", env!("CARGO_BIN_EXE_dev-cli")])
            .current_dir(scratch.root());
        shell.envs(
            scratch
                .command(&[])
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        let ended = Running::start(shell).finish().expect_code(0);
        assert_eq!(ended.stdout, "", "{ended}");
    };
    nix::unistd::mkfifo(&scratch.path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    piped("\"$1\" backup --output - > stdout.dump");
    piped("cat fifo > fifo.dump & \"$1\" backup --output fifo && wait");
    piped("\"$1\" backup --output /dev/null");
    piped("\"$1\" backup --output /dev/stdout | cat > device.dump");
    for copy in ["stdout.dump", "fifo.dump", "device.dump"] {
        scratch.ok(&["restore", copy]);
    }
    assert!(
        fs::metadata("/dev/null")
            .unwrap()
            .file_type()
            .is_char_device()
    );
    assert!(
        fs::symlink_metadata(scratch.path("fifo"))
            .unwrap()
            .file_type()
            .is_fifo()
            && !scratch.path("-").exists()
    );
}

#[test]
fn git_ignores_copies_and_their_checksums() {
    if !test_needs::program("git", "apt install git") {
        return;
    }
    let scratch = Scratch::new();
    let git = |args: &[&str]| {
        Command::new("git")
            .args(args)
            .current_dir(scratch.root())
            .output()
            .unwrap()
    };
    assert!(git(&["init", "--quiet"]).status.success());
    for name in [
        "backup.sql",
        "backup.sql.sha256",
        "a.dump",
        "a.dump.sha256",
        "docs/b.dump",
        "backup.sql.gz",
        ".emotionviz-unfinished-x/copy",
    ] {
        assert!(
            git(&["check-ignore", "--quiet", "--no-index", name])
                .status
                .success(),
            "{name}"
        );
    }
    for name in [
        "backend/tests/data/python_backend.sql",
        "backend/db/migrations/1_a.up.sql",
    ] {
        assert!(
            !git(&["check-ignore", "--quiet", "--no-index", name])
                .status
                .success(),
            "{name}"
        );
    }
}

#[test]
fn backup_reports_the_missing_space_on_a_full_disk_and_keeps_the_old_copy() {
    let scratch = Scratch::new();
    scratch.up();
    let Some(_disk) = SmallDisk::mount(&scratch.path("data/small"), 1) else {
        return;
    };
    scratch.ok(&["backup", "--output", "data/small/a.dump"]);
    let old = fs::read(scratch.path("data/small/a.dump")).unwrap();
    // Random texts, which cannot be compressed.
    run(
        &scratch,
        "CREATE TABLE large AS SELECT string_agg(md5(random()::text), '') AS a FROM generate_series(1, 400000) GROUP BY random() < 0.5",
    );
    let refused = scratch
        .dev(&["backup", "--output", "data/small/a.dump"])
        .expect_code(1);
    for words in [
        "the disk of ",
        "data/small",
        "is full",
        "are free",
        "are missing",
        "Nothing was changed",
        "hint: ",
    ] {
        refused.says(words);
    }
    assert_eq!(fs::read(scratch.path("data/small/a.dump")).unwrap(), old);
    let mut names: Vec<_> = fs::read_dir(scratch.path("data/small"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["a.dump", "a.dump.sha256"]);
    scratch.ok(&["restore", "data/small/a.dump"]);
}

#[test]
fn a_killed_backup_keeps_the_old_pair_and_the_next_backup_cleans_up() {
    let scratch = Scratch::new();
    scratch.up();
    scratch.ok(&["backup", "--output", "a.dump"]);
    let pair = || {
        [scratch.path("a.dump"), scratch.path("a.dump.sha256")].map(|path| fs::read(path).unwrap())
    };
    let old = pair();
    run(
        &scratch,
        "CREATE TABLE large AS SELECT md5(random()::text) AS a FROM generate_series(1, 300000)",
    );
    let left = || {
        let names = fs::read_dir(scratch.root())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter(|name| name.starts_with(".emotionviz-unfinished-"))
            .count()
    };
    for signal in [Signal::SIGKILL, Signal::SIGINT] {
        let backup = scratch.start(&["backup", "--output", "a.dump"]);
        eventually("an unfinished copy", || (left() > 0).then_some(()));
        backup.signal(signal);
        backup.finish();
        assert_eq!(pair(), old);
        assert_eq!(left(), usize::from(signal == Signal::SIGKILL));
        scratch.ok(&["backup", "--output", "b.dump"]);
        assert_eq!(left(), 0);
    }
}
