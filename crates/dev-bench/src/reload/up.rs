//! The environment over the playground: `cargo dev up`, as somebody would start it.

use std::path::Path;
use std::time::{Duration, Instant};

use emotionviz_settings::declared::{API_PORT, POSTGRES_PORT};
use serde::Deserialize;

use super::super::BenchError;
use super::super::client::{ask, whole};
use super::super::tool::ready;
use super::playground::{MARKS, Playground};
use dev_env::engines::Kind;
use dev_env::engines::docker::tool_inside;
use dev_env::report::reload::{Outcome, Reload, Times};
use process::{Configuration, Process, capture, run};

/// How long the first build may take.
const FIRST_BUILD: Duration = Duration::from_secs(3600);
/// How long anything else may.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it is looked whether an edit is live.
const LOOK: Duration = Duration::from_millis(4);
/// How often the environment is asked. It takes programs of its own to answer, which the service's answers wait for.
const ASK: Duration = Duration::from_millis(250);

/// The verb that tells of reloads.
const STATUS: [&str; 2] = ["status", "--json"];

/// The environment, and what it was last seen to do.
pub(super) struct Up<'a> {
    tool: Tool<'a>,
    process: Process,
    pub(super) port: u16,
    /// The API's container, where it is in one.
    container: Option<String>,
    last: Option<Reload>,
}

/// The tool, and the engine that it is to use.
#[derive(Clone, Copy)]
pub(super) struct Tool<'a> {
    pub(super) program: &'a Path,
    pub(super) engine: Kind,
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
    container: Option<String>,
}

impl<'a> Up<'a> {
    /// Starts it. How long that took, too: with the first build and a new database.
    pub(super) async fn start(
        tool: Tool<'a>,
        playground: &Playground,
    ) -> Result<(Self, Duration), BenchError> {
        // Containers outlive a benchmark that was killed.
        tool.run(playground, &["down"]).await?;
        let (process, took) = ready(tool.verb(playground, &["up", "--quiet"]), FIRST_BUILD).await?;
        let status = status(tool.verb(playground, &STATUS)).await?;
        let api = status
            .services
            .into_iter()
            .find(|service| service.name == "api")
            .ok_or(BenchError::Ended)?;
        let port = api.port.ok_or(BenchError::Ended)?;
        Ok((
            Self {
                tool,
                process,
                port,
                container: api.container,
                last: None,
            },
            took,
        ))
    }

    /// The supervisor's pid, where it is a process of this machine.
    pub(super) fn pid(&self) -> Option<u32> {
        self.process
            .pid()
            .filter(|_| self.tool.engine == Kind::Native)
    }

    /// Waits until the next edit, which was just made, is live, and answers as it should.
    pub(super) async fn live(
        &mut self,
        playground: &Playground,
        what: &str,
    ) -> Result<Times, BenchError> {
        match self.next(playground, what).await?.outcome {
            Outcome::Live(times) => Ok(times),
            Outcome::Failed { reason, compiler } => Err(BenchError::NotLive {
                what: what.to_owned(),
                reason: format!("{reason}\n{compiler}"),
            }),
        }
    }

    /// Waits until the next edit has failed.
    pub(super) async fn failed(
        &mut self,
        playground: &Playground,
        what: &str,
    ) -> Result<(), BenchError> {
        match self.next(playground, what).await?.outcome {
            Outcome::Failed { .. } => Ok(()),
            Outcome::Live(_) => Err(BenchError::NotLive {
                what: what.to_owned(),
                reason: "it went live, and it does not compile".to_owned(),
            }),
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
                return Err(BenchError::NotLive {
                    what: what.to_owned(),
                    reason: format!("{path} answers: {reason}"),
                });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until the marks are shown like this, and says when they were.
    pub(super) async fn shows(&self, shown: &str, what: &str) -> Result<Instant, BenchError> {
        let expected = format!("\n{shown}");
        self.answers(MARKS, "", |answer| answer.contains(&expected), what)
            .await
    }

    /// What the marks and the random edits are shown as.
    pub(super) async fn marks(&self) -> Result<String, BenchError> {
        marks(self.port).await
    }

    /// Ends it, and removes what was built in volumes.
    pub(super) async fn stop(mut self, playground: &Playground) -> Result<(), BenchError> {
        self.process.stop().await?;
        if self.tool.engine == Kind::Docker {
            let down = Configuration::new("docker compose", "docker").args([
                "compose",
                "down",
                "--volumes",
            ]);
            run(playground.run(down), PATIENCE).await?;
        }
        Ok(())
    }

    /// The last reloads, from whoever knows them: in the container, as the rest of what `status` says takes many programs.
    async fn reloads(&self, playground: &Playground) -> Result<Vec<Reload>, BenchError> {
        let asking = match &self.container {
            Some(api) => tool_inside(api, &STATUS.join(" ")),
            None => self.tool.verb(playground, &STATUS),
        };
        Ok(status(asking).await?.reloads)
    }

    async fn next(&mut self, playground: &Playground, what: &str) -> Result<Reload, BenchError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let last = self.reloads(playground).await?.pop();
            if let Some(reload) = last.filter(|reload| self.last.as_ref() != Some(reload)) {
                self.last = Some(reload.clone());
                return Ok(reload);
            }
            if Instant::now() > deadline {
                return Err(BenchError::NotLive {
                    what: what.to_owned(),
                    reason: "nothing was reloaded".to_owned(),
                });
            }
            tokio::time::sleep(ASK).await;
        }
    }
}

async fn status(asking: Configuration) -> Result<Status, BenchError> {
    let program = asking.program.clone();
    let output = capture(asking, b"", PATIENCE).await?;
    serde_json::from_slice(&output.stdout).map_err(|error| BenchError::NoReport {
        program,
        reason: format!("{error}: {}", output.stderr.trim()),
    })
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

impl Tool<'_> {
    async fn run(self, playground: &Playground, args: &[&str]) -> Result<(), BenchError> {
        Ok(run(self.verb(playground, args), PATIENCE).await?)
    }

    fn verb(self, playground: &Playground, args: &[&str]) -> Configuration {
        let verb = Configuration::new("cargo dev", self.program)
            .args(["--engine".to_owned(), self.engine.to_string()]);
        playground
            .run(verb.args(args.iter().copied()))
            .env(API_PORT.info.name, "0")
            .env(POSTGRES_PORT.info.name, "0")
    }
}
