//! A port that is taken, directories that are not ours, a disk that is full.

use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::process::Command;

use local_postgres::Durability;
use local_postgres::cluster::{self, ClusterError, DataDir};
use local_postgres::server::{Server, ServerError};

use super::place::{Place, run};

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_that_names_the_process() {
    let mut place = Place::initialised().await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    place.config.port = listener.local_addr().unwrap().port();
    let error = Server::start(&place.config).await.err().unwrap();
    assert!(matches!(error, ServerError::PortTaken { .. }));
    let message = error.to_string();
    let pid = format!("pid {}", std::process::id());
    assert!(
        message.contains(&pid) && message.contains("POSTGRES_PORT"),
        "{message}"
    );
    drop(listener);
    place.start().await.stop().await.unwrap();
}

#[tokio::test]
async fn two_servers_run_side_by_side() {
    let (one, two) = (Place::initialised().await, Place::initialised().await);
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
    let place = Place::initialised().await;
    let version = place.config.data_dir.join("PG_VERSION");
    std::fs::write(&version, "14\n").unwrap();
    assert_eq!(
        cluster::state(&place.config.data_dir, &place.config.owner).unwrap(),
        DataDir::Ready { major: 14 }
    );
    let error = Server::start(&place.config).await.err().unwrap();
    assert!(
        matches!(&error, ServerError::OtherMajor { data: 14, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("PostgreSQL 14"), "{error}");
}

#[tokio::test]
async fn data_of_another_user_is_refused() {
    let place = Place::initialised().await;
    if !place.config.owner.is_somebody_else() {
        // Only root can give files away.
        return;
    }
    chown(&place.config.data_dir, Some(4_000_000), None).unwrap();
    let expected = DataDir::ForeignOwner { uid: 4_000_000 };
    assert_eq!(
        cluster::state(&place.config.data_dir, &place.config.owner).unwrap(),
        expected
    );
    let error = Server::start(&place.config).await.err().unwrap();
    assert!(
        matches!(
            &error,
            ServerError::DataDir(ClusterError::ForeignOwner { .. })
        ),
        "{error}"
    );
    let message = error.to_string();
    assert!(
        message.contains("4000000") && message.contains("chown"),
        "{message}"
    );
    assert!(matches!(
        cluster::initialise(&place.config).await,
        Err(ClusterError::ForeignOwner { .. })
    ));
}

#[tokio::test]
async fn a_directory_begun_in_place_by_something_else_is_refused() {
    let place = Place::initialised().await;
    std::fs::remove_file(place.config.data_dir.join("global/pg_control")).unwrap();
    let error = Server::start(&place.config).await.err().unwrap();
    assert!(
        matches!(&error, ServerError::DataDir(ClusterError::Foreign { .. })),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let place = Place::initialised().await;
    std::fs::write(
        place.config.data_dir.join("postgresql.auto.conf"),
        "max_connections = many\n",
    )
    .unwrap();
    let error = Server::start(&place.config)
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("max_connections"), "{error}");
    assert!(!place.config.socket_dir.exists());
}

/// A small file system, where this user may mount one.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(at: &std::path::Path, megabytes: u32) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={megabytes}m,mode=0755");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(at)
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_named_and_nothing_is_left() {
    let place = Place::new().await;
    if !place.config.owner.is_somebody_else() {
        return;
    }
    let disk = place.config.data_dir.parent().unwrap();
    let Some(_disk) = SmallDisk::mount(disk, 12) else {
        return;
    };
    let error = cluster::initialise(&place.config).await.unwrap_err();
    assert!(matches!(&error, ClusterError::DiskFull { .. }), "{error}");
    place.assert_nothing_left();
}

#[tokio::test]
async fn a_disk_that_fills_up_loses_nothing_that_was_committed() {
    let mut place = Place::new().await;
    place.config.durability = Durability::Development;
    if !place.config.owner.is_somebody_else() {
        return;
    }
    let disk = place.config.data_dir.parent().unwrap();
    let Some(_disk) = SmallDisk::mount(disk, 120) else {
        return;
    };
    cluster::initialise(&place.config).await.unwrap();
    let mut server = place.start().await;
    let owner = place.owner_over_tcp();
    run(&owner, "create table t (id int); insert into t values (1)")
        .await
        .unwrap();
    let filler = disk.join("filler");
    // Fails when the disk is full, which is the point.
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
    let error = Server::start(&place.config).await.err();
    if let Some(error) = error {
        assert!(matches!(error, ServerError::DiskFull { .. }), "{error}");
    }
    std::fs::remove_file(filler).unwrap();
    let server = place.start().await;
    assert_eq!(run(&owner, "select count(*) from t").await.unwrap(), "1");
    server.stop().await.unwrap();
}
