//! Commands that replace rows stop writers first: each acknowledged row is in the copy or in the database.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{Running, Scratch, eventually, postgres, service_binary};

/// Reads the setting of `ALTER DATABASE … SET`; empty if writes are allowed.
const STOPPED: &str = "SELECT setconfig FROM pg_db_role_setting";

/// A client of the API, or psql as the owner, which writes until it is stopped and records acknowledged rows.
struct Writer {
    end: Arc<AtomicBool>,
    thread: JoinHandle<Vec<String>>,
}

impl Writer {
    fn start(write: impl FnMut(&str) -> bool + Send + 'static, name: &str) -> Self {
        let (end, name, mut write) = (Arc::new(AtomicBool::new(false)), name.to_owned(), write);
        let ended = Arc::clone(&end);
        let thread = std::thread::spawn(move || {
            let texts = (0..).map(|number| format!("{name}-{number}-"));
            texts
                .take_while(|_| !ended.load(Ordering::Relaxed))
                .filter(|text| write(text))
                .collect()
        });
        Self { end, thread }
    }

    fn finish(self) -> Vec<String> {
        self.end.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Answers of the API.
struct Api {
    agent: ureq::Agent,
    base: String,
}

impl Api {
    fn of(scratch: &Scratch) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .build();
        Self {
            agent: config.into(),
            base: format!("http://127.0.0.1:{}/api/v1", scratch.port("api")),
        }
    }

    fn post(&self, path: &str, token: &str, body: &serde_json::Value) -> (u16, serde_json::Value) {
        let request = self.agent.post(format!("{}{path}", self.base));
        let request = request
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {token}"));
        let mut answer = request.send(body.to_string()).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        (
            answer.status().as_u16(),
            serde_json::from_str(&text).unwrap_or_default(),
        )
    }

    fn register(&self, name: &str) -> String {
        let body = serde_json::json!({"email": format!("{name}@example.com"), "password": "correct horse 1", "name": name});
        eventually("an account", || {
            let (status, answer) = self.post("/auth/register", "", &body);
            (status == 201).then(|| answer["data"]["access_token"].as_str().unwrap().to_owned())
        })
    }

    fn entry(&self, token: &str, text: &str) -> (u16, serde_json::Value) {
        self.post(
            "/entries",
            token,
            &serde_json::json!({"situation": text, "emotions": ["joy"], "intensity": 0.5}),
        )
    }
}

fn api_writer(scratch: &Scratch, name: &str) -> Writer {
    let api = Api::of(scratch);
    let token = api.register(name);
    let write = move |text: &str| {
        let (status, answer) = api.entry(&token, text);
        if status == 503 {
            assert_eq!(answer["error"]["code"], "SERVICE_UNAVAILABLE", "{answer}");
        }
        status == 201
    };
    Writer::start(write, name)
}

fn owner_writer(scratch: &Scratch, name: &str) -> Writer {
    let url = scratch.ok(&["db", "url"]).stdout.trim().to_owned();
    let mut psql = None;
    let write = move |text: &str| {
        let (child, lines): &mut (std::process::Child, BufReader<std::process::ChildStdout>) = psql
            .get_or_insert_with(|| {
                let mut command = postgres("psql");
                command
                    .args(["-XqAt", &url])
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::null());
                let mut child = command.spawn().unwrap();
                let lines = BufReader::new(child.stdout.take().unwrap());
                (child, lines)
            });
        let sql = format!(
            "INSERT INTO emotion_entries (user_id, situation, emotions, intensity) SELECT id, '{text}', '{{joy}}', 0.5 FROM users LIMIT 1 RETURNING 'ok';\n\\echo :ERROR\n"
        );
        let mut said = String::new();
        let _ended = child.stdin.as_mut().unwrap().write_all(sql.as_bytes());
        while !said.ends_with("false\n")
            && !said.ends_with("true\n")
            && lines.read_line(&mut said).is_ok_and(|length| length > 0)
        {}
        let acknowledged = said.contains("ok\n");
        if !acknowledged {
            // The session was terminated, or is read-only.
            drop(child.stdin.take());
            child.wait().unwrap();
            psql = None;
        }
        acknowledged
    };
    Writer::start(write, name)
}

