//! The supervisor of child processes, tried on shells that misbehave.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails there.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use process::{
    Configuration, PidFile, PidFileError, Process, ProcessError, StopSignal, Stream, capture, run,
};

const SOON: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);

fn shell(script: &str) -> Configuration {
    Configuration::new("shell", "/bin/sh").args(["-c", script])
}

/// Whom a pid file names, while it is held.
fn holder(pid_file: &Path) -> Option<u32> {
    PidFile::is_held(pid_file).then(|| {
        std::fs::read_to_string(pid_file)
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    })
}

fn lives(pid: u32) -> bool {
    // A zombie has ended: only its parent has not asked yet.
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").starts_with(" Z"))
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(POLL).await;
    }
}

async fn ready_when(process: &mut Process, file: &Path) -> Result<(), ProcessError> {
    let probe = || async move {
        if file.exists() {
            Ok(())
        } else {
            Err("no file".to_owned())
        }
    };
    process.until_ready(SOON, POLL, probe).await
}

#[tokio::test]
async fn a_life_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ready");
    let lines = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&lines);
    let mut configuration =
        shell(r#"trap 'echo bye; exit 3' TERM; echo out; echo err >&2; : > "$READY"; while :; do sleep 0.01; done"#).env("READY", &file);
    configuration.sink = Some(Arc::new(move |stream, line: &str| {
        heard.lock().unwrap().push((stream, line.to_owned()))
    }));
    let mut process = Process::new(configuration);
    assert_eq!(process.pid(), None);
    process.start().await.unwrap();
    ready_when(&mut process, &file).await.unwrap();
    let pid = process.pid().unwrap();
    assert!(lives(pid));

    let status = process.stop().await.unwrap().unwrap();
    assert_eq!((status.code(), process.pid()), (Some(3), None));
    assert!(!lives(pid));
    assert!(process.tail().contains(&"bye".to_owned()));
    let lines = lines.lock().unwrap().clone();
    assert!(
        lines.contains(&(Stream::Stdout, "out".to_owned()))
            && lines.contains(&(Stream::Stderr, "err".to_owned()))
    );
    assert!(
        process.stop().await.unwrap().is_some(),
        "stopping twice is not an error"
    );

    std::fs::remove_file(&file).unwrap();
    process.start().await.unwrap();
    ready_when(&mut process, &file).await.unwrap();
    process.stop().await.unwrap();
}

#[tokio::test]
async fn an_early_end_is_noticed_with_its_evidence() {
    let mut process = Process::new(shell(
        "for i in $(seq 1 80); do echo line $i; done; echo 'cannot bind' >&2; exit 7",
    ));
    process.start().await.unwrap();
    let hangs = || std::future::pending::<Result<(), String>>();
    let error = process.until_ready(SOON, POLL, hangs).await.unwrap_err();
    let ProcessError::Exited { status, tail, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(status.code(), Some(7));
    assert_eq!(tail.len(), 50);
    assert!(tail.contains(&"cannot bind".to_owned()) && tail.contains(&"line 80".to_owned()));
    assert!(error.to_string().contains("exit status 7"));
    assert_eq!(process.pid(), None);
}

#[tokio::test]
async fn what_is_never_ready_says_what_is_missing_and_can_be_stopped() {
    let mut process = Process::new(shell("echo working; sleep 1000"));
    process.start().await.unwrap();
    let bound = Duration::from_millis(50);
    let error = process
        .until_ready(bound, POLL, || async { Err("no answer".to_owned()) })
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ProcessError::NotReady { last, .. } if last == "no answer"),
        "{error}"
    );
    let pid = process.pid().unwrap();
    process.stop().await.unwrap();
    assert!(!lives(pid));
}

#[tokio::test]
async fn stopping_ends_the_whole_group_even_what_ignores_the_signal() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("child");
    let script = r#"trap '' TERM; (trap '' TERM; while :; do sleep 0.01; done) & echo $! > "$CHILD.tmp"; mv "$CHILD.tmp" "$CHILD"; wait"#;
    let mut configuration = shell(script).env("CHILD", &file);
    configuration.stop_bound = Duration::from_millis(50);
    let mut process = Process::new(configuration);
    process.start().await.unwrap();
    ready_when(&mut process, &file).await.unwrap();
    let child: u32 = std::fs::read_to_string(&file)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    process.stop().await.unwrap();
    eventually("the grandchild ends", || !lives(child)).await;
}

