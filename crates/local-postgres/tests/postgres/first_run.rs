//! The creation of a data directory, and its content.

use std::process::Command;

use local_postgres::cluster::{self, ClusterError, Value};
use local_postgres::data_dir::{self, DataDir, DataDirError};
use local_postgres::server::Server;
use local_postgres::{AppRole, ClusterConfig, Durability, roles};

use super::scratch::{Scratch, run};

#[tokio::test]
async fn both_roles_connect_and_only_the_owner_creates_tables() {
    let scratch = Scratch::new().await;
    assert_eq!(
        data_dir::state(&scratch.config.data_dir, &scratch.config.owner).unwrap(),
        DataDir::Absent
    );
    cluster::initialise(&scratch.config).await.unwrap();
    let major = scratch.config.binaries.major;
    assert_eq!(
        data_dir::state(&scratch.config.data_dir, &scratch.config.owner).unwrap(),
        DataDir::Ready { major }
    );
    let server = scratch.start().await;
    assert!(
        !roles::verify(&scratch.config).await.unwrap(),
        "both roles are correct"
    );

    let owner = scratch.owner_over_tcp();
    run(
        &owner,
        "create table t (id serial primary key, v text); insert into t (v) values ('grün')",
    )
    .await
    .unwrap();
    let app = scratch.app();
    assert_eq!(run(&app, "select v from t").await.unwrap(), "grün");
    run(&app, "insert into t (v) values ('a'); update t set v = 'b' where v = 'a'; delete from t where v = 'b'").await.unwrap();
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
        let error = run(&app, sql).await.unwrap_err().to_string();
        assert!(
            error.contains("permission denied") || error.contains("must be owner"),
            "{sql}: {error}"
        );
    }
    let rights = "select rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls from pg_roles where rolname = current_user";
    assert_eq!(run(&app, rights).await.unwrap(), "f");
    let database = "select pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate from pg_database where datname = current_database()";
    assert_eq!(run(&owner, database).await.unwrap(), "owner|UTF8|C");
    let settings = "select string_agg(setting, ',' order by lower(name)) from pg_settings where name in ('TimeZone', 'log_timezone', 'listen_addresses')";
    assert_eq!(run(&owner, settings).await.unwrap(), "127.0.0.1,UTC,UTC");
    server.stop().await.unwrap();
    assert!(!scratch.config.socket_dir.exists());
    let log = scratch.log.lock().unwrap().join("\n");
    assert!(
        !log.contains("another-") && !log.contains("word"),
        "a password in the log:\n{log}"
    );
}

