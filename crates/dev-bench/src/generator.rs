//! The load generator, `http-bench`: a process of its own, because it is built with optimisation and the tool is not.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::BenchError;
use process::{Configuration, capture};

/// How long a load lasts before it counts, in seconds.
const WARM_UP: f64 = 0.5;
/// What the generator may take beside the time it was given.
const SPARE: Duration = Duration::from_secs(20);

/// What to ask, over and over.
#[derive(Clone, Debug)]
pub(super) struct Load {
    pub(super) method: &'static str,
    pub(super) port: u16,
    pub(super) path: &'static str,
    /// The access token, where one is needed.
    pub(super) token: Option<String>,
    /// A JSON body.
    pub(super) body: Option<String>,
    pub(super) connections: u16,
    /// How long each connection waits between an answer and its next request.
    pub(super) pause_ms: u16,
    /// How long it counts.
    pub(super) seconds: f64,
}

/// What `http-bench load` prints, as far as it is needed here.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Report {
    pub(super) answered: u64,
    pub(super) per_second: f64,
    pub(super) latency: Latency,
    failures: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Latency {
    pub(super) p99_ms: f64,
}

pub(super) struct Generator {
    pub(super) program: PathBuf,
}

impl Load {
    /// Asks with 32 connections, without a pause.
    pub(super) fn get(port: u16, path: &'static str, seconds: f64) -> Self {
        Self {
            method: "GET",
            port,
            path,
            token: None,
            body: None,
            connections: 32,
            pause_ms: 0,
            seconds,
        }
    }
}

impl Generator {
    /// Puts a load on a server. An answer that is no success makes the report an error.
    pub(super) async fn run(&self, load: &Load) -> Result<Report, BenchError> {
        let Load {
            method,
            port,
            path,
            token,
            body,
            connections,
            pause_ms,
            seconds,
        } = load;
        let url = format!("http://127.0.0.1:{port}{path}");
        let mut args = vec![
            "load".to_owned(),
            url,
            "--method".to_owned(),
            (*method).to_owned(),
        ];
        args.extend([
            format!("--connections={connections}"),
            format!("--pause={pause_ms}"),
        ]);
        args.extend([
            format!("--seconds={seconds}"),
            format!("--warm-up={WARM_UP}"),
        ]);
        // The token is of a user who exists in this database alone, for these seconds alone.
        args.extend(
            token
                .iter()
                .map(|token| format!("--header=Authorization: Bearer {token}")),
        );
        args.extend(body.iter().map(|body| format!("--body={body}")));
        let report: Report = self
            .ask(args, Duration::from_secs_f64(seconds + WARM_UP))
            .await?;
        if report.answered == 0 || !report.failures.is_empty() {
            let what = format!("{method} {path}");
            return Err(BenchError::Failures {
                what,
                answered: report.answered,
                failures: report.failures,
            });
        }
        Ok(report)
    }

    /// How many hashes of Argon2id all cores make in a second.
    pub(super) async fn argon2(&self, threads: usize, seconds: f64) -> Result<f64, BenchError> {
        let args = vec![
            "argon2".to_owned(),
            format!("--threads={threads}"),
            format!("--seconds={seconds}"),
        ];
        self.ask(args, Duration::from_secs_f64(seconds)).await
    }

    async fn ask<T: for<'de> Deserialize<'de>>(
        &self,
        args: Vec<String>,
        takes: Duration,
    ) -> Result<T, BenchError> {
        let output = capture(
            Configuration::new("http-bench", &self.program).args(args),
            b"",
            takes + SPARE,
        )
        .await?;
        let no_report = |reason| BenchError::NoReport {
            program: self.program.clone(),
            reason,
        };
        if !output.status.success() {
            return Err(no_report(output.stderr.trim().to_owned()));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| no_report(error.to_string()))
    }
}
