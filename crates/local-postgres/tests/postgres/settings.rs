//! Configurations that do not fit the existing database.

use local_postgres::roles::{self, Mismatch, RolesError};
use local_postgres::server::{Server, ServerError};
use local_postgres::{AppRole, ClusterConfig};

use super::scratch::{Scratch, run};

fn with_password(scratch: &Scratch, password: &str) -> AppRole {
    AppRole {
        password: password.into(),
        ..scratch.config.app_role.clone()
    }
}

#[tokio::test]
async fn another_password_is_explained_and_can_be_set_without_the_old_one() {
    let scratch = Scratch::initialised().await;
    let server = scratch.start().await;
    let changed = ClusterConfig {
        password: "new'one".into(),
        app_role: with_password(&scratch, "new-app"),
        ..scratch.config.clone()
    };
    let error = roles::verify(&changed).await.unwrap_err();
    assert!(matches!(
        error,
        RolesError::Mismatch(Mismatch::Password { .. })
    ));
    assert!(
        error.to_string().contains("created with another password"),
        "{error}"
    );

    roles::set_passwords(
        &scratch.config,
        &changed.password,
        &changed.app_role.password,
    )
    .await
    .unwrap();
    assert!(!roles::verify(&changed).await.unwrap());
    assert!(roles::verify(&scratch.config).await.is_err());
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_missing_role_or_another_password_of_the_application_is_corrected() {
    let scratch = Scratch::initialised().await;
    let server = scratch.start().await;
    run(
        &scratch.config.psql(),
        "create table t (id serial); drop owned by app; drop role app",
    )
    .await
    .unwrap();
    assert!(roles::verify(&scratch.config).await.unwrap());
    run(&scratch.app(), "select 1").await.unwrap();

    let changed = ClusterConfig {
        app_role: with_password(&scratch, "other"),
        ..scratch.config.clone()
    };
    assert!(roles::verify(&changed).await.unwrap());
    assert!(!roles::verify(&changed).await.unwrap());
    server.stop().await.unwrap();
}

/// The privileges in a database, and who granted them.
const PRIVILEGES: &str = "select datacl::text from pg_database where datname = current_database()
    union all select concat_ws(' ', nspname, nspacl) from pg_namespace where nspname = 'public'
    union all select concat_ws(' ', relname, relacl) from pg_class where relnamespace = 'public'::regnamespace
    union all select concat_ws(' ', defaclrole::regrole, defaclobjtype, defaclacl) from pg_default_acl order by 1";

#[tokio::test]
async fn the_role_of_the_application_is_corrected_without_privileges_in_an_existing_database() {
    let scratch = Scratch::initialised().await;
    let server = scratch.start().await;
    run(&scratch.config.psql(), "create database theirs")
        .await
        .unwrap();
    let theirs = ClusterConfig {
        database: "theirs".into(),
        app_role: with_password(&scratch, "other"),
        ..scratch.config.clone()
    };
    run(&theirs.psql(), "create table t (id serial)")
        .await
        .unwrap();
    let before = run(&theirs.psql(), PRIVILEGES).await.unwrap();
    for change in ["select 1", "drop role app"] {
        run(&scratch.config.psql(), "drop owned by app")
            .await
            .unwrap();
        run(&scratch.config.psql(), change).await.unwrap();
        assert!(roles::verify(&theirs).await.unwrap(), "{change}");
        assert_eq!(run(&theirs.psql(), PRIVILEGES).await.unwrap(), before);
        run(&theirs.psql(), "alter role app password 'else'")
            .await
            .unwrap();
    }
    server.stop().await.unwrap();
}

#[tokio::test]
async fn another_superuser_or_database_is_explained_and_the_server_is_stopped() {
    let scratch = Scratch::initialised().await;
    let user = ClusterConfig {
        superuser: "somebody".into(),
        ..scratch.config.clone()
    };
    let error = Server::start(&user).await.err().unwrap();
    assert!(
        matches!(&error, ServerError::Mismatch(Mismatch::User { .. })),
        "{error}"
    );
    let message = error.to_string();
    assert!(
        message.contains("has no superuser somebody") && message.contains("created with owner"),
        "{message}"
    );

    let database = ClusterConfig {
        database: "elsewhere".into(),
        ..scratch.config.clone()
    };
    let error = Server::start(&database).await.err().unwrap();
    assert!(
        matches!(&error, ServerError::Mismatch(Mismatch::Database { .. })),
        "{error}"
    );
    let message = error.to_string();
    assert!(
        message.contains("has no database elsewhere") && message.contains("app_db"),
        "{message}"
    );
    assert!(!scratch.config.data_dir.join("postmaster.pid").exists());
    scratch.start().await.stop().await.unwrap();
}
