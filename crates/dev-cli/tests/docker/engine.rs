//! `cargo dev` with the docker engine: the verbs as they are with the native one, on the containers that plain Compose shows.

use std::time::{Duration, Instant};

use process::PidFile;
use serde_json::Value;

use crate::support::docker::finish;
use crate::support::{Finished, Project, docker, eventually, get, get_from};

/// What `status --json` says of a service, in both engines.
const FIELDS: [&str; 11] = [
    "container",
    "health",
    "name",
    "pid",
    "port",
    "reason",
    "restarts",
    "state",
    "uptime_seconds",
    "url",
    "version",
];

fn status(project: &Project) -> Value {
    serde_json::from_str(&project.dev(&["status", "--json"]).expect_code(0).stdout).unwrap()
}

fn service<'a>(status: &'a Value, name: &str) -> &'a Value {
    status["services"]
        .as_array()
        .unwrap()
        .iter()
        .find(|service| service["name"] == name)
        .unwrap()
}

fn port(project: &Project, name: &str) -> u16 {
    u16::try_from(service(&status(project), name)["port"].as_u64().unwrap()).unwrap()
}

fn sql(project: &Project, sql: &str) -> String {
    project
        .dev(&["db", "shell", "-c", &format!("COPY ({sql}) TO STDOUT")])
        .expect_code(0)
        .text()
        .to_owned()
}

/// Standard input from a text.
fn feed(project: &Project, args: &[&str], input: &str) -> Finished {
    finish(project.dev_command(args), input.as_bytes())
}

#[test]
#[ignore = "long: Docker"]
fn every_verb_works_on_the_containers() {
    let Some(project) = Project::new() else {
        return;
    };
    let up = project
        .dev(&["up", "--engine", "docker", "--detach"])
        .expect_code(0);
    let up = up
        .says("made POSTGRES_PASSWORD, POSTGRES_API_PASSWORD, JWT_SECRET_KEY")
        .says("the environment runs in the background");
    for address in [
        "API            http://127.0.0.1:",
        "documentation  http://127.0.0.1:",
        "database       postgres://emotionviz:***@",
    ] {
        assert!(up.stdout.contains(address), "{up}");
    }
    assert!(
        get(port(&project, "api"), "/health/ready").contains("\"ready\""),
        "it returns when that is so"
    );
    project
        .dev(&["up", "--detach"])
        .expect_code(0)
        .says("the environment already runs");

    status_and_logs(&project);
    commands_at_once(&project);
    what_plain_compose_does_is_seen(&project);
    migrations_and_the_database(&project);
    a_migration_beside_code_that_does_not_compile(&project);
    a_copy_and_back(&project);
    restarts(&project);
    nothing_stays_but_the_data(&project);
}

fn status_and_logs(project: &Project) {
    let now = status(project);
    assert_eq!(
        (
            &now["engine"],
            &now["schema"]["state"],
            &now["watching"]["by"]
        ),
        (&"docker".into(), &"current".into(), &"events".into())
    );
    for name in ["api", "db"] {
        let service = service(&now, name);
        let mut fields: Vec<&str> = service
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        fields.sort_unstable();
        assert_eq!(fields, FIELDS);
        assert_eq!(
            (&service["state"], &service["health"], &service["restarts"]),
            (&"running".into(), &"healthy".into(), &0.into())
        );
        assert!(
            project
                .container(name)
                .starts_with(service["container"].as_str().unwrap()),
            "{service}"
        );
        assert_eq!(
            service["port"],
            project.port(name, if name == "api" { "8000" } else { "5432" })
        );
        assert!(
            service["version"].is_string() && service["uptime_seconds"].is_u64(),
            "{service}"
        );
    }
    project
        .dev(&["status"])
        .expect_code(0)
        .says("SERVICE")
        .says("schema   current");
    project
        .dev(&["logs", "api"])
        .expect_code(0)
        .says("  api │ ")
        .says("listening on");
    project
        .dev(&["logs", "db", "-n", "3"])
        .expect_code(0)
        .says("   db │ ");
    let answer = get(project.port("api", "8000"), "/api/v1/entries");
    let id = answer
        .lines()
        .find_map(|line| line.strip_prefix("x-request-id: "))
        .unwrap()
        .trim();
    eventually("the line of a request", || {
        let logs = project.dev(&["logs", "--request", id]).expect_code(0);
        (logs.stdout.lines().count() == 1 && logs.stdout.contains("/api/v1/entries")).then_some(())
    });
}

