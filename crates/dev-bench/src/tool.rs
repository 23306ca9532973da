//! `cargo dev` itself: how long people wait for it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use emotionviz_settings::declared::SERVICE_BINARY;

use super::database::Scratch;
use super::figures::median;
use super::{BenchError, Figure, Target, Unit, machine};
use dev_env::build::cargo::{self, cargo};
use dev_env::report::events::Events;
use dev_env::service::command::plain;
use dev_env::{Checkout, Environment, Error};
use process::{Configuration, Process, Stream, run};

/// How often each thing is done.
const TIMES: usize = 5;
/// How long any of them may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Measures `up` and `status` in a checkout that holds nothing but what they read. `program` is the tool. Dropped before its
/// end, it stops what it has started.
///
/// # Errors
/// One of them fails.
pub async fn tool(
    environment: &Environment,
    program: &Path,
    events: &Events,
) -> Result<Vec<Figure>, BenchError> {
    let checkout = &environment.checkout;
    let tool = environment.configuration.tool(checkout)?;
    let service = cargo::program(environment, &tool, cargo::Options::default(), events).await?;

    if let Some(disturbance) = machine::disturbance().await {
        events.warn(disturbance);
    }
    events.phase("measuring cargo dev up and status");
    let scratch = Scratch::new(checkout).await?;
    let bench = Bench {
        program,
        service: service.path().to_owned(),
        checkout: copy(checkout, &scratch)?,
    };
    // Makes the database.
    bench.up().await?.0.stop().await?;
    let mut ready = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let (mut up, took) = bench.up().await?;
        ready.push(took);
        up.stop().await?;
    }
    let (mut up, _) = bench.up().await?;
    let status = several(|| bench.verb(&["status"])).await?;
    up.stop().await?;

    // What stands before the tool each time it is typed: cargo, which looks whether the tool or the service has to be built.
    let root = checkout.root();
    let version = || cargo(root).args(["dev", "--version"]);
    run(version(), PATIENCE).await?;
    let alias = several(version).await?;
    let build = several(|| {
        cargo(root).args([
            "build",
            "--quiet",
            "--package",
            "emotionviz",
            "--bin",
            "emotionviz",
        ])
    })
    .await?;
    let ready = median(ready);
    Ok(vec![
        Figure {
            name: "cargo dev up to ready, existing environment".to_owned(),
            value: ready + alias + build,
            unit: Unit::Milliseconds,
            target: Some(Target::AtMost(1500.0)),
            compared: format!(
                "medians of {TIMES}: {ready:.0} ms in a checkout of the benchmark's own, and cargo's {alias:.0} + {build:.0} ms to find the tool and the service built"
            ),
        },
        Figure {
            name: "cargo dev status".to_owned(),
            value: status + alias,
            unit: Unit::Milliseconds,
            target: Some(Target::AtMost(200.0)),
            compared: format!(
                "medians of {TIMES}, while it runs: {status:.0} ms, and cargo's {alias:.0} ms to find the tool built"
            ),
        },
    ])
}

/// What the tool reads of a checkout.
fn copy(checkout: &Checkout, scratch: &Scratch) -> Result<PathBuf, Error> {
    let folder = scratch.path().join("checkout");
    let migrations = folder.join("backend/db/migrations");
    std::fs::create_dir_all(&migrations)
        .map_err(|source| Error::io("make", &migrations, source))?;
    let mut files = vec![
        PathBuf::from("Cargo.toml"),
        PathBuf::from("backend/.env.example"),
    ];
    let from = checkout.migrations();
    for file in std::fs::read_dir(&from).map_err(|source| Error::io("read", &from, source))? {
        let file = file.map_err(|source| Error::io("read", &from, source))?;
        files.push(Path::new("backend/db/migrations").join(file.file_name()));
    }
    for file in files {
        let to = folder.join(&file);
        std::fs::copy(checkout.root().join(file), &to)
            .map_err(|source| Error::io("write", &to, source))?;
    }
    Ok(folder)
}

struct Bench<'a> {
    program: &'a Path,
    service: PathBuf,
    checkout: PathBuf,
}

impl Bench<'_> {
    fn verb(&self, args: &[&str]) -> Configuration {
        let mut verb = plain("cargo dev", self.program)
            .args(args.iter().map(OsString::from))
            .env(SERVICE_BINARY.info.name, &self.service);
        verb.current_dir = Some(self.checkout.clone());
        verb
    }

    /// `up` that has printed where everything answers, and how long that took, in milliseconds.
    async fn up(&self) -> Result<(Process, f64), BenchError> {
        let (up, took) = ready(self.verb(&["up", "--quiet"]), PATIENCE).await?;
        Ok((up, took.as_secs_f64() * 1000.0))
    }
}

/// `up --quiet`, once it has printed where everything answers, and how long that took.
pub(super) async fn ready(
    mut up: Configuration,
    patience: Duration,
) -> Result<(Process, Duration), BenchError> {
    let printed = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&printed);
    up.sink = Some(Arc::new(move |stream, _| {
        if stream == Stream::Stdout {
            flag.store(true, Ordering::Relaxed);
        }
    }));
    up.stop_bound = PATIENCE;
    let mut up = Process::new(up);
    let started = Instant::now();
    up.start().await?;
    let probe = || {
        let printed = printed.load(Ordering::Relaxed);
        async move {
            if printed {
                Ok(())
            } else {
                Err("it has printed no address".to_owned())
            }
        }
    };
    up.until_ready(patience, Duration::from_millis(1), probe)
        .await?;
    Ok((up, started.elapsed()))
}

/// How long a program takes, in milliseconds: the median of some times.
async fn several(program: impl Fn() -> Configuration) -> Result<f64, BenchError> {
    let mut took = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let started = Instant::now();
        run(program(), PATIENCE).await?;
        took.push(milliseconds(started));
    }
    Ok(median(took))
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}
