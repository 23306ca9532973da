//! Tests with real processes: shells that misbehave.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use process::{
    Configuration, Outliving, PidFile, PidFileError, Process, ProcessError, StopSignal, Stream,
    capture, from_file_into, run,
};

const SOON: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);

fn shell(script: &str) -> Configuration {
    Configuration::new("shell", "/bin/sh").args(["-c", script])
}

/// Returns the pid in a pid file while the file is held.
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
    // A zombie has exited; its parent has not waited for it yet.
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").starts_with(" Z"))
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "it does not happen: {what}");
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
async fn a_process_starts_becomes_ready_stops_and_starts_again() {
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
async fn an_exit_before_readiness_is_reported_with_the_last_lines() {
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
async fn a_process_that_is_never_ready_reports_what_is_missing_and_can_be_stopped() {
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
async fn stop_kills_processes_of_the_group_that_ignore_the_signal() {
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
async fn a_dropped_process_leaves_no_process_of_its_group() {
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
    // It was written before the program ran.
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
async fn an_absent_program_is_named_in_the_error() {
    let mut process = Process::new(Configuration::new("database", "/nowhere/postgres"));
    let error = process.start().await.unwrap_err().to_string();
    assert!(
        error.contains("database") && error.contains("/nowhere/postgres"),
        "{error}"
    );
    assert_eq!(process.pid(), None);
    assert!(process.exited().await.is_err());
}

#[cfg(target_os = "linux")] // Elsewhere nice(1) does not print the niceness.
#[tokio::test]
async fn a_process_of_low_priority_and_its_children_have_ten_more_niceness() {
    let niceness = async |low_priority| -> i32 {
        // Without arguments nice(1) prints its own niceness.
        let mut asks = shell("(nice)");
        asks.low_priority = low_priority;
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
async fn programs_run_to_their_end_or_to_the_time_limit() {
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
    // More than the capacity of a pipe, to a program that reads nothing.
    let output = capture(shell("exit 0"), &vec![b'x'; 1_000_000], SOON)
        .await
        .unwrap();
    assert!(output.status.success());
}

#[tokio::test]
async fn a_process_inherits_listening_sockets() {
    let listener = Arc::new(std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("listeners");
    let script = r#"(echo "$LISTEN_FDS ${LISTEN_PID-unset}"; test -S /dev/fd/3 && test ! -e /dev/fd/4 && echo a socket) > "$FILE""#;
    let mut configuration = shell(script).env("FILE", &file);
    configuration.listeners = vec![listener];
    run(configuration, SOON).await.unwrap();
    assert_eq!(
        std::fs::read_to_string(file).unwrap(),
        "1 unset\na socket\n"
    );
}

#[tokio::test]
async fn a_failure_of_a_program_with_redirected_streams_has_its_standard_error() {
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
    std::fs::write(&from, "text").unwrap();
    let open = || {
        (
            std::fs::File::open(&from).unwrap(),
            std::fs::File::create(&to).unwrap(),
        )
    };
    let (input, output) = open();
    from_file_into(shell("cat"), input, output, SOON)
        .await
        .unwrap();
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "text");
    let (input, output) = open();
    let error = from_file_into(shell("echo broken >&2; exit 1"), input, output, SOON)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ProcessError::Exited { tail, .. } if tail[..] == ["broken"]),
        "{error}"
    );
}

#[tokio::test]
async fn an_outliving_child_answers_lines_and_exits_when_its_input_is_closed() {
    let script = "while read line; do echo \"got $line\"; done; echo bye >&2; exit 5";
    let mut child = Outliving::start(&shell(script)).unwrap();
    child.send("one\n").await.unwrap();
    assert_eq!(child.line().await.unwrap().as_deref(), Some("got one"));
    let (status, stderr) = child.finish(SOON).await.unwrap();
    assert_eq!((status.code(), stderr.as_str()), (Some(5), "bye"));
}

#[tokio::test]
async fn an_outliving_child_that_is_killed_does_not_clean_up() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cleaned");
    let script = r#"echo $$; read line; : > "$FILE""#;
    let mut child = Outliving::start(&shell(script).env("FILE", &file)).unwrap();
    let pid = child.line().await.unwrap().unwrap().parse().unwrap();
    child.kill().await;
    assert!(!lives(pid) && !file.exists());
}
