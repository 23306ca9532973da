//! The specification's commands as they are typed, in its order; docs/coming-from-the-specification.md has a row for each.

use crate::support::{Project, eventually};

#[test]
#[ignore = "long: Docker"]
fn the_commands_of_the_specification_work_in_its_order() {
    let Some(project) = Project::new() else {
        return;
    };
    let psql = ["psql", "-U", "emotionviz", "-d", "emotionviz_db"];
    project.up();

    // Migrations: nothing is pending, one is made, reverted, applied.
    project
        .exec("api", &["alembic", "upgrade", "head"])
        .expect_code(0)
        .says("alembic upgrade head is here: emotionviz migrate up")
        .says("up to date");
    let made = project
        .exec(
            "api",
            &[
                "alembic",
                "revision",
                "--autogenerate",
                "-m",
                "description of mine",
            ],
        )
        .expect_code(0);
    let file = made
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("/app/"))
        .unwrap_or_else(|| panic!("{made}"))
        .to_owned();
    assert!(file.ends_with("_description_of_mine.up.sql"), "{file}");
    assert_eq!(project.owner_of(&file), project.owner());
    project
        .exec("api", &["alembic", "current"])
        .expect_code(0)
        .says("applied");
    project
        .exec("api", &["alembic", "history"])
        .expect_code(0)
        .says("20251124000000");
    project
        .exec("api", &["alembic", "downgrade", "-1"])
        .expect_code(0)
        .says("reverted");
    project
        .exec("api", &["alembic", "upgrade", "head"])
        .expect_code(0)
        .says("applied");
    project
        .exec("api", &["alembic", "stamp", "x"])
        .expect_code(2)
        .says("no counterpart");

    // Backup, and onto a database that was made anew.
    let dump = project
        .ok(&[
            "exec",
            "-T",
            "db",
            "pg_dump",
            "-U",
            "emotionviz",
            "emotionviz_db",
        ])
        .stdout;
    assert!(dump.contains("CREATE TABLE public.users"), "{dump}");
    project
        .exec("db", &["createdb", "-U", "emotionviz", "anew"])
        .expect_code(0);
    let into = [
        "exec",
        "-T",
        "db",
        "psql",
        "-U",
        "emotionviz",
        "-v",
        "ON_ERROR_STOP=1",
        "-q",
        "anew",
    ];
    project.feed(&into, dump.as_bytes()).expect_code(0);

    // Looking at things.
    project
        .exec("db", &[&psql[..], &["-c", "\\dt"]].concat())
        .expect_code(0)
        .says("emotion_entries");
    let ready = project
        .exec("db", &["pg_isready", "-U", "emotionviz"])
        .expect_code(0);
    assert_eq!(
        ready.text(),
        "/var/run/postgresql:5432 - accepting connections"
    );
    project.ok(&["ps"]).says("(healthy)");
    project.ok(&["ps", "db"]).says("(healthy)");
    project.ok(&["logs", "api"]).says("listening on");
    project
        .ok(&["logs", "db"])
        .says("ready to accept connections");
    project
        .exec("api", &["psql", "-c", "select 40 + 2 as answer"])
        .expect_code(0)
        .says("42");
    let health = project.get("/health");
    assert!(
        health.contains("\"status\":\"healthy\"") && health.contains("\"timestamp\":\"20"),
        "{health}"
    );

    // Tools of the development image.
    for tool in [
        &["cargo", "clippy", "--version"][..],
        &["cargo", "fmt", "--version"],
        &["cargo", "nextest", "--version"],
        &["pg_dump", "--version"],
    ] {
        project.exec("api", tool).expect_code(0);
    }

    // A restore when the database has rows: the commands in docs/operations.md.
    project.sql("INSERT INTO users (id, email, email_key, hashed_password, name) VALUES (gen_random_uuid(), $$late@example.com$$, $$late@example.com$$, $$x$$, $$Late$$)");
    project.write("backup.sql", &dump);
    let document = project.read("docs/operations.md");
    let (_, section) = document
        .split_once("\n## Restore with Docker alone\n")
        .unwrap();
    let (_, lines) = section.split_once("```sh\n").unwrap();
    project
        .typed(lines.split("```").next().unwrap())
        .expect_code(0);
    assert_eq!(project.sql("SELECT count(*) FROM users"), "0");
    let before = [
        "psql",
        "-U",
        "emotionviz",
        "-d",
        "before_restore",
        "-XAtqc",
        "SELECT email FROM users",
    ];
    assert_eq!(
        project.exec("db", &before).expect_code(0).text(),
        "late@example.com"
    );
    eventually("the API after the swap", || {
        project
            .get("/health/ready")
            .contains("\"ready\"")
            .then_some(())
    });

    // Building, and stopping; `docker-compose` is the same command where it is version 2.
    project.ok(&["build", "--quiet", "api"]);
    project.ok(&["up", "-d", "--build", "--quiet-pull"]);
    project.ok(&["restart", "api"]);
    project
        .typed("docker-compose ps && docker-compose logs --tail 1 db")
        .expect_code(0)
        .says("(healthy)");
    project.ok(&["stop"]);
    project.ok(&["--profile", "tools", "up", "-d"]);
    project.ok(&["--profile", "tools", "down"]);
    assert!(project.path("data/postgres/PG_VERSION").exists());

    // What the specification advises against corruption, with what was there kept.
    project
        .typed("mv data/postgres data/postgres.old && docker compose up -d --wait db")
        .expect_code(0);
    assert_eq!(
        project.sql("SELECT count(*) FROM pg_database WHERE datname = $$before_restore$$"),
        "0"
    );
    project.ok(&["down"]);
}

#[test]
#[ignore = "long: Docker"]
fn tests_in_the_container_leave_the_development_database_alone() {
    let Some(project) = Project::new() else {
        return;
    };
    project.up();
    project.sql("CREATE TABLE kept AS SELECT 1");
    let tests = project
        .exec("api", &["pytest", "-k", "health"])
        .expect_code(0);
    let tests = tests.says("pytest -k health is here: cargo nextest run --package emotionviz");
    assert!(
        tests.stderr.contains(" passed") && !tests.stderr.contains(" 0 passed"),
        "{tests}"
    );
    assert_eq!(project.sql("SELECT count(*) FROM kept"), "1");
    assert_eq!(
        project.sql("SELECT count(*) FROM pg_database WHERE datname LIKE $$test\\_%$$"),
        "0",
        "a test's database stays"
    );
}
