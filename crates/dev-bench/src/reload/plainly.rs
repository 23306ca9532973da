//! The same edits without the environment: `cargo build`, and the service started again.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use emotionviz_settings::DatabaseUrl;

use super::super::BenchError;
use super::super::server::{Server, Service};
use super::playground::Playground;
use super::up;
use dev_env::build::cargo::cargo;
use process::run;

/// A whole workspace compiles on a slow machine in less.
const BUILD_BOUND: Duration = Duration::from_secs(3600);

/// A second playground, and the service that was built in it.
pub(super) struct Plainly {
    pub(super) playground: Playground,
    service: Service,
    server: Option<Server>,
    /// What is asked for here needs no database.
    nowhere: DatabaseUrl,
}

impl Plainly {
    pub(super) fn new(playground: Playground, logs: PathBuf) -> Self {
        let program = playground.root().join("target/debug/emotionviz");
        let nowhere = "postgres://nobody@127.0.0.1:1/nowhere"
            .parse()
            .expect("it is a URL");
        Self {
            playground,
            service: Service::new(program, logs),
            server: None,
            nowhere,
        }
    }

    /// Builds it.
    pub(super) async fn build(&self) -> Result<Duration, BenchError> {
        let root = self.playground.root();
        let mut build = cargo(root)
            .args([
                "build",
                "--quiet",
                "--package",
                "emotionviz",
                "--bin",
                "emotionviz",
                "--target-dir",
            ])
            .args([root.join("target")]);
        // As the environment's builds do, which it is compared with.
        build.low_priority = true;
        let started = Instant::now();
        run(self.playground.run(build), BUILD_BOUND).await?;
        Ok(started.elapsed())
    }

    /// Builds it, ends what runs, and starts it again. How long that took, from before the build to the first answer.
    pub(super) async fn again(&mut self) -> Result<Duration, BenchError> {
        let started = Instant::now();
        self.build().await?;
        self.stop().await?;
        self.server = Some(self.service.start(&self.nowhere).await?);
        Ok(started.elapsed())
    }

    /// What the marks and the random edits are shown as.
    pub(super) async fn marks(&self) -> Result<String, BenchError> {
        up::marks(self.server.as_ref().ok_or(BenchError::Ended)?.port).await
    }

    /// Ends what runs.
    pub(super) async fn stop(&mut self) -> Result<(), BenchError> {
        match self.server.take() {
            Some(server) => server.stop().await,
            None => Ok(()),
        }
    }
}
