//! Killed at any instant: the server, and the tool.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use local_postgres::Durability;
use local_postgres::cluster::{self, DataDir};
use local_postgres::server::{Server, ServerError};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use process::PidFile;

use super::place::{Place, config_in, eventually, lives, run};

fn kill_now(pid: u32) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn a_killed_postmaster_is_noticed_and_started_again() {
    let mut place = Place::initialised().await;
    // Where a commit is on disk before it is answered.
    place.config.durability = Durability::Development;
    let mut server = place.start().await;
    let owner = place.owner_over_tcp();
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
    // At once, while its children still hold the shared memory.
    let server = place.start().await;
    assert_eq!(run(&owner, "select count(*) from t").await.unwrap(), "1");
    assert!(session.await.unwrap().is_err());
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_postmaster_that_somebody_else_left_running_is_stopped_in_order() {
    let place = Place::initialised().await;
    let config = &place.config;
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

    let server = place.start().await;
    let status = left.wait().await.unwrap();
    assert!(status.success(), "it was shut down in order: {status}");
    run(&place.owner_over_tcp(), "select 1").await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_dropped_server_leaves_nothing_running() {
    let place = Place::initialised().await;
    let server = place.start().await;
    let pid = server.pid().unwrap();
    drop(server);
    assert!(!lives(pid));
    assert!(!place.config.socket_dir.exists());
    eventually("its children end", || {
        !PidFile::is_held(&place.config.pid_file)
    })
    .await;
    place.start().await.stop().await.unwrap();
}

const TOOL_FOLDER: &str = "DEV_ENV_TEST_TOOL_FOLDER";

/// Plays the tool in a process of its own, until it is killed.
#[tokio::test]
#[ignore = "the part of the tool in the tests below"]
async fn tool() {
    let Some(folder) = std::env::var_os(TOOL_FOLDER).map(PathBuf::from) else {
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

struct Tool(Child);

impl Tool {
    fn start(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "killed::tool"])
            .env(TOOL_FOLDER, folder)
            // A shell that has been used for something else must not show in the database.
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
async fn the_server_of_a_killed_tool_ends_and_the_next_tool_starts_it_again() {
    let mut place = Place::new().await;
    let folder = place.folder.path().join("place");
    let tool = Tool::start(&folder);
    eventually("the tool is ready", || folder.join("ready").exists()).await;
    place.config.port = std::fs::read_to_string(folder.join("port"))
        .unwrap()
        .parse()
        .unwrap();
    let pid = std::fs::read_to_string(&place.config.pid_file)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    tool.kill();
    // At once, while the old one may still be shutting down.
    let server = place.start().await;
    assert!(!lives(pid));
    let locale = "select datcollate, current_setting('lc_time'), current_setting('timezone') from pg_database where datname = current_database()";
    assert_eq!(
        run(&place.owner_over_tcp(), locale).await.unwrap(),
        "C|C|UTC"
    );
    server.stop().await.unwrap();
    let defaults = std::fs::read_to_string(place.config.data_dir.join("postgresql.conf")).unwrap();
    assert!(!defaults.contains("Tokyo") && !defaults.contains("de_DE"));
}

#[tokio::test]
async fn what_a_first_run_left_that_was_killed_is_recognised_and_cleared_away() {
    let mut place = Place::new().await;
    let folder = place.folder.path().join("place");
    let scripts = folder.join("init-scripts");
    std::fs::create_dir_all(&scripts).unwrap();
    let script = format!(
        "echo $$ > '{0}/script.tmp'; mv '{0}/script.tmp' '{0}/script'; sleep 1000",
        folder.display()
    );
    std::fs::write(scripts.join("10-slow.sh"), script).unwrap();
    let tool = Tool::start(&folder);
    eventually("the script runs", || folder.join("script").exists()).await;
    let script: u32 = std::fs::read_to_string(folder.join("script"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    tool.kill();
    place.config.port = std::fs::read_to_string(folder.join("port"))
        .unwrap()
        .parse()
        .unwrap();

    let state = cluster::state(&place.config.data_dir, &place.config.owner).unwrap();
    assert!(
        matches!(&state, DataDir::HalfInitialised { leftovers } if leftovers.len() == 1),
        "{state:?}"
    );
    assert!(
        Server::start(&place.config).await.is_err(),
        "half a database is never served"
    );
    cluster::initialise(&place.config).await.unwrap();
    assert!(!lives(script));
    let major = place.config.binaries.major;
    assert_eq!(
        cluster::state(&place.config.data_dir, &place.config.owner).unwrap(),
        DataDir::Ready { major }
    );
    let beside = std::fs::read_dir(place.config.data_dir.parent().unwrap())
        .unwrap()
        .count();
    assert_eq!(beside, 1, "the leftovers are gone");
    place.start().await.stop().await.unwrap();
}