/// The texts of entries in the copies and in all databases.
fn kept(scratch: &Scratch) -> BTreeSet<String> {
    let mut texts = String::new();
    for entry in fs::read_dir(scratch.path("data/backups"))
        .into_iter()
        .flatten()
    {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "dump")
        {
            let data = ["-f", "-", "--data-only", "--table", "emotion_entries"];
            let restored = postgres("pg_restore")
                .args(data)
                .arg(&path)
                .output()
                .unwrap();
            assert!(restored.status.success(), "{restored:?}");
            texts += &String::from_utf8(restored.stdout).unwrap();
        }
    }
    let url = scratch.ok(&["db", "url"]).stdout.trim().to_owned();
    let databases =
        scratch.sql("SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate");
    for database in databases.lines() {
        let url = format!("{}/{database}", url.rsplit_once('/').unwrap().0);
        let found = postgres("psql")
            .args(["-XAt", &url, "-c", "SELECT situation FROM emotion_entries"])
            .output()
            .unwrap();
        texts += &String::from_utf8(found.stdout).unwrap();
    }
    texts.split_ascii_whitespace().map(str::to_owned).collect()
}

#[test]
fn every_acknowledged_row_is_in_the_copy_or_in_a_database() {
    let mut scratch = Scratch::new();
    scratch.set("RATE_LIMITS", "off");
    scratch.up();
    scratch.ok(&["backup", "--output", "earlier.dump"]);
    for (round, command) in [
        &["migrate", "down", "3"][..],
        &["migrate", "to", "0", "--yes"],
        &["restore", "earlier.dump"],
    ]
    .iter()
    .enumerate()
    {
        scratch.ok(&["migrate", "up"]);
        let writers = [
            api_writer(&scratch, &format!("api{round}")),
            owner_writer(&scratch, &format!("owner{round}")),
        ];
        std::thread::sleep(Duration::from_millis(200));
        scratch.ok(command);
        std::thread::sleep(Duration::from_millis(200));
        let kept = kept(&scratch);
        for writer in writers {
            let acknowledged = writer.finish();
            assert!(
                !acknowledged.is_empty(),
                "{command:?}: the writer wrote nothing"
            );
            let lost: Vec<_> = acknowledged
                .iter()
                .filter(|text| !kept.contains(*text))
                .collect();
            // Rows that were written after the tables were read are in the database.
            let lost: Vec<_> = lost
                .into_iter()
                .filter(|text| !crate::writers::kept(&scratch).contains(*text))
                .collect();
            assert!(lost.is_empty(), "{command:?} lost {lost:?}");
        }
        assert_eq!(scratch.sql(STOPPED), "");
    }
}

/// Starts a checkout, and a `migrate down` that copies the database and then hangs.
fn in_the_middle_of_a_step_back(scratch: &mut Scratch) -> Running {
    scratch.set("RATE_LIMITS", "off");
    scratch.up();
    let (real, started) = (service_binary(), scratch.beside().join("started"));
    let script = format!(
        "case \"$*\" in 'migrate down'*) touch '{}'; exec sleep 1000;; *) exec '{}' \"$@\";; esac",
        started.display(),
        real.display()
    );
    scratch.set("SERVICE_BINARY", scratch.script("service", &script));
    let down = scratch.start(&["migrate", "down"]);
    eventually("the step back", || started.exists().then_some(()));
    down
}