#[tokio::test]
async fn dropping_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("child");
    let script = r#"sleep 1000 & echo $! > "$CHILD.tmp"; mv "$CHILD.tmp" "$CHILD"; wait"#;
    let mut process = Process::new(shell(script).env("CHILD", &file));
    process.start().await.unwrap();
    ready_when(&mut process, &file).await.unwrap();
    let (leader, child) = (
        process.pid().unwrap(),
        std::fs::read_to_string(&file)
            .unwrap()
            .trim()
            .parse()
            .unwrap(),
    );
    drop(process);
    assert!(!lives(leader));
    eventually("the grandchild ends", || !lives(child)).await;
}

#[tokio::test]
async fn a_pid_file_is_held_exactly_as_long_as_the_process_or_a_descendant_lives() {
    let folder = tempfile::tempdir().unwrap();
    let pid_file = folder.path().join("run/service.pid");
    assert!(!PidFile::is_held(&pid_file));
    let mut configuration = shell("sleep 1000 & wait");
    configuration.pid_file = Some(pid_file.clone());
    let mut first = Process::new(configuration.clone());
    first.start().await.unwrap();
    // Written before the program runs: there is nothing to wait for.
    assert_eq!(holder(&pid_file), first.pid());

    let mut second = Process::new(configuration);
    let refused = second.start().await.unwrap_err();
    let ProcessError::PidFile {
        source: PidFileError::Held { pid, .. },
        ..
    } = refused
    else {
        panic!("{refused}")
    };
    assert_eq!(pid, first.pid());

    assert!(
        PidFile::end_leftover(&pid_file, StopSignal::Terminate, SOON)
            .await
            .unwrap()
    );
    assert!(
        !PidFile::end_leftover(&pid_file, StopSignal::Terminate, SOON)
            .await
            .unwrap()
    );
    assert_eq!(holder(&pid_file), None);
    first.exited().await.unwrap();
    second.start().await.unwrap();
    assert_eq!(holder(&pid_file), second.pid());
    second.stop().await.unwrap();
    eventually("the file is free", || !PidFile::is_held(&pid_file)).await;
}

#[tokio::test]
async fn a_leftover_that_ignores_the_signal_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let pid_file = folder.path().join("service.pid");
    let ready = folder.path().join("ready");
    let mut configuration =
        shell(r#"trap '' TERM INT; : > "$READY"; while :; do sleep 0.01; done"#)
            .env("READY", &ready);
    configuration.pid_file = Some(pid_file.clone());
    let mut process = Process::new(configuration);
    process.start().await.unwrap();
    ready_when(&mut process, &ready).await.unwrap();
    assert!(
        PidFile::end_leftover(&pid_file, StopSignal::Terminate, Duration::from_millis(50))
            .await
            .unwrap()
    );
    process.exited().await.unwrap();
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let mut process = Process::new(Configuration::new("database", "/nowhere/postgres"));
    let error = process.start().await.unwrap_err().to_string();
    assert!(
        error.contains("database") && error.contains("/nowhere/postgres"),
        "{error}"
    );
    assert_eq!(process.pid(), None);
    assert!(process.exited().await.is_err());
}

#[cfg(target_os = "linux")] // Elsewhere nice(1) does not say it.
#[tokio::test]
async fn what_gives_way_is_nicer_by_ten_with_all_that_it_starts() {
    let niceness = async |gives_way| -> i32 {
        // Without arguments nice(1) says its own.
        let mut asks = shell("(nice)");
        asks.gives_way = gives_way;
        let output = capture(asks, b"", SOON).await.unwrap();
        String::from_utf8(output.stdout)
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    };
    let usual = niceness(false).await;
    assert_eq!(niceness(true).await, (usual + 10).min(19));
}

#[tokio::test]
async fn tools_run_to_their_end() {
    run(shell("exit 0"), SOON).await.unwrap();
    assert!(matches!(
        run(shell("exit 4"), SOON).await,
        Err(ProcessError::Exited { .. })
    ));
    assert!(matches!(
        run(shell("sleep 1000"), Duration::from_millis(50)).await,
        Err(ProcessError::NotReady { .. })
    ));

    let output = capture(
        shell("cat; echo problem >&2; exit 2"),
        "grüße".as_bytes(),
        SOON,
    )
    .await
    .unwrap();
    assert_eq!(
        (
            output.status.code(),
            output.stdout.as_slice(),
            output.stderr.as_str()
        ),
        (Some(2), "grüße".as_bytes(), "problem\n")
    );
    // More than a pipe holds, to a tool that reads nothing of it.
    let output = capture(shell("exit 0"), &vec![b'x'; 1_000_000], SOON)
        .await
        .unwrap();
    assert!(output.status.success());
}
