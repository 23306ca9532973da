//! Statements, one by one.

use super::*;

fn rules() -> Rules {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Rules {
        database: "journal".to_owned(),
        owner: "emotionviz".to_owned(),
        api: "emotionviz_api".to_owned(),
        roles: set(&["emotionviz", "emotionviz_api", "odd \" role"]),
        settings: set(&[
            "statement_timeout",
            "client_encoding",
            "standard_conforming_strings",
            "default_tablespace",
            "search_path",
        ]),
        tablespaces: set(&["pg_default"]),
        untrusted: set(&["pg_stat_statements"]),
        version: "15.14".to_owned(),
        trusted: false,
    }
}

#[test]
fn statements_of_pg_dump_run() {
    for statement in [
        "SET statement_timeout = 0;",
        "SET SESSION statement_timeout TO 0;",
        "SET client_encoding = 'UTF8';",
        "SET standard_conforming_strings = on;",
        "SET default_tablespace = '';",
        "SET \"app.note\" = 'x'; ",
        "SET app.note = 'x';",
        "SELECT pg_catalog.set_config('search_path', '', false);",
        "SELECT pg_catalog.setval('public.s', 5, true);",
        "/* a comment */ CREATE INDEX i ON t (a);",
        "CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;",
        "CREATE USER MAPPING FOR emotionviz SERVER s;",
        "CREATE POLICY p ON public.t USING ((a = 1)) WITH CHECK (((a)::text <> 'to'::text));",
        "ALTER TABLE ONLY public.t ADD CONSTRAINT c CHECK (a > 0);",
        "ALTER TABLE t RENAME COLUMN owner TO x;",
        "ALTER TABLE t RENAME owner TO x;",
        "COMMENT ON TABLE t IS 'a database role';",
        "COMMENT ON EXTENSION pg_trgm IS 'x';",
        "GRANT SELECT ON TABLE public.t TO emotionviz_api;",
        "GRANT ALL ON SCHEMA public TO PUBLIC;",
        "REVOKE ALL ON TABLE t FROM \"odd \"\" role\";",
        "INSERT INTO t VALUES ('COPY t FROM PROGRAM ''x''');",
        "DO $$ BEGIN END $$;",
        "DROP TABLE IF EXISTS public.t;",
    ] {
        assert_eq!(rules().decide(statement.as_bytes()), Run, "{statement}");
    }
}

#[test]
fn statements_about_missing_roles_and_settings_are_skipped_and_reported() {
    for (statement, words) in [
        ("SET transaction_timeout = 0;", "transaction_timeout"),
        (
            "SET session_replication_role = replica;",
            "session_replication_role",
        ),
        ("SET default_tablespace = fast;", "fast"),
        ("ALTER TABLE public.t OWNER TO prod;", "prod"),
        (
            "ALTER FUNCTION f(integer, text) OWNER TO \"Prod User\";",
            "Prod User",
        ),
        (
            "GRANT SELECT ON TABLE public.t TO reader WITH GRANT OPTION;",
            "reader",
        ),
        (
            "GRANT SELECT(a) ON TABLE t TO emotionviz, reader;",
            "reader",
        ),
        ("REVOKE ALL ON SCHEMA public FROM postgres;", "postgres"),
        ("GRANT reader TO emotionviz;", "memberships"),
        (
            "CREATE POLICY p ON public.t FOR SELECT TO emotionviz, reader USING ((a = 1));",
            "policies for reader",
        ),
        (
            "CREATE USER MAPPING FOR reader SERVER s;",
            "user mappings of reader",
        ),
        (
            "GRANT CONNECT ON DATABASE journal TO emotionviz_api;",
            "privileges on the database",
        ),
        (
            "ALTER DEFAULT PRIVILEGES FOR ROLE prod IN SCHEMA public GRANT SELECT ON TABLES TO emotionviz_api;",
            "prod",
        ),
        (
            "CREATE DATABASE journal WITH TEMPLATE = template0;",
            "CREATE DATABASE",
        ),
        (
            "ALTER DATABASE journal SET search_path = 'x';",
            "ALTER DATABASE",
        ),
        ("ALTER DATABASE journal OWNER TO prod;", "ALTER DATABASE"),
        ("DROP DATABASE IF EXISTS journal;", "DROP DATABASE"),
        ("COMMENT ON DATABASE journal IS 'x';", "COMMENT ON DATABASE"),
        (
            "SELECT * FROM pg_catalog.pg_restore_relation_stats('version', '180000'::integer);",
            "statistics",
        ),
    ] {
        let Left(left) = rules().decide(statement.as_bytes()) else {
            panic!("{statement}")
        };
        assert!(left.contains(words), "{statement}: {left}");
    }
    for statement in [
        "ALTER TABLE t OWNER TO emotionviz;",
        "SET SESSION AUTHORIZATION 'prod';",
        "RESET SESSION AUTHORIZATION;",
        "BEGIN;",
        ";",
        "COMMIT;",
        "START TRANSACTION;",
        "COMMENT ON EXTENSION plpgsql IS 'x';",
        "ALTER DEFAULT PRIVILEGES FOR ROLE emotionviz IN SCHEMA public GRANT SELECT ON TABLES TO emotionviz_api;",
    ] {
        assert_eq!(rules().decide(statement.as_bytes()), Skip, "{statement}");
    }
    let extension = Decision::Extension("pg_stat_statements".to_owned());
    assert_eq!(
        rules().decide(b"CREATE EXTENSION pg_stat_statements;"),
        extension
    );
}

