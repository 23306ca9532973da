//! A Compose project of its own for each test.

pub(crate) mod docker;
#[path = "../../shared/finished.rs"]
mod finished;
#[path = "../../shared/load.rs"]
pub(crate) mod load;
pub(crate) mod project;
#[path = "../../shared/waiting.rs"]
mod waiting;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use docker::docker;
pub(crate) use finished::Finished;
pub(crate) use project::Project;
pub(crate) use waiting::eventually;

/// Longer than anything but a compilation takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);

/// The answer to `GET path` on this machine, head and body; a reason where there is none.
pub(crate) fn get(port: u16, path: &str) -> String {
    request(
        port,
        &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
    )
}

/// The same for a JSON body.
pub(crate) fn post(port: u16, path: &str, body: &str) -> String {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json"
    );
    request(
        port,
        &format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
    )
}

fn request(port: u16, text: &str) -> String {
    let ask = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(text.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    };
    ask().unwrap_or_else(|error: std::io::Error| format!("no answer: {error}"))
}

/// The checkout that the tests are of.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}
