//! The search for PostgreSQL's programs, and their download.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use local_postgres::fetch::{self, FetchError, Progress, Sources};
use local_postgres::find::{FindError, PROGRAMS, Search, Source, find};
use local_postgres::{ClusterConfig, cluster, server_user};
use nix::sys::signal::kill;
use nix::unistd::Pid;
use process::user::User;
use process::{Configuration, capture};

use super::scratch::{SOON, Scratch, eventually, run, write_program};

fn owner() -> User {
    server_user(Path::new("/")).unwrap()
}

/// A search that finds nothing until a place is added.
fn search(cache: &Path) -> Search {
    let unreachable = Sources {
        releases: "http://127.0.0.1:1".to_owned(),
        python: "/nowhere/python3".into(),
    };
    Search {
        places: Vec::new(),
        sources: unreachable,
        ..Search::new(cache.to_owned(), owner())
    }
}

/// Creates a folder with programs that print this version.
fn fake(folder: &Path, version: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(folder).unwrap();
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
    for program in PROGRAMS {
        write_program(
            &folder.join(program),
            &format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n"),
            0o755,
        );
    }
    folder.to_owned()
}

async fn open_folder() -> tempfile::TempDir {
    Scratch::new().await.folder
}

#[tokio::test]
async fn the_preferred_major_wins_then_the_newest_and_links_are_followed() {
    let folder = open_folder().await;
    let newer = fake(&folder.path().join("17"), "17.2");
    let old = fake(&folder.path().join("14"), "14.9");
    let preferred = fake(&folder.path().join("15"), "15.3 (Debian 15.3-1)");
    // A folder of the PATH with a link to the server, and a client that is a wrapper.
    let path = folder.path().join("path");
    std::fs::create_dir(&path).unwrap();
    std::os::unix::fs::symlink(preferred.join("postgres"), path.join("postgres")).unwrap();
    std::fs::write(path.join("psql"), "a wrapper").unwrap();

    let places = |places: &[&PathBuf]| Search {
        places: places.iter().map(|place| (*place).clone()).collect(),
        ..search(folder.path())
    };
    let found = find(&places(&[&newer, &old, &path]), Arc::new(()))
        .await
        .unwrap();
    assert_eq!(
        (found.dir, found.major, found.version.as_str()),
        (preferred.canonicalize().unwrap(), 15, "15.3")
    );
    let found = find(&places(&[&old, &newer]), Arc::new(())).await.unwrap();
    assert_eq!((found.major, found.source), (17, Source::Installed));
    let prefers_newer = Search {
        preferred_major: 17,
        ..places(&[&preferred, &newer])
    };
    assert_eq!(find(&prefers_newer, Arc::new(())).await.unwrap().major, 17);
    let error = find(&places(&[&old]), Arc::new(())).await.unwrap_err();
    assert!(
        matches!(error, FindError::Fetch(FetchError::NoSource { .. })),
        "{error}"
    );
}

#[tokio::test]
async fn existing_data_decides_the_major() {
    let folder = open_folder().await;
    let places = vec![
        fake(&folder.path().join("15"), "15.3"),
        fake(&folder.path().join("16"), "16beta1"),
    ];
    let with = |major| Search {
        places: places.clone(),
        needed_major: Some(major),
        ..search(folder.path())
    };
    assert_eq!(
        find(&with(16), Arc::new(())).await.unwrap().version,
        "16beta1"
    );
    let error = find(&with(14), Arc::new(())).await.unwrap_err();
    assert!(matches!(error, FindError::NoSuchMajor { needed: 14, .. }));
    let message = error.to_string();
    assert!(
        message.contains("PostgreSQL 14") && message.contains("15.3 is, in"),
        "{message}"
    );
}

#[tokio::test]
async fn an_explicit_directory_is_the_only_one_that_is_used() {
    let folder = open_folder().await;
    let good = fake(&folder.path().join("16"), "16.1");
    let with = |dir: &Path, needed_major| Search {
        explicit: Some(dir.to_owned()),
        places: vec![good.clone()],
        needed_major,
        ..search(folder.path())
    };
    let found = find(&with(&good, None), Arc::new(())).await.unwrap();
    assert_eq!((found.major, found.source), (16, Source::Explicit));

    let half = fake(&folder.path().join("half"), "15.1");
    std::fs::remove_file(half.join("pg_dump")).unwrap();
    let old = fake(&folder.path().join("old"), "14.1");
    let broken = fake(&folder.path().join("broken"), "15.1");
    write_program(
        &broken.join("postgres"),
        "#!/bin/sh\necho 'libicu.so.99: not found' >&2; exit 127\n",
        0o755,
    );
    for (dir, needed, reason) in [
        (&half, None, "pg_dump"),
        (&old, None, "15 is the oldest"),
        (&good, Some(15), "created by 15"),
        (&broken, None, "libicu.so.99"),
        (&folder.path().join("absent"), None, "no program `postgres`"),
    ] {
        let message = find(&with(dir, needed), Arc::new(()))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            message.starts_with(&dir.display().to_string()) && message.contains(reason),
            "{message}"
        );
    }
}