/// No command fails because another command runs, and the result is unchanged.
fn commands_at_once(project: &Project) {
    let files = [
        ".env",
        "data/run/engine",
        "data/run/ports.json",
        "data/run/compose.lock",
    ];
    let shared = || files.map(|file| std::fs::read(project.path(file)).ok());
    let containers = || ["db", "api"].map(|service| project.container(service));
    let before = (shared(), containers());
    let commands: [&[&str]; 8] = [
        &["status"],
        &["db", "shell", "-c", "SELECT 1"],
        &["up", "--detach"],
        &["db", "url"],
        &["migrate", "status"],
        &["logs", "-n", "1"],
        &["config", "show"],
        &["db", "shell", "-c", "SELECT 2"],
    ];
    for _ in 0..5 {
        std::thread::scope(|scope| {
            for command in commands {
                scope.spawn(move || project.dev(command).expect_code(0));
            }
        });
        assert_eq!((shared(), containers()), before);
    }
}

fn what_plain_compose_does_is_seen(project: &Project) {
    project.ok(&["stop", "api"]);
    let now = status(project);
    assert_eq!(
        (
            &service(&now, "api")["state"],
            &service(&now, "db")["state"]
        ),
        (&"stopped".into(), &"running".into())
    );
    project.dev(&["logs", "api"]).expect_code(0).says("stopped");
    // As the container was made: by the tool, whose variables a shell does not have.
    project.ok(&["start", "api"]);
    eventually("the API that Compose started", || {
        (service(&status(project), "api")["health"] == "healthy").then_some(())
    });
}

fn migrations_and_the_database(project: &Project) {
    project.dev(&["migrate", "verify"]).expect_code(0);
    let migrations: Value = serde_json::from_str(
        &project
            .dev(&["migrate", "status", "--json"])
            .expect_code(0)
            .stdout,
    )
    .unwrap();
    assert!(
        migrations["migrations"]
            .as_array()
            .unwrap()
            .iter()
            .all(|migration| migration["state"] == "applied"),
        "{migrations}"
    );
    project
        .dev(&["migrate", "down"])
        .expect_code(0)
        .says("the copy of emotionviz_db before the change is")
        .says("reverted");
    assert_eq!(status(project)["schema"]["state"], "behind");
    project
        .dev(&["migrate", "up"])
        .expect_code(0)
        .says("applied");
    project
        .dev(&["db", "seed"])
        .expect_code(0)
        .says("has 30 entries");
    assert_eq!(
        feed(
            project,
            &["db", "shell"],
            "SELECT count(*) FROM emotion_entries\\g (format=unaligned tuples_only)\n"
        )
        .text(),
        "30"
    );
    let url = project.dev(&["db", "url"]).expect_code(0);
    assert!(
        url.text().starts_with("postgres://emotionviz:") && url.text().contains("@127.0.0.1:"),
        "{url}"
    );
}

fn write_migration(project: &Project, version: u64) {
    for direction in ["up", "down"] {
        project.write(
            &format!("backend/db/migrations/{version}_late.{direction}.sql"),
            "SELECT 1;\n",
        );
    }
}

/// Nobody waits for a program that nobody builds.
fn is_not_waited_for(project: &Project, version: u64) {
    let asked = Instant::now();
    project.dev(&["migrate", "status"]).expect_code(0);
    project.dev(&["migrate", "verify"]).expect_code(0);
    let refused = project.dev(&["migrate", "up"]).expect_code(1);
    refused
        .says(&format!("does not know migration {version}"))
        .says("cargo dev restart api");
    assert!(
        asked.elapsed() < Duration::from_secs(120),
        "{:?}",
        asked.elapsed()
    );
}

fn a_migration_beside_code_that_does_not_compile(project: &Project) {
    let (file, version) = ("backend/app/src/health.rs", 29_990_101_000_000);
    let code = project.read(file);
    project.write(file, &format!("{code}\nmistake\n"));
    write_migration(project, version);
    is_not_waited_for(project, version);
    project.write(file, &code);
    project.dev(&["migrate", "up"]).expect_code(0);
    assert_eq!(status(project)["schema"]["state"], "current");
}

