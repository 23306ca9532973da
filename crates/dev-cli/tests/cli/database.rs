use crate::support::Scratch;
use crate::support::processes::{expect_end, expect_none};

#[test]
fn db_shell_has_no_password_in_its_arguments() {
    let scratch = Scratch::new();
    scratch.up();
    let shell = scratch.ok(&[
        "db",
        "shell",
        "-c",
        "SELECT current_user, current_database(), pg_backend_pid()",
    ]);
    shell.prints("emotionviz");
    scratch
        .dev(&["db", "shell", "-c", "SELECT nonsense"])
        .expect_code(1)
        .says("nonsense");

    // What is piped into it runs.
    let url = scratch.ok(&["db", "url"]).stdout.trim().to_owned();
    let psql = crate::support::postgres("psql")
        .args([&url, "-Atc", "SELECT 6 * 7"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&psql.stdout).trim(), "42");
    let password = scratch
        .read(".env")
        .lines()
        .find_map(|l| l.strip_prefix("POSTGRES_PASSWORD="))
        .unwrap()
        .to_owned();
    let slow = scratch.start(&["db", "shell", "-c", "SELECT 'started', pg_sleep(30)"]);
    let arguments = crate::support::eventually("psql", || {
        let mine = crate::support::processes::all()
            .into_iter()
            .find(|(_, command)| command.contains("pg_sleep(30)") && command.contains("psql"));
        mine.map(|(_, command)| command)
    });
    assert!(!arguments.contains(&password));
    slow.signal(nix::sys::signal::Signal::SIGTERM);

    assert_ne!(slow.finish().code, 0);
}

#[test]
fn db_shell_runs_a_file_without_psqlrc_up_to_the_first_error_and_counts_statements() {
    let mut scratch = Scratch::new();
    scratch.up();
    scratch.write("psqlrc", "\\echo of the psqlrc\n\\set ON_ERROR_STOP off\n");
    scratch.set("PSQLRC", scratch.path("psqlrc"));
    // Several on a line, in several lines, with data, and with what only looks like one.
    let good = "CREATE TABLE t (x int); INSERT INTO t VALUES (1);\nCOPY t FROM STDIN;\n2\n3\n\\.\nSELECT 'a; b' AS\n  c; -- ; ;\nDO $$ BEGIN NULL; END $$;\n";
    scratch.write("good.sql", good);
    for shell in [scratch.ok_reading(&["db", "shell"], "good.sql"), {
        scratch.ok(&["db", "shell", "-c", "DROP TABLE t"]);
        scratch.ok(&["db", "shell", "-f", "good.sql"])
    }] {
        shell.says("5 statements ran");
        shell.prints("a; b");
        assert!(!shell.stdout.contains("psqlrc"), "{shell}");
    }
    let bad = "CREATE TABLE first ();\nSELECT nonsense;\nCREATE TABLE second ();\n";
    for (sql, ran, kept) in [
        (bad.to_owned(), "the 1 statements", "t"),
        (format!("BEGIN;\n{bad}COMMIT;\n"), "the 2 statements", "f"),
        (bad.replace('\n', " ") + "\n", "0 to 2 statements", "t"),
    ] {
        scratch.write("bad.sql", &sql);
        let shell = scratch
            .dev(&["db", "shell", "-f", "bad.sql"])
            .expect_code(1);
        shell.says("nonsense");
        shell.says(&format!(
            "in the database emotionviz_db; {ran} before the error ran"
        ));
        assert_eq!(
            scratch.sql("SELECT to_regclass('first') IS NOT NULL, to_regclass('second') IS NULL"),
            format!("{kept}\tt")
        );
        scratch.ok(&["db", "shell", "-c", "DROP TABLE IF EXISTS first"]);
    }
    scratch
        .dev(&["db", "shell", "-f", "absent.sql"])
        .expect_code(1)
        .says("absent.sql");
}

