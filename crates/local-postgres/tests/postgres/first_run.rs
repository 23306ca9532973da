//! Making a data directory, and what is in it then.

use std::process::Command;

use local_postgres::cluster::{self, ClusterError, DataDir};
use local_postgres::roles;
use local_postgres::server::Server;
use local_postgres::{ClusterConfig, Durability};

use super::place::{Place, run};

#[tokio::test]
async fn both_roles_get_in_and_only_the_owner_makes_tables() {
    let place = Place::new().await;
    assert_eq!(
        cluster::state(&place.config.data_dir, &place.config.owner).unwrap(),
        DataDir::Absent
    );
    cluster::initialise(&place.config).await.unwrap();
    let major = place.config.binaries.major;
    assert_eq!(
        cluster::state(&place.config.data_dir, &place.config.owner).unwrap(),
        DataDir::Ready { major }
    );
    let server = place.start().await;
    assert!(
        !roles::verify(&place.config).await.unwrap(),
        "nothing to mend"
    );

    let owner = place.owner_over_tcp();
    run(
        &owner,
        "create table t (id serial primary key, v text); insert into t (v) values ('grün')",
    )
    .await
    .unwrap();
    let api = place.api();
    assert_eq!(run(&api, "select v from t").await.unwrap(), "grün");
    run(&api, "insert into t (v) values ('a'); update t set v = 'b' where v = 'a'; delete from t where v = 'b'").await.unwrap();
    let forbidden = [
        "create table mine (id int)",
        "create temp table mine (id int)",
        "alter table t add column w text",
        "drop table t",
        "truncate t",
        "create database mine",
        "create role mine",
        "create schema mine",
        "create extension pg_trgm",
    ];
    for sql in forbidden {
        let error = run(&api, sql).await.unwrap_err().to_string();
        assert!(
            error.contains("permission denied") || error.contains("must be owner"),
            "{sql}: {error}"
        );
    }
    let rights = "select rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls from pg_roles where rolname = current_user";
    assert_eq!(run(&api, rights).await.unwrap(), "f");
    let database = "select pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate from pg_database where datname = current_database()";
    assert_eq!(run(&owner, database).await.unwrap(), "emotionviz|UTF8|C");
    let settings = "select string_agg(setting, ',' order by lower(name)) from pg_settings where name in ('TimeZone', 'log_timezone', 'listen_addresses')";
    assert_eq!(run(&owner, settings).await.unwrap(), "127.0.0.1,UTC,UTC");
    server.stop().await.unwrap();
    assert!(!place.config.socket_dir.exists());
    let log = place.log.lock().unwrap().join("\n");
    assert!(
        !log.contains("another-") && !log.contains("word"),
        "a password in the log:\n{log}"
    );
}

#[tokio::test]
async fn nobody_gets_in_without_a_password_but_the_owner_of_the_files() {
    let place = Place::initialised().await;
    let server = place.start().await;
    for mut psql in [place.owner_over_tcp(), place.api()] {
        psql.way = local_postgres::psql::Way::Tcp {
            password: "wrong".into(),
        };
        let error = run(&psql, "select 1").await.unwrap_err().to_string();
        assert!(error.contains("password authentication failed"), "{error}");
    }
    let mut api_through_the_socket = place.config.psql();
    api_through_the_socket.user = roles::API_ROLE.to_owned();
    assert!(run(&api_through_the_socket, "select 1").await.is_err());
    server.stop().await.unwrap();
}

#[tokio::test]
async fn the_development_server_is_durable_and_the_test_server_is_not() {
    for (durability, expected) in [(Durability::Development, "on"), (Durability::Test, "off")] {
        let mut place = Place::new().await;
        place.config.durability = durability;
        cluster::initialise(&place.config).await.unwrap();
        let server = place.start().await;
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            assert_eq!(
                run(&place.config.psql(), &format!("show {setting}"))
                    .await
                    .unwrap(),
                expected,
                "{setting}"
            );
        }
        server.stop().await.unwrap();
    }
}

#[tokio::test]
async fn init_scripts_run_once_in_order_as_the_official_image_runs_them() {
    let mut place = Place::new().await;
    place.script("10-table.sql", "create table log (n serial, line text);\n-- Kommentar: ä\ninsert into log (line) values ('sql');", 0o644);
    let executable = "#!/bin/sh\nset -e\ntest \"$POSTGRES_PASSWORD\" && test -d \"$PGDATA\"\npsql -v ON_ERROR_STOP=1 --username \"$POSTGRES_USER\" --dbname \"$POSTGRES_DB\" -c \"insert into log (line) values ('executable')\"\n";
    place.script("20-run.sh", executable, 0o755);
    place.script(
        "30-source.sh",
        "[[ -n $POSTGRES_DB ]] && psql -c \"insert into log (line) values ('sourced')\"",
        0o644,
    );
    place.script("40-ignored.txt", "not a script", 0o755);
    for _twice in 0..2 {
        cluster::initialise(&place.config).await.unwrap();
        let server = place.start().await;
        let lines = run(
            &place.api(),
            "select string_agg(line, ',' order by n) from log",
        )
        .await
        .unwrap();
        assert_eq!(lines, "sql,executable,sourced");
        server.stop().await.unwrap();
    }
}

