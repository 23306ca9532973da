//! A server or its owner is killed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use local_postgres::data_dir::{self, DataDir};
use local_postgres::server::{Server, ServerError};
use local_postgres::{Durability, cluster};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use process::PidFile;

use super::scratch::{Scratch, config_in, eventually, lives, run};

fn kill_now(pid: u32) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn a_killed_postmaster_is_noticed_and_started_again() {
    let mut scratch = Scratch::initialised().await;
    // A commit is on disk before it is acknowledged.
    scratch.config.durability = Durability::Durable;
    let mut server = scratch.start().await;
    let owner = scratch.owner_over_tcp();
    run(&owner, "create table t (id int); insert into t values (1)")
        .await
        .unwrap();
    let session = {
        let owner = owner.clone();
        tokio::spawn(async move { run(&owner, "select pg_sleep(1000)").await })
    };
    let busy = "select count(*) from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'";
    while run(&owner, busy).await.unwrap() == "0" {}
    kill_now(server.pid().unwrap());
    let error = server.died().await;
    assert!(
        matches!(&error, ServerError::Died { .. }) && error.to_string().contains("signal 9"),
        "{error}"
    );
    // Immediately, while its children still have the shared memory.
    let server = scratch.start().await;
    assert_eq!(run(&owner, "select count(*) from t").await.unwrap(), "1");
    assert!(session.await.unwrap().is_err());
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_postmaster_that_another_program_left_running_is_shut_down() {
    let scratch = Scratch::initialised().await;
    let config = &scratch.config;
    std::fs::create_dir(&config.socket_dir).unwrap();
    config.owner.give(&config.socket_dir).unwrap();
    let mut command = tokio::process::Command::new(config.binaries.program("postgres"));
    command
        .arg("-D")
        .arg(&config.data_dir)
        .arg("-k")
        .arg(&config.socket_dir)
        .args(["-p", &config.port.to_string()]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    config.owner.apply(&mut command);
    let mut left = command.spawn().unwrap();
    eventually("it runs", || {
        std::fs::read_to_string(config.data_dir.join("postmaster.pid"))
            .is_ok_and(|text| text.contains("ready"))
    })
    .await;
    std::fs::set_permissions(
        &config.socket_dir,
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .unwrap();

    let server = scratch.start().await;
    let status = left.wait().await.unwrap();
    assert!(status.success(), "a fast shutdown: {status}");
    run(&scratch.owner_over_tcp(), "select 1").await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_dropped_server_leaves_no_process() {
    let scratch = Scratch::initialised().await;
    let server = scratch.start().await;
    let pid = server.pid().unwrap();
    drop(server);
    assert!(!lives(pid));
    assert!(!scratch.config.socket_dir.exists());
    eventually("its children end", || {
        !PidFile::is_held(&scratch.config.pid_file)
    })
    .await;
    scratch.start().await.stop().await.unwrap();
}

const OWNER_FOLDER: &str = "LOCAL_POSTGRES_TEST_FOLDER";

/// The owner of a server, in its own process, until it is killed.
#[tokio::test]
#[ignore = "the tests below start it"]
async fn owner() {
    let Some(folder) = std::env::var_os(OWNER_FOLDER).map(PathBuf::from) else {
        return;
    };
    let mut config = config_in(&folder).await;
    config.init_scripts = Some(folder.join("init-scripts"));
    std::fs::write(folder.join("port"), config.port.to_string()).unwrap();
    cluster::initialise(&config).await.unwrap();
    let _server = Server::start(&config).await.unwrap();
    std::fs::write(folder.join("ready"), "").unwrap();
    std::future::pending::<()>().await;
}

struct OwnerProcess(Child);

impl OwnerProcess {
    fn start(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "killed::owner"])
            .env(OWNER_FOLDER, folder)
            // The environment of a user must not change the database.
            .envs([
                ("TZ", "Asia/Tokyo"),
                ("LC_ALL", "de_DE.UTF-8"),
                ("LANG", "de_DE.UTF-8"),
                ("PGHOST", "/nowhere"),
                ("PGPORT", "1"),
            ])
            .envs([
                ("PGUSER", "nobody"),
                ("PGOPTIONS", "-c search_path=nowhere"),
                ("PGSERVICE", "nowhere"),
                ("PGDATA", "/nowhere"),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn the_server_of_a_killed_owner_exits_and_the_next_owner_starts_it_again() {
    let mut scratch = Scratch::new().await;
    let folder = scratch.folder.path().join("place");
    let owner = OwnerProcess::start(&folder);
    eventually("the owner is ready", || folder.join("ready").exists()).await;
    scratch.config.port = std::fs::read_to_string(folder.join("port"))
        .unwrap()
        .parse()
        .unwrap();
    let pid = std::fs::read_to_string(&scratch.config.pid_file)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    owner.kill();
    // Immediately, while the old server may still be shutting down.
    let server = scratch.start().await;
    assert!(!lives(pid));
    let locale = "select datcollate, current_setting('lc_time'), current_setting('timezone') from pg_database where datname = current_database()";
    assert_eq!(
        run(&scratch.owner_over_tcp(), locale).await.unwrap(),
        "C|C|UTC"
    );
    server.stop().await.unwrap();
    let defaults =
        std::fs::read_to_string(scratch.config.data_dir.join("postgresql.conf")).unwrap();
    assert!(!defaults.contains("Tokyo") && !defaults.contains("de_DE"));
}

#[tokio::test]
async fn a_half_database_of_a_killed_owner_is_recognised_and_removed() {
    let mut scratch = Scratch::new().await;
    let folder = scratch.folder.path().join("place");
    let scripts = folder.join("init-scripts");
    std::fs::create_dir_all(&scripts).unwrap();
    let script = format!(
        "echo $$ > '{0}/script.tmp'; mv '{0}/script.tmp' '{0}/script'; sleep 1000",
        folder.display()
    );
    std::fs::write(scripts.join("10-slow.sh"), script).unwrap();
    let owner = OwnerProcess::start(&folder);
    eventually("the script runs", || folder.join("script").exists()).await;
    let script: u32 = std::fs::read_to_string(folder.join("script"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    owner.kill();
    scratch.config.port = std::fs::read_to_string(folder.join("port"))
        .unwrap()
        .parse()
        .unwrap();

    let state = data_dir::state(&scratch.config.data_dir, &scratch.config.owner).unwrap();
    assert!(
        matches!(&state, DataDir::HalfInitialised { leftovers } if leftovers.len() == 1),
        "{state:?}"
    );
    assert!(
        Server::start(&scratch.config).await.is_err(),
        "half a database is never served"
    );
    cluster::initialise(&scratch.config).await.unwrap();
    assert!(!lives(script));
    let major = scratch.config.binaries.major;
    assert_eq!(
        data_dir::state(&scratch.config.data_dir, &scratch.config.owner).unwrap(),
        DataDir::Ready { major }
    );
    let beside = std::fs::read_dir(scratch.config.data_dir.parent().unwrap())
        .unwrap()
        .count();
    assert_eq!(beside, 1, "the leftovers are gone");
    scratch.start().await.stop().await.unwrap();
}