#[test]
fn db_verbs_start_the_database_on_demand() {
    let scratch = Scratch::new();
    scratch
        .dev(&["db", "shell", "-c", "SELECT 1"])
        .expect_code(1)
        .says("cargo dev up");
    scratch.up();
    scratch.ok(&["down"]);
    let shell = scratch.ok(&["db", "shell", "-c", "SELECT 40 + 2"]);
    shell.says("started for the moment");
    shell.prints("42");
    expect_none(scratch.root());
    scratch.ok(&["db", "url"]).says("cargo dev up");
}

#[test]
fn the_database_log_never_contains_user_data() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    scratch.up();
    scratch.ok(&[
        "db",
        "shell",
        "-c",
        "CREATE TABLE notes (note text CHECK (length(note) < 3))",
    ]);
    let refused = scratch
        .dev(&[
            "db",
            "shell",
            "-c",
            "INSERT INTO notes VALUES ('planted text')",
        ])
        .expect_code(1);
    refused.says("planted text");
    scratch.ok(&["down"]);
    let log = scratch.read("data/logs/postgres.log");
    assert!(
        log.contains("violates check constraint") && !log.contains("planted"),
        "{log}"
    );
    for name in ["postgres.log", "dev.log", "app.log"] {
        let mode = std::fs::metadata(scratch.path("data/logs").join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn db_seed_twice_creates_the_demonstration_data_once() {
    let mut scratch = Scratch::new();
    scratch.up();
    for _ in 0..2 {
        scratch
            .ok(&["db", "seed"])
            .prints("demo@example.com with the password demo-password-1 has 30 entries");
    }
    assert_eq!(scratch.sql("SELECT count(*) FROM emotion_entries"), "30");
    let login = scratch.login("demo@example.com", "demo-password-1");
    assert!(login.contains("access_token"), "{login}");
    scratch.ok(&["down"]);
    scratch.set("APP_ENV", "production");
    scratch.set("JWT_SECRET_KEY", "0123456789abcdef0123456789abcdef");
    scratch
        .dev(&["db", "seed"])
        .expect_code(1)
        .says("production");
}

#[test]
fn db_password_changes_the_password_everywhere() {
    let scratch = Scratch::new();
    scratch.up();
    let api = scratch.pid("api");
    let old = scratch.ok(&["db", "url"]).stdout;
    scratch.ok(&["db", "password"]).says(".env");
    expect_end(api);
    assert_ne!(scratch.ok(&["db", "url"]).stdout, old);
    assert!(scratch.get("/health/ready").contains("\"ready\""));
    assert_eq!(scratch.sql("SELECT 1"), "1");
    scratch.write("new", "it's $new \"here\"\n");
    scratch.ok_reading(&["db", "password", "--stdin"], "new");
    assert!(
        scratch
            .ok(&["db", "url"])
            .stdout
            .contains("it%27s%20%24new%20%22here%22")
    );
    assert_eq!(scratch.sql("SELECT 1"), "1");
    scratch.ok(&["restart"]);
    assert!(scratch.get("/health/ready").contains("\"ready\""));
}

#[test]
fn db_password_without_input_changes_nothing() {
    let scratch = Scratch::new();
    scratch.up();
    let kept = scratch.read(".env");
    scratch
        .dev(&["db", "password", "--stdin"])
        .expect_code(1)
        .says("no password on standard input");
    assert_eq!(scratch.read(".env"), kept);
}

#[test]
fn up_explains_a_lost_password_and_db_password_replaces_it() {
    let scratch = Scratch::new();
    scratch.up();
    scratch.ok(&["down"]);
    let kept = scratch.read(".env");
    scratch.write(".env", "");
    scratch
        .dev(&["up", "--detach"])
        .expect_code(1)
        .says("cargo dev db password");
    assert!(
        !scratch.read(".env").contains("POSTGRES_PASSWORD="),
        "a database that exists gets no new password"
    );

    scratch.write(
        ".env",
        &kept.replace("POSTGRES_PASSWORD=", "POSTGRES_PASSWORD=x"),
    );
    scratch
        .dev(&["up", "--detach"])
        .expect_code(1)
        .says("cargo dev db password");
    expect_none(scratch.root());
    scratch.ok(&["db", "password"]);
    scratch.up();
    assert!(scratch.get("/health/ready").contains("\"ready\""));
}
