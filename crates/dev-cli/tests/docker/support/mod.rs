//! A Compose project of its own for each test.

pub(crate) mod docker;
#[path = "../../shared/finished.rs"]
mod finished;
#[path = "../../shared/http.rs"]
mod http;
#[path = "../../shared/load.rs"]
pub(crate) mod load;
pub(crate) mod project;
#[path = "../../shared/waiting.rs"]
mod waiting;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use docker::docker;
pub(crate) use finished::Finished;
use http::{post_json, request};
pub(crate) use project::Project;
pub(crate) use waiting::eventually;

/// Longer than anything but a compilation takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);
const TIMEOUT: Duration = Duration::from_secs(10);

/// The answer to `GET path` on this machine, head and body; a reason where there is none.
pub(crate) fn get(port: u16, path: &str) -> String {
    get_from("127.0.0.1", port, path)
}

/// The same at another address.
pub(crate) fn get_from(host: &str, port: u16, path: &str) -> String {
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    request((host, port), &head, TIMEOUT)
}

/// The same for a JSON body.
pub(crate) fn post(port: u16, path: &str, body: &str) -> String {
    post_json(("127.0.0.1", port), path, body, TIMEOUT)
}

/// The checkout that the tests are of.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}
