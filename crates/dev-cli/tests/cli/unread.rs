//! A terminal that does not read: Ctrl-S, a paused pager. What runs goes on, and ends when it is asked to.

use std::io::{BufRead, BufReader, PipeReader, Read, Write, pipe};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::processes::{expect_none, is_alive};
use crate::support::{Scratch, eventually};

/// More than a pipe holds, and more than waits for one.
const REQUESTS: usize = 4000;

/// `up` in the foreground, with a terminal of which nothing is read, and more to say than that takes.
fn talkative(scratch: &mut Scratch) -> (Child, PipeReader) {
    scratch.set("RATE_LIMITS", "off");
    let (reader, writer) = pipe().unwrap();
    let mut up = scratch.command(&["up"]);
    let up = up
        .stdin(Stdio::null())
        .stdout(writer.try_clone().unwrap())
        .stderr(writer)
        .spawn()
        .unwrap();
    eventually("readiness", || {
        (scratch.service("api")["health"] == "healthy").then_some(())
    });
    let port = scratch.port("api");
    for _ in 0..REQUESTS / 100 {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let one =
            |end: &str| format!("GET /api/v1/nothing HTTP/1.1\r\nHost: localhost\r\n{end}\r\n");
        stream
            .write_all(format!("{}{}", one("").repeat(99), one("Connection: close\r\n")).as_bytes())
            .unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    }
    (up, reader)
}

#[test]
fn down_stops_an_up_whose_output_is_not_read() {
    let mut scratch = Scratch::new();
    let (mut up, _unread) = talkative(&mut scratch);
    assert!(scratch.get("/health/ready").contains("\"ready\""));
    let asked = Instant::now();
    scratch.ok(&["down"]).says("everything is stopped");
    let ended = eventually("the end of up", || up.try_wait().unwrap());
    assert!(
        ended.success() && asked.elapsed() < Duration::from_secs(20),
        "{ended} after {:?}",
        asked.elapsed()
    );
    expect_none(scratch.root());
    scratch
        .ok(&["logs", "db"])
        .prints("database system is shut down");
}

#[test]
fn a_reader_that_returns_is_told_how_many_lines_were_left_out() {
    let mut scratch = Scratch::new();
    let (mut up, reader) = talkative(&mut scratch);
    let mut lines = BufReader::new(reader).lines().map(Result::unwrap);
    let mut seen = Vec::new();
    let not_shown = lines.by_ref().find(|line| {
        seen.push(line.clone());
        line.contains("lines not shown: cargo dev logs")
    });
    assert!(not_shown.is_some(), "{seen:?}");
    for address in ["API ", "documentation ", "database "] {
        assert!(
            seen.iter().any(|line| line.starts_with(address)),
            "no {address}: {seen:?}"
        );
    }
    let pid = i32::try_from(up.id()).unwrap();
    crate::support::processes::kill(pid, nix::sys::signal::Signal::SIGINT);
    assert!(lines.any(|line| line.contains("everything is stopped")));
    assert!(up.wait().unwrap().success() && !is_alive(pid));
}