fn copies(scratch: &Scratch) -> Vec<String> {
    let entries = fs::read_dir(scratch.path("data/backups"))
        .into_iter()
        .flatten();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// The API and the owner write as before.
fn expect_writes(scratch: &Scratch, api: &Api, token: &str) {
    eventually("an entry", || {
        (api.entry(token, "afterwards").0 == 201).then_some(())
    });
    scratch.ok(&["db", "shell", "-c", "CREATE TABLE of_the_owner ()"]);
    assert_eq!(scratch.sql(STOPPED), "");
}

#[test]
fn clients_get_503_for_writes_while_writers_are_stopped_until_ctrl_c() {
    let mut scratch = Scratch::new();
    scratch.up();
    let api = Api::of(&scratch);
    let token = api.register("ann");
    let down = in_the_middle_of_a_step_back(&mut scratch);
    for _ in 0..5 {
        let (status, answer) = api.entry(&token, "meanwhile");
        assert_eq!(
            (status, &answer["success"]),
            (503, &false.into()),
            "{answer}"
        );
        assert_eq!(answer["error"]["code"], "SERVICE_UNAVAILABLE", "{answer}");
    }
    assert_eq!(scratch.sql("SELECT count(*) FROM emotion_entries"), "0");
    scratch
        .dev(&["db", "shell", "-c", "CREATE TABLE of_the_owner ()"])
        .expect_code(1)
        .says("read-only");
    scratch
        .dev(&["migrate", "down"])
        .expect_code(1)
        .says("another command that replaces the database or reverts its schema");
    assert_eq!(
        copies(&scratch)
            .iter()
            .filter(|name| name.ends_with(".dump"))
            .count(),
        1
    );
    down.signal(Signal::SIGINT);
    down.finish()
        .expect_code(130)
        .says("nothing of emotionviz_db was reverted");
    assert_eq!(copies(&scratch), Vec::<String>::new());
    expect_writes(&scratch, &api, &token);
}

#[test]
fn a_killed_migrate_down_allows_writes_again() {
    let mut scratch = Scratch::new();
    scratch.up();
    let api = Api::of(&scratch);
    let token = api.register("ann");
    let down = in_the_middle_of_a_step_back(&mut scratch);
    assert_eq!(api.entry(&token, "meanwhile").0, 503);
    down.signal(Signal::SIGKILL);
    down.finish();
    expect_writes(&scratch, &api, &token);
}

#[test]
fn a_failed_migrate_down_keeps_its_copy_only_after_a_revert() {
    let mut scratch = Scratch::new();
    scratch.up();
    let real = service_binary();
    for (reverts, copies_left) in [("true", 0), ("'{real}' migrate down", 2)] {
        let reverts = reverts.replace("{real}", &real.display().to_string());
        let script = format!(
            "case \"$*\" in 'migrate down'*) {reverts} >/dev/null; echo 'error: a bad day' >&2; exit 1;; *) exec '{}' \"$@\";; esac",
            real.display()
        );
        scratch.set("SERVICE_BINARY", scratch.script("service", &script));
        let failed = scratch.dev(&["migrate", "down", "2"]).expect_code(1);
        failed.says("a bad day");
        failed.says(if copies_left == 0 {
            "nothing of emotionviz_db was reverted"
        } else {
            "hint: restore it: cargo dev restore"
        });
        assert_eq!(copies(&scratch).len(), copies_left, "{failed}");
        assert_eq!(scratch.sql(STOPPED), "");
    }
    scratch.set("SERVICE_BINARY", real);
    // A migration that cannot be reverted is refused before the copy.
    scratch.ok(&[
        "db",
        "shell",
        "-c",
        "INSERT INTO _sqlx_migrations SELECT 29991231235959, 'newer', now(), true, '', 1",
    ]);
    scratch
        .dev(&["migrate", "down"])
        .expect_code(1)
        .says("migration 29991231235959 is applied in emotionviz_db, and this code has no such");
    assert_eq!(copies(&scratch).len(), 2);
}

#[test]
fn a_migration_that_nothing_undoes_is_refused_before_writers_are_stopped() {
    let mut scratch = Scratch::new();
    scratch.up();
    let session = "SELECT pid FROM pg_stat_activity WHERE application_name = 'emotionviz' ORDER BY backend_start LIMIT 1";
    let before = scratch.sql(session);
    let script = format!(
        "case \"$*\" in 'migrate status --json') '{0}' \"$@\" | sed 's/\"reversible\": true/\"reversible\": false/';; *) exec '{0}' \"$@\";; esac",
        service_binary().display()
    );
    scratch.set("SERVICE_BINARY", scratch.script("service", &script));
    let file = fs::read_dir(scratch.path("backend/db/migrations"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".down.sql"))
        .max()
        .unwrap();
    for change in [&["migrate", "down"][..], &["migrate", "to", "0", "--yes"]] {
        let refused = scratch.dev(change).expect_code(1);
        refused.says("nothing undoes it; nothing was changed");
        refused.says(&format!("backend/db/migrations/{file}"));
        assert!(!refused.stderr.contains("terminated"), "{refused}");
        assert!(!scratch.path("data/backups").exists());
        assert_eq!(scratch.sql(session), before, "the API keeps its sessions");
    }
}

/// The state after a power failure: no process allowed writes again.
#[test]
fn the_next_start_allows_writes_that_a_lost_command_stopped() {
    let scratch = Scratch::new();
    scratch.up();
    let stop = "ALTER DATABASE emotionviz_db SET default_transaction_read_only = on;
        ALTER DATABASE emotionviz_db SET application_name = 'cargo dev stopped writers: migrate down 3, 09:30:00Z'";
    for start in ["up", "backup", "up where it runs"] {
        scratch.ok(&["db", "shell", "-c", stop]);
        if start != "up where it runs" {
            scratch.ok(&["down"]);
        }
        let command: &[&str] = if start == "backup" {
            &["backup"]
        } else {
            &["up", "--detach"]
        };
        let started = scratch.ok(command);
        started.says("cargo dev migrate down 3, 09:30:00Z stopped the writers of emotionviz_db");
        scratch.up();
        assert_eq!(scratch.sql(STOPPED), "");
    }
    // The setting that stops writers is not the user's, and a restore must not keep it.
    let copy = scratch.ok(&["backup"]).stdout;
    scratch.ok(&["db", "shell", "-c", stop]);
    scratch.ok(&["restore", copy.trim()]);
    scratch.ok(&["db", "shell", "-c", "CREATE TABLE of_the_owner ()"]);
}

#[test]
fn a_setting_that_overrides_stopped_writers_is_reported_with_its_reset() {
    let scratch = Scratch::new();
    scratch.up();
    for (set, reset) in [
        (
            "ALTER DATABASE emotionviz_db SET default_transaction_read_only = off",
            "ALTER DATABASE emotionviz_db RESET default_transaction_read_only",
        ),
        (
            "ALTER ROLE emotionviz_api SET default_transaction_read_only = off",
            "ALTER ROLE emotionviz_api RESET default_transaction_read_only",
        ),
        (
            "ALTER ROLE emotionviz_api IN DATABASE emotionviz_db SET default_transaction_read_only = off",
            "ALTER ROLE emotionviz_api IN DATABASE emotionviz_db RESET default_transaction_read_only",
        ),
        (
            "ALTER DATABASE emotionviz_db SET application_name = mine",
            "ALTER DATABASE emotionviz_db RESET application_name",
        ),
    ] {
        scratch.ok(&["db", "shell", "-c", set]);
        let refused = scratch.dev(&["migrate", "down"]).expect_code(1);
        refused.says("nothing was changed");
        refused.says(&format!("cargo dev db shell -c '{reset};'"));
        assert_eq!(copies(&scratch), Vec::<String>::new());
        scratch.ok(&["db", "shell", "-c", reset]);
    }
    scratch.ok(&["migrate", "down"]).prints("reverted");
}
