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
    run(&scratch.app(), "insert into t default values")
        .await
        .unwrap();

    let changed = ClusterConfig {
        app_role: with_password(&scratch, "other"),
        ..scratch.config.clone()
    };
    assert!(roles::verify(&changed).await.unwrap());
    assert!(!roles::verify(&changed).await.unwrap());
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
