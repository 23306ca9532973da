//! Ports in use, unsuitable data directories, full disks.

use std::net::TcpListener;
use std::os::unix::fs::chown;

use local_postgres::Durability;
use local_postgres::cluster::{self, ClusterError};
use local_postgres::data_dir::{self, DataDir, DataDirError};
use local_postgres::server::{Server, ServerError};
use test_needs::SmallDisk;

use super::scratch::{Scratch, run};

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_that_names_the_process() {
    let mut scratch = Scratch::initialised().await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    scratch.config.port = listener.local_addr().unwrap().port();
    let error = Server::start(&scratch.config).await.err().unwrap();
    assert!(matches!(error, ServerError::PortTaken { .. }));
    let message = error.to_string();
    let pid = format!("pid {}", std::process::id());
    assert!(
        message.contains(&pid) && message.contains("is taken by"),
        "{message}"
    );
    drop(listener);
    scratch.start().await.stop().await.unwrap();
}

#[tokio::test]
async fn two_servers_run_side_by_side() {
    let (one, two) = (Scratch::initialised().await, Scratch::initialised().await);
    let (server_one, server_two) = (one.start().await, two.start().await);
    run(&one.owner_over_tcp(), "create table only_here (id int)")
        .await
        .unwrap();
    assert_eq!(
        run(&two.owner_over_tcp(), "select to_regclass('only_here')")
            .await
            .unwrap(),
        ""
    );
    server_one.stop().await.unwrap();
    run(&two.owner_over_tcp(), "select 1").await.unwrap();
    server_two.stop().await.unwrap();
}

#[tokio::test]
async fn data_of_another_major_is_refused() {
    let scratch = Scratch::initialised().await;
    let version = scratch.config.data_dir.join("PG_VERSION");
    std::fs::write(&version, "14\n").unwrap();
    assert_eq!(
        data_dir::state(&scratch.config.data_dir, &scratch.config.owner).unwrap(),
        DataDir::Ready { major: 14 }
    );
    let error = Server::start(&scratch.config).await.err().unwrap();
    assert!(
        matches!(&error, ServerError::OtherMajor { data: 14, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("PostgreSQL 14"), "{error}");
}

#[tokio::test]
async fn data_of_another_user_is_refused() {
    let scratch = Scratch::initialised().await;
    // Only root can give files away.
    if !test_needs::root() {
        return;
    }
    chown(&scratch.config.data_dir, Some(4_000_000), None).unwrap();
    let expected = DataDir::ForeignOwner { uid: 4_000_000 };
    assert_eq!(
        data_dir::state(&scratch.config.data_dir, &scratch.config.owner).unwrap(),
        expected
    );
    let error = Server::start(&scratch.config).await.err().unwrap();
    assert!(
        matches!(
            &error,
            ServerError::DataDir(DataDirError::ForeignOwner { .. })
        ),
        "{error}"
    );
    let message = error.to_string();
    assert!(
        message.contains("4000000") && message.contains(&scratch.config.owner.name),
        "{message}"
    );
    assert!(matches!(
        cluster::initialise(&scratch.config).await,
        Err(ClusterError::DataDir(DataDirError::ForeignOwner { .. }))
    ));
}

#[tokio::test]
async fn a_directory_that_initdb_did_not_finish_is_refused() {
    let scratch = Scratch::initialised().await;
    std::fs::remove_file(scratch.config.data_dir.join("global/pg_control")).unwrap();
    let error = Server::start(&scratch.config).await.err().unwrap();
    assert!(
        matches!(&error, ServerError::DataDir(DataDirError::Foreign { .. })),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_cannot_start_is_an_error_with_its_log() {
    let scratch = Scratch::initialised().await;
    std::fs::write(
        scratch.config.data_dir.join("postgresql.auto.conf"),
        "max_connections = many\n",
    )
    .unwrap();
    let error = Server::start(&scratch.config)
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("max_connections"), "{error}");
    assert!(!scratch.config.socket_dir.exists());
}

#[tokio::test]
async fn a_full_disk_is_reported_and_no_half_database_stays() {
    let scratch = Scratch::new().await;
    let disk = scratch.config.data_dir.parent().unwrap();
    let Some(_disk) = SmallDisk::mount(disk, 12) else {
        return;
    };
    let error = cluster::initialise(&scratch.config).await.unwrap_err();
    assert!(matches!(&error, ClusterError::DiskFull { .. }), "{error}");
    scratch.assert_nothing_left();
}

#[tokio::test]
async fn no_committed_row_is_lost_when_the_disk_fills_up() {
    let mut scratch = Scratch::new().await;
    scratch.config.durability = Durability::Durable;
    let disk = scratch.config.data_dir.parent().unwrap();
    let Some(_disk) = SmallDisk::mount(disk, 120) else {
        return;
    };
    cluster::initialise(&scratch.config).await.unwrap();
    let mut server = scratch.start().await;
    let owner = scratch.owner_over_tcp();
    run(&owner, "create table t (id int); insert into t values (1)")
        .await
        .unwrap();
    let filler = disk.join("filler");
    // It fails when the disk is full, as intended.
    let _full = std::fs::write(&filler, vec![0; 200 << 20]);
    let filled = run(&owner, "insert into t select generate_series(1, 5000000)")
        .await
        .unwrap_err()
        .to_string();
    let died = tokio::time::timeout(std::time::Duration::from_millis(500), server.died()).await;
    match died {
        Ok(error) => assert!(matches!(error, ServerError::DiskFull { .. }), "{error}"),
        Err(_still_runs) => assert!(filled.contains("No space left on device"), "{filled}"),
    }
    drop(server);
    let error = Server::start(&scratch.config).await.err();
    if let Some(error) = error {
        assert!(matches!(error, ServerError::DiskFull { .. }), "{error}");
    }
    std::fs::remove_file(filler).unwrap();
    let server = scratch.start().await;
    assert_eq!(run(&owner, "select count(*) from t").await.unwrap(), "1");
    server.stop().await.unwrap();
}