fn a_migration_without_reloads(project: &Project) {
    let version = 29_990_101_000_001;
    write_migration(project, version);
    is_not_waited_for(project, version);
    project.dev(&["restart", "api"]).expect_code(0);
    project.dev(&["migrate", "up"]).expect_code(0);
    assert_eq!(status(project)["schema"]["state"], "current");
}

fn a_copy_and_back(project: &Project) {
    let copy = project.dev(&["backup"]).expect_code(0).text().to_owned();
    project
        .dev(&["db", "shell", "-c", "DELETE FROM emotion_entries"])
        .expect_code(0);
    project
        .dev(&["restore", &copy])
        .expect_code(0)
        .says("the old database is kept as before_restore_");
    assert_eq!(sql(project, "SELECT count(*) FROM emotion_entries"), "30");
    eventually("the API on the restored rows", || {
        get(port(project, "api"), "/health/ready")
            .contains("\"ready\"")
            .then_some(())
    });
}

fn restarts(project: &Project) {
    let (api, started) = (
        project.container("api"),
        project.inspect("db", "{{.State.StartedAt}}"),
    );
    project.dev(&["restart", "api"]).expect_code(0);
    assert_eq!(
        project.container("api"),
        api,
        "the supervisor in there does it"
    );
    project.dev(&["restart", "db"]).expect_code(0);
    assert_ne!(project.inspect("db", "{{.State.StartedAt}}"), started);

    let login = |password: &str| {
        let script = format!(
            "PGPASSWORD='{password}' psql -h 127.0.0.1 -U emotionviz -d emotionviz_db -wXAtqc 'select 1'"
        );
        project.exec("db", &["sh", "-c", &script]).code
    };
    feed(project, &["db", "password", "--stdin"], "another $one\n")
        .expect_code(0)
        .says("the database has a new password");
    assert_eq!((login("another $one"), login("devpassword")), (0, 2));
    assert_eq!(service(&status(project), "api")["health"], "healthy");
}

fn what_is_asked_for_later_is_added(project: &Project) {
    let id = |service: &str| project.container(service);
    let (db, api) = (id("db"), id("api"));
    let both = std::thread::scope(|scope| {
        let up = || {
            project
                .dev(&["up", "--detach", "--tools"])
                .expect_code(0)
                .says("Adminer        http://127.0.0.1:")
        };
        [scope.spawn(up), scope.spawn(up)].map(|up| up.join().unwrap())
    });
    let adminer = both.map(|up| {
        up.stdout
            .lines()
            .find(|line| line.contains("Adminer"))
            .unwrap()
            .to_owned()
    });
    assert_eq!(
        adminer[0], adminer[1],
        "the second finds what the first has added"
    );
    project.dev(&["restart", "api"]).expect_code(0);
    let now = status(project);
    // As it was started, which neither of the two has said.
    assert_eq!(
        (&now["watching"], &service(&now, "adminer")["state"]),
        (&Value::Null, &"running".into())
    );
    let (adminer, port) = (id("adminer"), port(project, "api"));
    assert_eq!((id("db"), id("api")), (db.clone(), api.clone()));

    project
        .dev(&["up", "--detach", "--lan"])
        .expect_code(0)
        .says("the environment already runs");
    assert_eq!(public(project), format!("0.0.0.0:{port}"));
    assert_eq!(status(project)["watching"], Value::Null);
    assert_eq!((id("db"), id("adminer")), (db, adminer));
    assert_ne!(id("api"), api);
}

/// Where the API is published.
fn public(project: &Project) -> String {
    project
        .inspect(
            "api",
            "{{range .NetworkSettings.Ports}}{{range .}}{{.HostIp}}:{{.HostPort}} {{end}}{{end}}",
        )
        .trim_end()
        .to_owned()
}

fn two_that_start_it_at_once(project: &Project) {
    let has_begun = || {
        let has_its_turn = PidFile::is_held(&project.path("data/run/compose.lock"));
        (has_its_turn || !project.container("api").is_empty()).then_some(())
    };
    std::thread::scope(|scope| {
        let up = |asked: &'static str| {
            scope.spawn(move || project.dev(&["up", "--detach", asked]).expect_code(0))
        };
        up("--lan");
        eventually("the first of them", has_begun);
        up("--tools");
    });
    let now = status(project);
    assert_eq!(
        public(project),
        format!("0.0.0.0:{}", port(project, "api")),
        "what the first has started stays as it is"
    );
    assert_eq!(service(&now, "adminer")["state"], "running");
}