#[tokio::test]
async fn only_the_owner_of_the_files_connects_without_a_password() {
    let scratch = Scratch::initialised().await;
    let server = scratch.start().await;
    for mut psql in [scratch.owner_over_tcp(), scratch.app()] {
        psql.connection = local_postgres::psql::Connection::Tcp {
            password: "wrong".into(),
        };
        let error = run(&psql, "select 1").await.unwrap_err().to_string();
        assert!(error.contains("password authentication failed"), "{error}");
    }
    let mut app_through_the_socket = scratch.config.psql();
    app_through_the_socket.user = scratch.config.app_role.name.clone();
    assert!(run(&app_through_the_socket, "select 1").await.is_err());
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_development_server_is_durable_and_a_test_server_is_not() {
    for (durability, expected) in [(Durability::Durable, "on"), (Durability::Disposable, "off")] {
        let mut scratch = Scratch::new().await;
        scratch.config.durability = durability;
        cluster::initialise(&scratch.config).await.unwrap();
        let server = scratch.start().await;
        for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
            assert_eq!(
                run(&scratch.config.psql(), &format!("show {setting}"))
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
    let mut scratch = Scratch::new().await;
    scratch.script("10-table.sql", "create table log (n serial, line text);\n-- comment: ä\ninsert into log (line) values ('sql');", 0o644);
    let executable = "#!/bin/sh\nset -e\ntest \"$POSTGRES_PASSWORD\" && test -d \"$PGDATA\"\npsql -v ON_ERROR_STOP=1 --username \"$POSTGRES_USER\" --dbname \"$POSTGRES_DB\" -c \"insert into log (line) values ('executable')\"\n";
    scratch.script("20-run.sh", executable, 0o755);
    scratch.script(
        "30-source.sh",
        "[[ -n $POSTGRES_DB ]] && psql -c \"insert into log (line) values ('sourced')\"",
        0o644,
    );
    scratch.script("40-ignored.txt", "not a script", 0o755);
    for _twice in 0..2 {
        cluster::initialise(&scratch.config).await.unwrap();
        let server = scratch.start().await;
        let lines = run(
            &scratch.app(),
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
    let mut scratch = Scratch::new().await;
    scratch.script(
        "10-table.sql",
        "create table log (n serial, line text);\r\n",
        0o644,
    );
    let (executable, sourced) = (
        "#!/bin/sh\r\nset -e\r\npsql -c \"insert into log (line) values ('executable')\"\r\n",
        "sourced",
    );
    scratch.script("20-run.sh", executable, 0o755);
    scratch.script(
        "30-source.sh",
        &format!(
            "if true; then\r\npsql -c \"insert into log (line) values ('{sourced}')\"\r\nfi\r\n"
        ),
        0o644,
    );
    let mut expected = "executable,sourced".to_owned();
    for (n, program, end) in [(40, "gzip", "gz"), (50, "xz", "xz"), (60, "zstd", "zst")] {
        if Command::new(program).arg("--version").output().is_ok() {
            scratch.script(
                &format!("{n}-packed.sql"),
                &format!("insert into log (line) values ('{end}');"),
                0o644,
            );
            let file = scratch
                .config
                .init_scripts
                .clone()
                .unwrap()
                .join(format!("{n}-packed.sql"));
            // Each program names its result in this way.
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
    cluster::initialise(&scratch.config).await.unwrap();
    let server = scratch.start().await;
    assert_eq!(
        run(
            &scratch.app(),
            "select string_agg(line, ',' order by n) from log"
        )
        .await
        .unwrap(),
        expected
    );
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_failed_init_script_leaves_no_database() {
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
            "cannot be decompressed by `xz`",
        ),
    ];
    for (name, text, evidence) in failing {
        let mut scratch = Scratch::new().await;
        scratch.script(name, text, 0o644);
        let error = cluster::initialise(&scratch.config).await.unwrap_err();
        assert!(matches!(error, ClusterError::Script(_)));
        let message = error.to_string();
        assert!(
            message.contains(name) && message.contains(evidence),
            "{message}"
        );
        scratch.assert_nothing_left();

        // With a correct script it works.
        scratch.script(name, "", 0o644);
        std::fs::rename(
            scratch.config.init_scripts.clone().unwrap().join(name),
            scratch
                .config
                .init_scripts
                .clone()
                .unwrap()
                .join("10-good.sql"),
        )
        .unwrap();
        cluster::initialise(&scratch.config).await.unwrap();
        scratch.start().await.stop().await.unwrap();
    }
}

#[tokio::test]
async fn paths_and_names_can_have_all_kinds_of_characters() {
    let mut scratch = Scratch::called("Müllers, 'schönes' \"Projekt\" $HOME 日本語").await;
    scratch.config.superuser = "Frau Ö., geb. =ß".to_owned();
    scratch.config.database = "db mit = und ' \" Ü".to_owned();
    scratch.script(
        "10 mit Leerzeichen.sh",
        "psql -c 'create table t (id int)'",
        0o644,
    );
    cluster::initialise(&scratch.config).await.unwrap();
    let server = scratch.start().await;
    roles::verify(&scratch.config).await.unwrap();
    assert_eq!(
        run(&scratch.app(), "select count(*) from t").await.unwrap(),
        "0"
    );
    server.stop().await.unwrap();
}

#[tokio::test]
async fn an_empty_folder_becomes_a_database_and_another_one_is_left_alone() {
    let scratch = Scratch::new().await;
    let data_dir = &scratch.config.data_dir;
    std::fs::create_dir_all(data_dir).unwrap();
    std::fs::write(data_dir.join("diary.txt"), "mine").unwrap();
    let error = cluster::initialise(&scratch.config).await.unwrap_err();
    assert!(
        matches!(&error, ClusterError::DataDir(DataDirError::Foreign { .. }))
            && error.to_string().contains("diary.txt"),
        "{error}"
    );
    assert!(Server::start(&scratch.config).await.is_err());
    assert_eq!(
        std::fs::read_to_string(data_dir.join("diary.txt")).unwrap(),
        "mine"
    );

    std::fs::remove_file(data_dir.join("diary.txt")).unwrap();
    cluster::initialise(&scratch.config).await.unwrap();
    scratch.start().await.stop().await.unwrap();
}

#[tokio::test]
async fn an_invalid_value_is_named_before_anything_is_created() {
    let scratch = Scratch::new().await;
    let config = || scratch.config.clone();
    let named = |superuser: &str| ClusterConfig {
        superuser: superuser.to_owned(),
        ..config()
    };
    let invalid = [
        (Value::Superuser, named("")),
        (Value::Superuser, named("pg_me")),
        (Value::Superuser, named(&config().app_role.name)),
        (Value::Superuser, named("a\"b")),
        (
            Value::Database,
            ClusterConfig {
                database: "x".repeat(64),
                ..config()
            },
        ),
        (
            Value::Password,
            ClusterConfig {
                password: "".into(),
                ..config()
            },
        ),
        (
            Value::AppPassword,
            ClusterConfig {
                app_role: AppRole {
                    password: "a\0b".into(),
                    ..config().app_role
                },
                ..config()
            },
        ),
    ];
    for (expected, config) in invalid {
        let error = cluster::initialise(&config).await.unwrap_err();
        assert!(
            matches!(&error, ClusterError::Invalid { value, .. } if *value == expected),
            "{error}"
        );
        scratch.assert_nothing_left();
    }
}
