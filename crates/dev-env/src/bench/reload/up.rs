//! The environment over the playground: `cargo dev up`, as somebody would start it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use emotionviz_settings::declared::{API_PORT, POSTGRES_PORT};
use serde::Deserialize;

use super::super::BenchError;
use super::super::client::{ask, whole};
use super::playground::{MARKS, Playground};
use crate::process::{Configuration, Process, Stream, capture};
use crate::reload::{Outcome, Reload, Times};

/// How long the first build may take.
const FIRST_BUILD: Duration = Duration::from_secs(3600);
/// How long anything else may.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it is looked whether an edit is live.
const LOOK: Duration = Duration::from_millis(4);

/// The environment, and what it was last seen to do.
pub(super) struct Up<'a> {
    program: &'a Path,
    process: Process,
    pub(super) port: u16,
    last: Option<Reload>,
}

#[derive(Deserialize)]
struct Status {
    services: Vec<Service>,
    reloads: Vec<Reload>,
}

#[derive(Deserialize)]
struct Service {
    name: String,
    port: Option<u16>,
}

impl<'a> Up<'a> {
    /// Starts it. How long that took, too: with the first build and a new database.
    pub(super) async fn start(program: &'a Path, playground: &Playground) -> Result<(Self, Duration), BenchError> {
        let printed = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&printed);
        let mut configuration = verb(program, playground, &["up", "--quiet"]);
        configuration.sink = Some(Arc::new(move |stream, _| {
            if stream == Stream::Stdout {
                flag.store(true, Ordering::Relaxed);
            }
        }));
        configuration.stop_bound = PATIENCE;
        let mut process = Process::new(configuration);
        let started = Instant::now();
        process.start().await?;
        let probe = || {
            let printed = printed.load(Ordering::Relaxed);
            async move { if printed { Ok(()) } else { Err("it has printed no address".to_owned()) } }
        };
        process.until_ready(FIRST_BUILD, Duration::from_millis(10), probe).await?;
        let took = started.elapsed();
        let status = status(program, playground).await?;
        let api = status.services.iter().find(|service| service.name == "api");
        let port = api.and_then(|api| api.port).ok_or(BenchError::Ended)?;
        Ok((Self { program, process, port, last: None }, took))
    }

    /// The supervisor's pid.
    pub(super) fn pid(&self) -> u32 {
        self.process.pid().expect("it was not stopped")
    }

    /// Waits until the next edit, which was just made, is live, and answers as it should.
    pub(super) async fn live(&mut self, playground: &Playground, what: &str) -> Result<Times, BenchError> {
        match self.next(playground, what).await?.outcome {
            Outcome::Live(times) => Ok(times),
            Outcome::Failed { reason, compiler } => {
                Err(BenchError::NotLive { what: what.to_owned(), reason: format!("{reason}\n{compiler}") })
            }
        }
    }

    /// Waits until the next edit has failed.
    pub(super) async fn failed(&mut self, playground: &Playground, what: &str) -> Result<(), BenchError> {
        match self.next(playground, what).await?.outcome {
            Outcome::Failed { .. } => Ok(()),
            Outcome::Live(_) => {
                Err(BenchError::NotLive { what: what.to_owned(), reason: "it went live, and it does not compile".to_owned() })
            }
        }
    }

    /// Waits for an answer that is as `expected`, and says when it came. Each header ends its line.
    pub(super) async fn answers(
        &self,
        path: &str,
        headers: &str,
        expected: impl Fn(&str) -> bool,
        what: &str,
    ) -> Result<Instant, BenchError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = whole(self.port, "GET", path, headers, "").await;
            if answer.as_ref().is_ok_and(|answer| expected(answer)) {
                return Ok(Instant::now());
            }
            if Instant::now() > deadline {
                let reason = answer.unwrap_or_else(|error| error.to_string());
                return Err(BenchError::NotLive { what: what.to_owned(), reason: format!("{path} answers: {reason}") });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What the marks and the random edits are shown as.
    pub(super) async fn marks(&self) -> Result<String, BenchError> {
        marks(self.port).await
    }

    /// Ends it.
    pub(super) async fn stop(mut self) -> Result<(), BenchError> {
        self.process.stop().await?;
        Ok(())
    }

    async fn next(&mut self, playground: &Playground, what: &str) -> Result<Reload, BenchError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let last = status(self.program, playground).await?.reloads.pop();
            if let Some(reload) = last.filter(|reload| self.last.as_ref() != Some(reload)) {
                self.last = Some(reload.clone());
                return Ok(reload);
            }
            if Instant::now() > deadline {
                return Err(BenchError::NotLive { what: what.to_owned(), reason: "nothing was reloaded".to_owned() });
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// What a service shows at [`MARKS`].
pub(super) async fn marks(port: u16) -> Result<String, BenchError> {
    let what = format!("GET {MARKS}");
    match ask(port, "GET", MARKS, "").await {
        Ok((200, body)) => Ok(body),
        Ok((status, body)) => Err(BenchError::Refused { what, status, body }),
        Err(source) => Err(BenchError::Unanswered { what, source }),
    }
}

async fn status(program: &Path, playground: &Playground) -> Result<Status, BenchError> {
    let output = capture(verb(program, playground, &["status", "--json"]), b"", PATIENCE).await?;
    serde_json::from_slice(&output.stdout)
        .map_err(|error| BenchError::NoReport { program: program.to_owned(), reason: format!("{error}: {}", output.stderr.trim()) })
}

fn verb(program: &Path, playground: &Playground, args: &[&str]) -> Configuration {
    let verb = Configuration::new("cargo dev", program).args(args.iter().copied());
    playground.run(verb).env(API_PORT.info.name, "0").env(POSTGRES_PORT.info.name, "0")
}