#[test]
fn dangerous_and_unknown_statements_are_refused() {
    for statement in [
        "COPY t FROM PROGRAM 'rm -rf /';",
        "COPY t FROM '/etc/passwd';",
        "COPY t TO '/tmp/x';",
        "COPY t TO stdout;",
        "COPY (SELECT 1) TO PROGRAM 'x';",
        "COPY t FROM stdin WITH (FORMAT binary);",
        "COPY t FROM PROGRAM 'x' -- FROM stdin\n;",
        "ALTER SYSTEM SET shared_buffers = 0;",
        "CREATE ROLE evil SUPERUSER;",
        "ALTER USER emotionviz PASSWORD 'x';",
        "DROP ROLE emotionviz_api;",
        "CREATE TABLESPACE t LOCATION '/';",
        "ROLLBACK;",
        "ABORT;",
        "COMMIT AND CHAIN;",
        "PREPARE TRANSACTION 'x';",
        "SET standard_conforming_strings = off;",
        "SET standard_conforming_strings TO 'off';",
        "SET client_encoding = 'SJIS';",
        "SET NAMES 'Shift_JIS_2004';",
        "SELECT set_config('standard_conforming_strings', 'off', false);",
        "DO 'BEGIN PERFORM set_config(''standard_conforming_strings'', ''off'', false); END';",
        "RESET ALL;",
        "LOAD 'x';",
        "VACUUM;",
        "PRAGMA foreign_keys = OFF;",
        "LISTEN x;",
        "EXECUTE x;",
        "nonsense;",
    ] {
        assert!(
            matches!(rules().decide(statement.as_bytes()), Refuse(_)),
            "{statement}"
        );
    }
}

#[test]
fn copy_and_create_table_statements_are_detected() {
    for statement in [
        "COPY public.t (a, \"B c\") FROM stdin;",
        "COPY t FROM stdin;",
        "copy \"t\" from STDIN;",
    ] {
        assert_eq!(rules().decide(statement.as_bytes()), Data, "{statement}");
    }
    for (statement, name) in [
        ("CREATE TABLE public.users (id uuid);", "public.users"),
        (
            "CREATE UNLOGGED TABLE IF NOT EXISTS \"Users\" (a int);",
            "Users",
        ),
    ] {
        assert_eq!(
            rules().decide(statement.as_bytes()),
            Decision::Table(name.to_owned()),
            "{statement}"
        );
    }
}
