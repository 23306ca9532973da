//! Both settings files, ports, passwords of any kind.

use std::ffi::OsString;
use std::net::TcpListener;
use std::process::Command;

use dev_env::Environment;
use emotionviz_settings::declared::POSTGRES_PASSWORD;
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::support::docker::finish;
use crate::support::{Project, docker, get};

/// A password that breaks whatever is put together of strings.
const PASSWORD: &str = r#"a$b c/d@e:f#g?h%i"j\k&l"#;

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

#[test]
#[ignore = "long: Docker"]
fn backend_env_applies_to_the_database_and_the_api() {
    let Some(mut project) = Project::new() else {
        return;
    };
    project.unset("API_PORT");
    // Variables for programs of the machine do not affect the containers.
    let foreign = "PGPORT=6000\nPGHOST=nowhere.invalid\nPGSSLMODE=verify-full\nPGOPTIONS='-c datestyle=German'\nPGDATA=/elsewhere\n\
        PGUSER=stranger\nPGSERVICE=theirs\nPG_MAJOR=99\nTZ=Asia/Kolkata\n";
    project.write("backend/.env", &format!("{foreign}POSTGRES_PASSWORD='{PASSWORD}'\nPOSTGRES_DB=journal\nAPI_PORT=1\nLOG_LEVEL=debug\n"));
    // `.env` beside the Compose file comes before it, and is the place for ports.
    let port = free_port();
    project.unset("POSTGRES_PORT");
    project.write(
        ".env",
        &format!(
            "API_PORT={port}\nPOSTGRES_PORT={}\nPOSTGRES_USER=ann\nLOG_LEVEL=\n",
            free_port()
        ),
    );
    assert_eq!(project.ok(&["config"]).stderr, "");
    project.up();
    assert!(get(port, "/health/ready").contains("\"ready\""));
    let who = project.exec(
        "db",
        &[
            "psql",
            "-U",
            "ann",
            "-d",
            "journal",
            "-XAtqc",
            "SELECT current_user, current_database()",
        ],
    );
    assert_eq!(who.expect_code(0).text(), "ann|journal");
    for line in [project.logs(), project.read("data/logs/app.log")] {
        assert!(
            !line.contains("a$b c") && !line.contains("a%24b"),
            "a password is in a log"
        );
    }
    // A port that nobody can see there is said. The other is not: `.env` sets it too.
    let logs = project.logs();
    assert!(!logs.contains("API_PORT is 1 in backend/.env"), "{logs}");
    project.write(
        "backend/.env",
        &format!("POSTGRES_PASSWORD='{PASSWORD}'\nPOSTGRES_DB=journal\nADMINER_PORT=9\n"),
    );
    project.ok(&["restart", "api"]);
    project.logged("ADMINER_PORT is 9 in backend/.env, which Docker Compose does not read");
    let started = project.inspect("api", "{{.State.StartedAt}}");
    let said = docker(&["logs", "--since", &started, &project.container("api")]);
    assert!(
        said.stderr
            .lines()
            .next()
            .unwrap()
            .contains("ADMINER_PORT is 9"),
        "{said}"
    );

    // The clients of `cargo dev`, too.
    project.write(
        "backend/.env",
        &format!("{foreign}POSTGRES_PASSWORD='{PASSWORD}'\nPOSTGRES_DB=journal\n"),
    );
    let sql = "SELECT current_setting('datestyle'), current_setting('timezone') LIKE '%UTC', current_user";
    let shown = project
        .dev(&[
            "db",
            "shell",
            "--engine",
            "docker",
            "-c",
            &format!("COPY ({sql}) TO STDOUT"),
        ])
        .expect_code(0);
    assert_eq!(shown.text(), "ISO, MDY\tt\tann");
    let shown = project
        .exec(
            "db",
            &[
                "psql",
                "-U",
                "ann",
                "-d",
                "journal",
                "-XAtqc",
                "SHOW datestyle",
            ],
        )
        .expect_code(0);
    assert_eq!(shown.text(), "ISO, MDY");

    // The setting of the FastAPI backend for a database on the machine.
    project.write(
        "backend/.env",
        "DATABASE_URL=postgresql+asyncpg://ann:x@localhost:5432/journal\n",
    );
    project.ok(&["restart", "api"]);
    project.logged("DATABASE_URL names localhost, which in a container is the container itself");
}