#[tokio::test]
async fn compressed_init_scripts_and_init_scripts_with_crlf_run() {
    let mut place = Place::new().await;
    place.script(
        "10-table.sql",
        "create table log (n serial, line text);\r\n",
        0o644,
    );
    let (executable, sourced) = (
        "#!/bin/sh\r\nset -e\r\npsql -c \"insert into log (line) values ('executable')\"\r\n",
        "sourced",
    );
    place.script("20-run.sh", executable, 0o755);
    place.script(
        "30-source.sh",
        &format!(
            "if true; then\r\npsql -c \"insert into log (line) values ('{sourced}')\"\r\nfi\r\n"
        ),
        0o644,
    );
    let mut expected = "executable,sourced".to_owned();
    for (n, program, end) in [(40, "gzip", "gz"), (50, "xz", "xz"), (60, "zstd", "zst")] {
        if Command::new(program).arg("--version").output().is_ok() {
            place.script(
                &format!("{n}-packed.sql"),
                &format!("insert into log (line) values ('{end}');"),
                0o644,
            );
            let file = place
                .config
                .init_scripts
                .clone()
                .unwrap()
                .join(format!("{n}-packed.sql"));
            // The name that each of them gives its result.
            assert!(
                Command::new(program)
                    .arg("-q")
                    .arg(&file)
                    .status()
                    .unwrap()
                    .success()
            );
            let _kept_by_zstd = std::fs::remove_file(&file);
            expected += &format!(",{end}");
        }
    }
    cluster::initialise(&place.config).await.unwrap();
    let server = place.start().await;
    assert_eq!(
        run(
            &place.api(),
            "select string_agg(line, ',' order by n) from log"
        )
        .await
        .unwrap(),
        expected
    );
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_failing_init_script_leaves_nothing() {
    let failing = [
        (
            "10-bad.sql",
            "create table t (id int);\nselect nonsense;",
            "column \"nonsense\" does not exist",
        ),
        ("10-bad.sh", "echo about to fail; exit 3", "about to fail"),
        ("10-bad.sql.gz", "this is not compressed", "gzip"),
        (
            "10-bad.sql.xz",
            "this is not compressed",
            "hint: install xz",
        ),
    ];
    for (name, text, evidence) in failing {
        let mut place = Place::new().await;
        place.script(name, text, 0o644);
        let error = cluster::initialise(&place.config).await.unwrap_err();
        assert!(matches!(error, ClusterError::Script(_)));
        let message = error.to_string();
        assert!(
            message.contains(name) && message.contains(evidence),
            "{message}"
        );
        place.assert_nothing_left();

        // Mended, it works.
        place.script(name, "", 0o644);
        std::fs::rename(
            place.config.init_scripts.clone().unwrap().join(name),
            place
                .config
                .init_scripts
                .clone()
                .unwrap()
                .join("10-good.sql"),
        )
        .unwrap();
        cluster::initialise(&place.config).await.unwrap();
        place.start().await.stop().await.unwrap();
    }
}

#[tokio::test]
async fn paths_and_names_may_hold_anything() {
    let mut place = Place::called("Müllers, 'schönes' \"Projekt\" $HOME 日本語").await;
    place.config.superuser = "Frau Ö., geb. =ß".to_owned();
    place.config.database = "db mit = und ' \" Ü".to_owned();
    place.script(
        "10 mit Leerzeichen.sh",
        "psql -c 'create table t (id int)'",
        0o644,
    );
    cluster::initialise(&place.config).await.unwrap();
    let server = place.start().await;
    roles::verify(&place.config).await.unwrap();
    assert_eq!(
        run(&place.api(), "select count(*) from t").await.unwrap(),
        "0"
    );
    server.stop().await.unwrap();
}

#[tokio::test]
async fn an_empty_folder_is_taken_and_a_full_one_left_alone() {
    let place = Place::new().await;
    let data_dir = &place.config.data_dir;
    std::fs::create_dir_all(data_dir).unwrap();
    std::fs::write(data_dir.join("diary.txt"), "mine").unwrap();
    let error = cluster::initialise(&place.config).await.unwrap_err();
    assert!(
        matches!(&error, ClusterError::Foreign { .. }) && error.to_string().contains("diary.txt"),
        "{error}"
    );
    assert!(Server::start(&place.config).await.is_err());
    assert_eq!(
        std::fs::read_to_string(data_dir.join("diary.txt")).unwrap(),
        "mine"
    );

    std::fs::remove_file(data_dir.join("diary.txt")).unwrap();
    cluster::initialise(&place.config).await.unwrap();
    place.start().await.stop().await.unwrap();
}

#[tokio::test]
async fn settings_that_no_server_takes_are_named_before_anything_is_made() {
    let place = Place::new().await;
    let wrong = [
        (
            "POSTGRES_USER",
            ClusterConfig {
                superuser: "pg_me".into(),
                ..place.config.clone()
            },
        ),
        (
            "POSTGRES_USER",
            ClusterConfig {
                superuser: roles::API_ROLE.into(),
                ..place.config.clone()
            },
        ),
        (
            "POSTGRES_USER",
            ClusterConfig {
                superuser: "a\"b".into(),
                ..place.config.clone()
            },
        ),
        (
            "POSTGRES_DB",
            ClusterConfig {
                database: "x".repeat(64),
                ..place.config.clone()
            },
        ),
        (
            "POSTGRES_PASSWORD",
            ClusterConfig {
                password: "".into(),
                ..place.config.clone()
            },
        ),
    ];
    for (setting, config) in wrong {
        let error = cluster::initialise(&config).await.unwrap_err();
        assert!(error.to_string().starts_with(setting), "{error}");
        place.assert_nothing_left();
    }
}