#[tokio::test]
async fn an_error_without_network_has_the_reason_of_each_source() {
    let folder = open_folder().await;
    let error = find(&search(&folder.path().join("cache")), Arc::new(()))
        .await
        .unwrap_err()
        .to_string();
    for part in [
        "release archive",
        "Connection refused",
        "Python package",
        "/nowhere/python3 is not installed",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let left: Vec<_> = std::fs::read_dir(folder.path().join("cache"))
        .unwrap()
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[derive(Default)]
struct Heard {
    sources: Mutex<Vec<String>>,
    failed: Mutex<Vec<String>>,
    bytes: Mutex<Vec<(u64, u64)>>,
}

impl Progress for Heard {
    fn source(&self, name: &str) {
        self.sources.lock().unwrap().push(name.to_owned());
    }
    fn bytes(&self, done: u64, total: u64) {
        self.bytes.lock().unwrap().push((done, total));
    }
    fn failed(&self, name: &str, reason: &str) {
        self.failed
            .lock()
            .unwrap()
            .push(format!("{name}: {reason}"));
    }
}

#[tokio::test]
async fn a_downloaded_postgresql_runs_and_is_used_again() {
    let folder = open_folder().await;
    let cache = folder.path().join("cache/postgresql");
    let sources = Sources {
        python: "python3".into(),
        ..search(&cache).sources
    };
    let search = Search {
        sources,
        ..search(&cache)
    };
    let heard = Arc::new(Heard::default());
    let found = find(&search, heard.clone()).await.unwrap();
    assert_eq!(
        (found.source, found.major, found.dir.clone()),
        (Source::Download, fetch::MAJOR, cache.join("15.19.0/bin"))
    );
    assert_eq!(heard.sources.lock().unwrap().len(), 2);
    assert_eq!(heard.failed.lock().unwrap().len(), 1);
    let (done, total) = *heard.bytes.lock().unwrap().last().unwrap();
    assert!(done == total && total > 10_000_000);
    let beside: Vec<_> = std::fs::read_dir(&cache).unwrap().collect();
    assert_eq!(beside.len(), 1, "{beside:?}");

    let mut initdb = Configuration::new("initdb", found.program("initdb")).args(["--version"]);
    initdb.run_as = Some(owner());
    let output = capture(initdb, b"", SOON).await.unwrap();
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .starts_with("initdb (PostgreSQL) 15.")
    );

    let again = find(&search, heard.clone()).await.unwrap();
    assert_eq!(
        (again.source, heard.sources.lock().unwrap().len()),
        (Source::Cache, 2),
        "no second download"
    );

    let mut scratch = Scratch::new().await;
    scratch.config = ClusterConfig {
        binaries: again,
        ..scratch.config
    };
    cluster::initialise(&scratch.config).await.unwrap();
    let server = scratch.start().await;
    let extensions = "create extension pg_trgm; create extension pgcrypto; select similarity('joy', 'joyful') > 0";
    assert_eq!(
        run(&scratch.owner_over_tcp(), extensions).await.unwrap(),
        "t"
    );
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_cancelled_download_leaves_no_file_and_no_process() {
    let folder = open_folder().await;
    let (cache, started, python) = (
        folder.path().join("cache"),
        folder.path().join("pid"),
        folder.path().join("python3"),
    );
    write_program(
        &python,
        &format!("#!/bin/sh\necho $$ >'{}'\nsleep 1000\n", started.display()),
        0o755,
    );
    let sources = Sources {
        releases: "http://127.0.0.1:1".to_owned(),
        python,
    };
    let download = tokio::spawn({
        let cache = cache.clone();
        async move { fetch::fetch(fetch::VERSION, &cache, &sources, Arc::new(())).await }
    });
    let pid = || {
        Some(Pid::from_raw(
            std::fs::read_to_string(&started)
                .ok()?
                .trim()
                .parse()
                .ok()?,
        ))
    };
    eventually("pip runs", || pid().is_some()).await;
    download.abort();
    assert!(download.await.is_err_and(|ended| ended.is_cancelled()));
    eventually("pip has ended", || kill(pid().unwrap(), None).is_err()).await;
    let left: Vec<_> = std::fs::read_dir(&cache)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
