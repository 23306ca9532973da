//! Clients that ask all the while: over new connections, over kept ones, and over a WebSocket.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;

use super::super::BenchError;
use super::playground::SOCKET;
use process::{Configuration, Process, Stream};

/// What is asked for. It needs no token, and has a line in the log.
const PATH: &str = "/api/v1/emotions";
/// Connections of each kind.
const CONNECTIONS: u16 = 2;
/// Between an answer and the next request: shorter than the moment in which a connection's last answer says so.
const PAUSE_MS: u16 = 10;
/// Longer than any benchmark.
const LONGEST: Duration = Duration::from_secs(3600);

/// The clients, each a process of `http-bench`.
pub(super) struct Clients([Client; 3]);

struct Client {
    process: Process,
    said: Arc<Mutex<String>>,
}

/// What they saw.
#[derive(Debug)]
pub(super) struct Seen {
    /// Answers over new and over kept connections.
    pub(super) answered: [u64; 2],
    /// The slowest of all answers, in milliseconds.
    pub(super) longest_ms: f64,
    /// How often the WebSocket was closed with 1012, and opened again.
    pub(super) restarts: u64,
}

#[derive(Deserialize)]
struct Report {
    answered: u64,
    latency: Latency,
    failures: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Latency {
    max_ms: f64,
}

#[derive(Deserialize)]
struct Sockets {
    opened: u64,
    restarts: u64,
    failures: BTreeMap<String, u64>,
}

impl Clients {
    /// Begins to ask.
    pub(super) async fn start(generator: &Path, port: u16) -> Result<Self, BenchError> {
        let load = |header: &str| {
            let mut args = vec!["load".to_owned(), format!("http://127.0.0.1:{port}{PATH}")];
            args.extend([
                format!("--connections={CONNECTIONS}"),
                format!("--pause={PAUSE_MS}"),
                "--warm-up=0".to_owned(),
            ]);
            args.extend([
                format!("--seconds={}", LONGEST.as_secs()),
                format!("--header=Connection: {header}"),
            ]);
            args
        };
        let socket = vec![
            "websocket".to_owned(),
            format!("ws://127.0.0.1:{port}{SOCKET}"),
        ];
        let [new, kept, socket] =
            [load("close"), load("keep-alive"), socket].map(|args| Client::new(generator, args));
        let mut clients = Self([new, kept, socket]);
        for client in &mut clients.0 {
            client.process.start().await?;
        }
        Ok(clients)
    }

    /// Ends them. Anything but answers is an error: a request was lost.
    pub(super) async fn finish(self) -> Result<Seen, BenchError> {
        let [new, kept, socket] = self.0;
        let mut seen = Seen {
            answered: [0; 2],
            longest_ms: 0.0,
            restarts: 0,
        };
        for (client, answered) in [new, kept].into_iter().zip(&mut seen.answered) {
            let report: Report = client.report().await?;
            if report.answered == 0 || !report.failures.is_empty() {
                return Err(BenchError::Failures {
                    what: format!("GET {PATH}"),
                    answered: report.answered,
                    failures: report.failures,
                });
            }
            *answered = report.answered;
            seen.longest_ms = seen.longest_ms.max(report.latency.max_ms);
        }
        let sockets: Sockets = socket.report().await?;
        if !sockets.failures.is_empty() || sockets.opened != sockets.restarts + 1 {
            return Err(BenchError::Failures {
                what: format!("WebSocket {SOCKET}"),
                answered: sockets.opened,
                failures: sockets.failures,
            });
        }
        seen.restarts = sockets.restarts;
        Ok(seen)
    }
}

impl Client {
    fn new(generator: &Path, args: Vec<String>) -> Self {
        let said = Arc::new(Mutex::new(String::new()));
        let slot = Arc::clone(&said);
        let mut configuration = Configuration::new("http-bench", generator).args(args);
        configuration.sink = Some(Arc::new(move |stream, line| {
            if stream == Stream::Stdout {
                slot.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push_str(line);
            }
        }));
        Self {
            process: Process::new(configuration),
            said,
        }
    }

    async fn report<T: for<'de> Deserialize<'de>>(mut self) -> Result<T, BenchError> {
        self.process.stop().await?;
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::from_str(&said).map_err(|error| BenchError::NoReport {
            program: "http-bench".into(),
            reason: format!("{error}: {}", self.process.tail().join("\n")),
        })
    }
}