/// A password, as `db` is given it: its settings script in the environment that Compose makes of the shell and the files.
fn passwords(project: &Project) -> (String, String) {
    let config: Value =
        serde_json::from_str(&project.ok(&["config", "--format", "json"]).stdout).unwrap();
    // Compose doubles what it would take for a variable.
    let environment = |service: &str| -> Vec<(OsString, OsString)> {
        let variables = config["services"][service]["environment"]
            .as_object()
            .unwrap();
        variables
            .iter()
            .map(|(name, value)| {
                (
                    name.into(),
                    value.as_str().unwrap_or_default().replace("$$", "$").into(),
                )
            })
            .collect()
    };
    let mut script = Command::new("sh");
    script
        .args([
            "-c",
            ". ./backend/docker/db/settings && printf '%s' \"$POSTGRES_PASSWORD\"",
        ])
        .current_dir(project.root());
    let of_db = finish_with(script, environment("db"));
    let api = Environment::in_container(project.root(), environment("api")).unwrap();
    let of_api = api
        .configuration
        .tool(&api.checkout)
        .unwrap()
        .external
        .unwrap()
        .migration_url
        .password
        .unwrap();
    (of_db, of_api.expose_secret().to_owned())
}

fn finish_with(mut command: Command, environment: Vec<(OsString, OsString)>) -> String {
    command
        .env_clear()
        .envs(environment)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    finish(command, b"").expect_code(0).stdout
}

/// What `cargo dev` reads on the machine.
fn password_of_the_tool(project: &Project, shell: Option<&str>) -> Result<String, String> {
    let shell = shell.map(|value| ("POSTGRES_PASSWORD".into(), value.into()));
    let tool = Environment::find(project.root(), shell).map_err(|error| error.to_string())?;
    let password = tool
        .configuration
        .values()
        .read(&POSTGRES_PASSWORD)
        .unwrap();
    Ok(password.map_or_else(
        || "devpassword".to_owned(),
        |password| password.expose_secret().to_owned(),
    ))
}

#[test]
#[ignore = "long: Docker"]
fn database_and_api_get_the_same_password_from_every_source() {
    let Some(mut project) = Project::new() else {
        return;
    };
    let set = |project: &Project, file: &str, value: Option<&str>| match value {
        Some(value) => project.write(file, &format!("POSTGRES_PASSWORD={value}\n")),
        None => drop(std::fs::remove_file(project.path(file))),
    };
    for shell in [None, Some(""), Some("of the shell")] {
        project.unset("POSTGRES_PASSWORD");
        shell
            .iter()
            .for_each(|value| project.set("POSTGRES_PASSWORD", value));
        for env in [None, Some(""), Some("of-env")] {
            for backend in [None, Some(""), Some("of-backend")] {
                set(&project, ".env", env);
                set(&project, "backend/.env", backend);
                let first = [shell, env, backend]
                    .into_iter()
                    .flatten()
                    .find(|value| !value.is_empty())
                    .unwrap_or("devpassword");
                let (db, api) = passwords(&project);
                assert_eq!(db, api, "{shell:?} {env:?} {backend:?}");
                assert_eq!(
                    password_of_the_tool(&project, shell).unwrap(),
                    first,
                    "{shell:?} {env:?} {backend:?}"
                );
                // Compose takes a variable that the shell sets to nothing for a value, which hides the one of .env.
                if !(shell == Some("") && env == Some("of-env") && backend.is_some()) {
                    assert_eq!(db, first, "{shell:?} {env:?} {backend:?}");
                }
            }
        }
    }
}