/// The first one to end does not stop the database of the other one.
fn two_that_start_the_database_on_demand(project: &Project) {
    std::thread::scope(|scope| {
        scope.spawn(|| sql(project, "SELECT pg_sleep(2)"));
        eventually("the first of them", || {
            (!project.container("db").is_empty()).then_some(())
        });
        let other = scope.spawn(|| sql(project, "SELECT 42 FROM pg_sleep(5)"));
        assert_eq!(other.join().unwrap(), "42");
    });
}

/// Variables of Compose in `.env` also apply to `cargo dev`, or are refused by name.
fn further_files_of_compose(project: &Project) {
    let env = project.read(".env");
    let service = |name: &str, more: &str| {
        format!("  {name}:\n    image: postgres:15-alpine\n    command: sleep 1000\n{more}")
    };
    let more = format!(
        "services:\n{}{}",
        service("more", ""),
        service("chosen", "    profiles: [theirs]\n")
    );
    project.write("more.yml", &more);
    let with = |lines: &str| project.write(".env", &format!("{env}{lines}"));
    let refused = [
        (
            "COMPOSE_FILE=more.yml\n",
            "do not define these services, which `cargo dev` needs: setup, db, api",
        ),
        (
            "COMPOSE_FILE=docker-compose.yml:gone.yml\n",
            "gone.yml, which does not exist",
        ),
        ("COMPOSE_ENV_FILES=.env\n", "COMPOSE_ENV_FILES (from "),
    ];
    for (lines, said) in refused {
        with(lines);
        project
            .dev(&["up", "--detach"])
            .expect_code(1)
            .says(said)
            .says("Nothing was started");
    }
    with(
        "COMPOSE_FILE=docker-compose.yml:docker-compose.ipv6.yml:docker-compose.override.yml:more.yml\nCOMPOSE_PROFILES=theirs\n",
    );
    project.dev(&["up", "--detach", "--tools"]).expect_code(0);
    for name in ["db", "api", "adminer", "more", "chosen"] {
        assert_eq!(
            project.inspect(name, "{{.State.Running}}"),
            "true",
            "{name}"
        );
    }
    let port = port(project, "api");
    for address in ["127.0.0.1", "::1"] {
        let answer = get_from(address, port, "/health");
        assert!(answer.starts_with("HTTP/1.1 200"), "{address}: {answer}");
    }
    project.dev(&["down"]).expect_code(0);
    project.write(".env", &env);
}

fn nothing_stays_but_the_data(project: &Project) {
    project
        .dev(&["stop"])
        .expect_code(0)
        .says("everything is stopped");
    project
        .dev(&["stop"])
        .expect_code(0)
        .says("nothing was running");
    project.dev(&["down"]).expect_code(0);
    let label = format!("label=com.docker.compose.project={}", project.name());
    assert_eq!(
        docker(&["ps", "--all", "--quiet", "--filter", &label]).text(),
        ""
    );
    assert_eq!(
        docker(&["network", "ls", "--quiet", "--filter", &label]).text(),
        ""
    );
    // What it said stays, and it can be asked for a moment.
    project
        .dev(&["logs", "db"])
        .expect_code(0)
        .says("database system is ready to accept connections");
    project
        .dev(&["status"])
        .expect_code(0)
        .says("nothing runs: cargo dev up");
    assert_eq!(sql(project, "SELECT count(*) FROM emotion_entries"), "30");
    assert_eq!(
        docker(&["ps", "--all", "--quiet", "--filter", &label]).text(),
        ""
    );

    two_that_start_the_database_on_demand(project);
    assert_eq!(
        docker(&["ps", "--all", "--quiet", "--filter", &label]).text(),
        ""
    );

    let started = Instant::now();
    project
        .dev(&["up", "--detach", "--no-reload"])
        .expect_code(0);
    eprintln!(
        "cargo dev up --engine docker on built images and existing data: {:?}",
        started.elapsed()
    );
    what_is_asked_for_later_is_added(project);
    a_migration_without_reloads(project);
    project.dev(&["down"]).expect_code(0);
    two_that_start_it_at_once(project);
    project.dev(&["down"]).expect_code(0);
    further_files_of_compose(project);
    assert_eq!(
        docker(&["ps", "--all", "--quiet", "--filter", &label]).text(),
        ""
    );
}
