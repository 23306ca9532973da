//! The servers that are measured.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use emotionviz_settings::DatabaseUrl;
use emotionviz_settings::declared::{API_PORT, DATABASE_URL, JWT_SECRET_KEY, RATE_LIMITS};
use secrecy::ExposeSecret;

use super::BenchError;
use super::client::ask;
use dev_env::project::configuration;
use dev_env::service::command::plain;
use process::{Configuration, Process};

/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that answers.
pub(super) struct Server {
    process: Process,
    pub(super) port: u16,
    /// From before its start until it had answered.
    pub(super) first_answer: Duration,
}

impl Server {
    /// Starts a server on a port and returns when `GET path` is answered with 200.
    async fn start(
        configuration: Configuration,
        port: u16,
        path: &'static str,
        log: Option<&Path>,
    ) -> Result<Self, BenchError> {
        let name = configuration.name.clone();
        let mut process = Process::new(configuration);
        let started = Instant::now();
        process.start().await?;
        let probe = || async move {
            match ask(port, "GET", path, "").await {
                Ok((200, _)) => Ok(()),
                Ok((status, body)) => Err(format!("{status} {body}")),
                Err(error) => Err(error.to_string()),
            }
        };
        match process
            .until_ready(PATIENCE, Duration::from_millis(1), probe)
            .await
        {
            Ok(()) => Ok(Self {
                process,
                port,
                first_answer: started.elapsed(),
            }),
            Err(error) => {
                let written = log
                    .and_then(|log| std::fs::read_to_string(log).ok())
                    .filter(|text| !text.is_empty());
                Err(
                    written.map_or(BenchError::Process(error), |log| BenchError::Silent {
                        name,
                        path,
                        log: end_of(&log),
                    }),
                )
            }
        }
    }

    /// The bare server of `http-bench`.
    pub(super) async fn bare(program: &Path) -> Result<Self, BenchError> {
        let port = dev_env::project::ports::free_port().map_err(dev_env::Error::from)?;
        let configuration = Configuration::new("http-bench", program)
            .args(["bare".to_owned(), format!("--port={port}")]);
        Self::start(configuration, port, "/", None).await
    }

    /// Its pid.
    pub(super) fn pid(&self) -> u32 {
        self.process
            .pid()
            .expect("a server that was not stopped has a pid")
    }

    /// Ends it in order.
    pub(super) async fn stop(mut self) -> Result<(), BenchError> {
        self.process.stop().await?;
        Ok(())
    }
}

/// How the service is run: as in production, except that nobody's requests are limited.
pub(super) struct Service {
    /// `emotionviz`.
    pub(super) program: PathBuf,
    /// The folder of its logs.
    pub(super) logs: PathBuf,
    /// Signs the access tokens, in every process.
    jwt_secret: String,
}

impl Service {
    pub(super) fn new(program: PathBuf, logs: PathBuf) -> Self {
        Self {
            program,
            logs,
            jwt_secret: configuration::generate(),
        }
    }

    /// Starts it on a free port and returns when it has answered `GET /health`.
    pub(super) async fn start(&self, database: &DatabaseUrl) -> Result<Server, BenchError> {
        let port = dev_env::project::ports::free_port().map_err(dev_env::Error::from)?;
        let log = self.logs.join(format!("{port}.log"));
        // Its log goes to a file, which costs it a write per line: the tool, reading a pipe, would take time from what is measured.
        let configuration = plain("the service", Path::new("/bin/sh"))
            .args(["-c", r#"exec "$0" serve >"$1""#])
            .args([&self.program, &log])
            .env(API_PORT.info.name, port.to_string())
            .env(DATABASE_URL.info.name, database.to_secret().expose_secret())
            .env(JWT_SECRET_KEY.info.name, &self.jwt_secret)
            .env(RATE_LIMITS.info.name, "off");
        Server::start(configuration, port, "/health", Some(&log)).await
    }
}

fn end_of(log: &str) -> String {
    const LINES: usize = 10;
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
