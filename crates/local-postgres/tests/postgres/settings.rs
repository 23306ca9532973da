//! Settings that do not fit the database that is there.

use local_postgres::ClusterConfig;
use local_postgres::roles::{self, Mismatch, RolesError};
use local_postgres::server::{Server, ServerError};

use super::place::{Place, run};

#[tokio::test]
async fn another_password_is_explained_and_can_be_set_without_the_old_one() {
    let place = Place::initialised().await;
    let server = place.start().await;
    let changed = ClusterConfig {
        password: "new'one".into(),
        api_password: "new-api".into(),
        ..place.config.clone()
    };
    let error = roles::verify(&changed).await.unwrap_err();
    assert!(matches!(
        error,
        RolesError::Mismatch(Mismatch::Password { .. })
    ));
    assert!(
        error.to_string().contains("cargo dev db password"),
        "{error}"
    );

    roles::set_passwords(&place.config, &changed.password, &changed.api_password)
        .await
        .unwrap();
    assert!(!roles::verify(&changed).await.unwrap());
    assert!(roles::verify(&place.config).await.is_err());
    server.stop().await.unwrap();
}

#[tokio::test]
async fn the_apis_role_is_mended() {
    let place = Place::initialised().await;
    let server = place.start().await;
    run(
        &place.config.psql(),
        "create table t (id serial); drop owned by emotionviz_api; drop role emotionviz_api",
    )
    .await
    .unwrap();
    assert!(roles::verify(&place.config).await.unwrap());
    run(&place.api(), "insert into t default values")
        .await
        .unwrap();

    let changed = ClusterConfig {
        api_password: "other".into(),
        ..place.config.clone()
    };
    assert!(roles::verify(&changed).await.unwrap());
    assert!(!roles::verify(&changed).await.unwrap());
    server.stop().await.unwrap();
}

#[tokio::test]
async fn another_user_or_database_is_explained_and_nothing_runs_on() {
    let place = Place::initialised().await;
    let user = ClusterConfig {
        superuser: "somebody".into(),
        ..place.config.clone()
    };
    let error = Server::start(&user).await.err().unwrap();
    assert!(
        matches!(&error, ServerError::Mismatch(Mismatch::User { .. })),
        "{error}"
    );
    let message = error.to_string();
    assert!(
        message.contains("POSTGRES_USER is somebody") && message.contains("made with emotionviz"),
        "{message}"
    );

    let database = ClusterConfig {
        database: "elsewhere".into(),
        ..place.config.clone()
    };
    let error = Server::start(&database).await.err().unwrap();
    assert!(
        matches!(&error, ServerError::Mismatch(Mismatch::Database { .. })),
        "{error}"
    );
    let message = error.to_string();
    assert!(
        message.contains("POSTGRES_DB is elsewhere") && message.contains("emotionviz_db"),
        "{message}"
    );
    assert!(!place.config.data_dir.join("postmaster.pid").exists());
    place.start().await.stop().await.unwrap();
}
