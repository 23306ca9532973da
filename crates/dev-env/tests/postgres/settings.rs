//! Settings that do not fit the database that is there.

use dev_env::postgres::ClusterConfig;
use dev_env::postgres::roles::{self, Mismatch, RolesError};
use dev_env::postgres::server::{Server, ServerError};

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
    run(&place.api(), "select 1").await.unwrap();

    let changed = ClusterConfig {
        api_password: "other".into(),
        ..place.config.clone()
    };
    assert!(roles::verify(&changed).await.unwrap());
    assert!(!roles::verify(&changed).await.unwrap());
    server.stop().await.unwrap();
}

/// What a role may in the database, and who says so.
const RIGHTS: &str = "select datacl::text from pg_database where datname = current_database()
    union all select concat_ws(' ', nspname, nspacl) from pg_namespace where nspname = 'public'
    union all select concat_ws(' ', relname, relacl) from pg_class where relnamespace = 'public'::regnamespace
    union all select concat_ws(' ', defaclrole::regrole, defaclobjtype, defaclacl) from pg_default_acl order by 1";

#[tokio::test]
async fn the_apis_role_is_mended_without_rights_in_a_database_that_was_not_made_for_it() {
    let place = Place::initialised().await;
    let server = place.start().await;
    run(&place.config.psql(), "create database theirs")
        .await
        .unwrap();
    let theirs = ClusterConfig {
        database: "theirs".into(),
        api_password: "other".into(),
        ..place.config.clone()
    };
    run(&theirs.psql(), "create table t (id serial)")
        .await
        .unwrap();
    let before = run(&theirs.psql(), RIGHTS).await.unwrap();
    for change in ["select 1", "drop role emotionviz_api"] {
        run(&place.config.psql(), "drop owned by emotionviz_api")
            .await
            .unwrap();
        run(&place.config.psql(), change).await.unwrap();
        assert!(roles::verify(&theirs).await.unwrap(), "{change}");
        assert_eq!(run(&theirs.psql(), RIGHTS).await.unwrap(), before);
        run(&theirs.psql(), "alter role emotionviz_api password 'else'")
            .await
            .unwrap();
    }
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
