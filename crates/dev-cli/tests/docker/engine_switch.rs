//! The database moves from one engine to the other and back, whole, whoever is killed meanwhile.

use std::process::Stdio;

use crate::support::docker::finish;
use crate::support::{Project, eventually};

const ROWS: &str = r#"
CREATE TABLE awkward (id serial PRIMARY KEY, t text, n numeric, a text[], j jsonb, b bytea, at timestamptz, f float8, i interval);
INSERT INTO awkward (t, n, a, j, b, at, f, i) VALUES
    ('ünï "q" | \ ,', 'NaN', '{a,NULL,"x y"}', '{"k":[1,null]}', '\xdeadbeef', '2026-01-02 03:04:05.678+05', 0.1::float8 + 0.2, '1 mon -2 days'),
    (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    ('', 0.10, '{}', 'null', '', 'infinity', '-0', '0'),
    (E'line\nbreak', 1234567890123456789012345678901234567890.123456789, '{{1,2},{3,4}}', '""', '\x00', '-infinity', 'Infinity', '1 year');
CREATE TABLE "Odd | name" (n int);
INSERT INTO "Odd | name" SELECT generate_series(1, 1000);
CREATE TABLE empty ();
SELECT lo_from_bytea(0, '\x0102');
CREATE DATABASE other;
\c other
CREATE TABLE there AS SELECT 1 AS n;
"#;

fn rows(project: &Project, engine: &str) -> String {
    let look = "SET timezone = 'UTC'; TABLE awkward ORDER BY id; SELECT sum(n), count(*) FROM \"Odd | name\"; SELECT nextval('awkward_id_seq') > 4";
    project
        .dev(&["--engine", engine, "db", "shell", "-c", look])
        .expect_code(0)
        .stdout
}

#[test]
#[ignore = "long: Docker"]
fn engine_switch_moves_every_row_to_native_and_back() {
    let Some(project) = Project::new() else {
        return;
    };
    project.ok(&["up", "-d", "--wait", "db"]);
    finish(
        project.dev_command(&["--engine", "docker", "db", "shell"]),
        ROWS.as_bytes(),
    )
    .expect_code(0);
    let before = rows(&project, "docker");
    project.write(".env", "DEV_ENGINE=docker\n");

    let moved = project.dev(&["engine", "switch", "native"]).expect_code(0);
    let moved = moved
        .says("stopping the environment to move its database")
        .says("moved the database to the native engine: all 1005 rows of 4 tables are identical");
    assert!(
        moved.stderr.contains("rm -rf '") && moved.stderr.contains("postgres.docker-"),
        "{moved}"
    );
    assert!(
        project.read(".env").contains("DEV_ENGINE=native\n")
            && project
                .read(".env")
                .contains("POSTGRES_PASSWORD=devpassword\n")
    );
    assert_eq!(rows(&project, "native"), before);
    project
        .dev(&["up", "--engine", "docker"])
        .expect_code(1)
        .says("data/postgres was made by the native engine");
    // The old one is a database still, as it was.
    assert_eq!(kept(&project), 1);

    killed_half_way(&project);
    assert_eq!(
        rows(&project, "native"),
        before,
        "the next command puts it back"
    );
    assert!(!project.path("data/switch.json").exists());

    project
        .dev(&["db", "shell", "-c", "INSERT INTO empty DEFAULT VALUES"])
        .expect_code(0);
    project
        .dev(&["engine", "switch", "docker"])
        .expect_code(0)
        .says("all 1006 rows of 4 tables are identical");
    assert_eq!(rows(&project, "docker"), before);
    project
        .dev(&["backup", "--engine", "native"])
        .expect_code(1)
        .says("data/postgres was made by the docker engine");
    project
        .dev(&["engine", "switch", "docker"])
        .expect_code(0)
        .says("there was no database to move");
    assert_eq!(kept(&project), 2);
    project.dev(&["down"]).expect_code(0);
}

/// The owner of the tables that the schema of this application has.
const OWNERS: &str = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'";

#[test]
#[ignore = "long: Docker"]
fn a_database_from_a_file_of_others_keeps_its_owner_in_migrations_and_engine_switch() {
    let Some(project) = Project::new() else {
        return;
    };
    project.write(".env", "DEV_ENGINE=docker\n");
    project.up();
    let dump = project
        .exec("db", &["pg_dump", "-U", "emotionviz", "emotionviz_db"])
        .expect_code(0);
    project.write("of-others.sql", &dump.stdout);
    project.dev(&["restore", "of-others.sql"]).expect_code(0);
    for command in [
        &["migrate", "down"][..],
        &["migrate", "up"],
        &["db", "seed"],
    ] {
        project.dev(command).expect_code(0);
    }
    for switch in [false, true] {
        if switch {
            project.dev(&["engine", "switch", "native"]).expect_code(0);
        }
        let owners = project.dev(&["db", "shell", "-c", OWNERS]).expect_code(0);
        assert!(
            owners.stdout.contains("emotionviz_owner") && owners.stdout.contains("(1 row)"),
            "switch: {switch}: {owners}"
        );
    }
    project.dev(&["down"]).expect_code(0);
}

/// How many old databases are kept, complete.
fn kept(project: &Project) -> usize {
    let names = std::fs::read_dir(project.path("data"))
        .unwrap()
        .map(|entry| entry.unwrap());
    let kept = names.filter(|entry| {
        entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with("postgres.") && !name.contains("begun"))
    });
    kept.filter(|entry| entry.path().join("PG_VERSION").exists())
        .count()
}

/// A switch whose tool is killed when the old database has been moved aside and the new one is being made.
fn killed_half_way(project: &Project) {
    let mut command = project.dev_command(&["engine", "switch", "docker"]);
    let mut switch = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("a database that is moved aside", || {
        (project.path("data/switch.json").exists() && project.path("data/postgres").exists())
            .then_some(())
    });
    switch.kill().unwrap();
    switch.wait().unwrap();
    assert_eq!(kept(project), 2, "the old one of before, and this one");
}