#[test]
#[ignore = "long: Docker"]
fn every_reader_of_settings_files_reads_the_same_password() {
    let Some(project) = Project::new() else {
        return;
    };
    let mut refused = Vec::new();
    for value in [
        "plain",
        "a b",
        "a#b",
        "a #b",
        "a\\b",
        "a\\ b",
        "a\"b\"c",
        "a'b",
        "pa$$word",
        "a$",
        "a$ b",
        "$1",
        "a$-b",
        "a${Y_1}b",
        "$Y_1/",
        "${Y_1:-d}",
        "${NONE:-d}",
        "${NONE-d}",
        "'a$b #'",
        "'a\\b'",
        "'it\\'s'",
        "'a\"b'",
        "'a' # c",
        "'two\nlines'",
        "\"a\\\"b\"",
        "\"a\\$b\"",
        "\"a\\\\b\"",
        "\"a\\nb\"",
        "\"a\\tb\"",
        "\"a\\ b\"",
        "\"a\\qb\"",
        "\"a\\'b\"",
        "\"$Y_1 #\"",
        "\"a$\"",
        "\"\\\\$Y_1\"",
        "ä",
        "=a=",
        "a\tb",
        "a\t#b",
        // They refer to nothing.
        "a\\$b",
        "a$NONE",
        // Read in different ways, or not at all, by some version of Compose.
        "'a\\'",
        "'a'b",
        "\"a\"'b'",
        "''a''",
        " # c",
        "#c",
        "${Y_1",
        "${NONE:?}",
        "\"a\\ab\"",
    ] {
        for (file, other) in [(".env", "backend/.env"), ("backend/.env", ".env")] {
            project.write(file, &format!("Y_1=y\nPOSTGRES_PASSWORD={value}\n"));
            project.write(other, "");
            match password_of_the_tool(&project, None) {
                Ok(tool) => {
                    assert_eq!(passwords(&project), (tool.clone(), tool), "{file}: {value}")
                }
                Err(message) => {
                    assert!(message.contains("between single quotes"), "{message}");
                    refused.push(value);
                }
            }
        }
    }
    // One file refers to the other, which comes before its own lines.
    project.write(".env", "Y_1=of env\n");
    project.write("backend/.env", "Y_1=y\nPOSTGRES_PASSWORD=a$Y_1\n");
    let tool = password_of_the_tool(&project, None).unwrap();
    assert_eq!(
        (passwords(&project), tool.as_str()),
        ((tool.clone(), tool.clone()), "aof env")
    );
    refused.dedup();
    assert_eq!(
        refused,
        [
            "a\\$b",
            "a$NONE",
            "'a\\'",
            "'a'b",
            "\"a\"'b'",
            "''a''",
            " # c",
            "#c",
            "${Y_1",
            "${NONE:?}",
            "\"a\\ab\""
        ]
    );
}

#[test]
#[ignore = "long: Docker"]
fn the_example_file_of_the_specification_works_in_docker() {
    let Some(project) = Project::new() else {
        return;
    };
    let example = project.read("backend/.env.example").replace(
        "POSTGRES_PASSWORD=devpassword",
        "POSTGRES_PASSWORD=of-the-file",
    );
    project.write("backend/.env", &example);
    project.up();
    assert!(project.get("/health/ready").contains("\"ready\""));
    let tcp = "PGPASSWORD=of-the-file psql -h 127.0.0.1 -U emotionviz -d emotionviz_db -wXAtqc 'select 1'";
    project.exec("db", &["sh", "-c", tcp]).expect_code(0);
}

#[test]
#[ignore = "long: Docker"]
fn settings_that_do_not_match_the_database_are_reported() {
    let Some(project) = Project::new() else {
        return;
    };
    project.ok(&["up", "-d", "--wait", "db"]);
    let cases = [
        (
            "POSTGRES_PASSWORD=another",
            "POSTGRES_PASSWORD does not fit the database",
            "\\password",
        ),
        (
            "POSTGRES_USER=another",
            "POSTGRES_USER is another",
            "Set POSTGRES_USER back",
        ),
        (
            "POSTGRES_DB=another",
            "POSTGRES_DB is another",
            "createdb -U emotionviz 'another'",
        ),
    ];
    for (line, what, remedy) in cases {
        project.write(".env", &format!("{line}\n"));
        project.ok(&["up", "-d", "db"]);
        project.logged(what);
        assert!(project.logs().contains(remedy), "{}", project.logs());
        assert_ne!(project.health("db"), "healthy");
    }
}
