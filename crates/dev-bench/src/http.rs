//! The service over HTTP.

use std::time::Duration;

use super::alone::Alone;
use super::client::ask;
use super::database::{Database, OWN_ENTRIES, READER, Scratch, WRITER};
use super::figures::median;
use super::generator::{Generator, Load, Report};
use super::programs::Programs;
use super::server::{Server, Service};
use super::{BenchError, Figure, Target, Unit, machine, memory};
use dev_env::report::events::Events;
use dev_env::service::command::migrate_or_fail;
use dev_env::{Environment, Error};

/// How often two servers are measured in turn, and for how many seconds each time.
const ROUNDS: usize = 4;
const ROUND: f64 = 1.5;
/// How long one server is measured by itself, in seconds.
const ALONE: f64 = 4.0;
/// How often the service is started to see how long that takes.
const STARTS: usize = 10;
/// How long an idle service is left alone before its memory is looked at.
const REST: Duration = Duration::from_secs(1);
/// The database with a million entries.
const MILLION: &str = "million";

const LIST: &str = "/api/v1/entries?limit=50";
const CREATE: &str = "/api/v1/entries";
const LOGIN: &str = "/api/v1/auth/login";

const PASSWORD: &str = "correct horse 9 battery";

/// Measures the service, and nothing else of the checkout: neither its database nor its ports are touched. Takes a minute
/// or two after the build. Dropped before its end, it stops what it has started.
///
/// # Errors
/// What is measured cannot be built or started, or answers with failures.
pub async fn http(environment: &Environment, events: &Events) -> Result<Vec<Figure>, BenchError> {
    let checkout = &environment.checkout;
    let tool = environment.configuration.tool(checkout)?;
    let programs = Programs::build(checkout, events).await?;

    if let Some(disturbance) = machine::disturbance().await {
        events.warn(disturbance);
    }
    events.phase("starting a database of the benchmark's own");
    let scratch = Scratch::new(checkout).await?;
    let database = Database::start(checkout, &tool, &scratch, events).await?;
    database.check_durability().await?;
    let logs = scratch.path().join("logs");
    std::fs::create_dir(&logs).map_err(|source| Error::io("make", &logs, source))?;
    let service = Service::new(programs.service.clone(), logs);
    migrate_or_fail(
        &programs.service,
        &database.owners_url(database.first()),
        &["up"],
    )
    .await?;
    database.copy_to(MILLION).await?;

    let bench = Bench {
        service,
        generator: Generator {
            program: programs.generator.clone(),
        },
        database,
        events,
    };
    let figures = bench.figures().await?;
    bench.database.stop().await?;
    Ok(figures)
}

struct Bench<'a> {
    service: Service,
    generator: Generator,
    database: Database,
    events: &'a Events,
}

impl Bench<'_> {
    async fn figures(&self) -> Result<Vec<Figure>, BenchError> {
        let mut figures = vec![self.start().await?];
        let small = self
            .service
            .start(&self.database.url(self.database.first()))
            .await?;
        tokio::time::sleep(REST).await;
        figures.push(Figure {
            name: "resident memory, idle".to_owned(),
            value: memory::resident(small.pid()).await.unwrap_or(f64::NAN),
            unit: Unit::Megabytes,
            target: Some(Target::AtMost(20.0)),
            compared: "after its start and one answer".to_owned(),
        });
        figures.push(self.health(&small).await?);
        let mut most = 0.0;
        figures.extend(self.entries(&small, &mut most).await?);
        figures.push(Figure {
            name: "resident memory under that load".to_owned(),
            value: most,
            unit: Unit::Megabytes,
            target: Some(Target::AtMost(40.0)),
            compared: "the most that was seen, ten looks a second, during the two GET and POST figures above".to_owned(),
        });
        figures.extend(self.logins(&small).await?);
        figures.push(self.million(&small).await?);
        small.stop().await?;
        Ok(figures)
    }

    async fn start(&self) -> Result<Figure, BenchError> {
        self.events
            .phase(format!("starting the service {STARTS} times"));
        let mut took = Vec::with_capacity(STARTS);
        for _ in 0..STARTS {
            let server = self
                .service
                .start(&self.database.url(self.database.first()))
                .await?;
            took.push(server.first_answer.as_secs_f64() * 1000.0);
            server.stop().await?;
        }
        Ok(Figure {
            name: "exec to the first answer of GET /health".to_owned(),
            value: median(took),
            unit: Unit::Milliseconds,
            target: Some(Target::AtMost(50.0)),
            compared: format!("median of {STARTS} starts, asked every millisecond"),
        })
    }

    async fn health(&self, service: &Server) -> Result<Figure, BenchError> {
        self.events.phase("measuring /health against a bare server");
        let bare = Server::bare(&self.generator.program).await?;
        let (bares, services) = self
            .in_turn(
                Load::get(bare.port, "/", ROUND),
                Load::get(service.port, "/health", ROUND),
            )
            .await?;
        bare.stop().await?;
        let (bare, service) = (per_second(&bares), per_second(&services));
        Ok(Figure {
            name: "GET /health / bare server".to_owned(),
            value: service / bare,
            unit: Unit::Ratio,
            target: Some(Target::AtLeast(0.9)),
            compared: format!(
                "{service:.0}/s against {bare:.0}/s of an axum server with one constant JSON route; medians of {ROUNDS} rounds in turn, 32 connections"
            ),
        })
    }

    /// Reading and writing, while the service's memory is watched.
    async fn entries(&self, service: &Server, most: &mut f64) -> Result<Vec<Figure>, BenchError> {
        self.events
            .phase("measuring the reading and the writing of entries");
        let database = self.database.first();
        let reader = register(service.port, READER).await?;
        let writer = register(service.port, WRITER).await?;
        self.database.add_entries(database).await?;
        self.database.settle(database).await?;

        let alone = Alone::new(&self.database, database).await?;
        if alone.is_none() {
            self.events.warn("pgbench is not among PostgreSQL's programs: nothing is said of what PostgreSQL does alone");
        }
        let list = Load {
            token: Some(reader),
            ..Load::get(service.port, LIST, ROUND)
        };
        let create = Load {
            method: "POST",
            path: CREATE,
            token: Some(writer),
            body: Some(entry()),
            ..list.clone()
        };
        let measured = async {
            let (mut lists, mut creates) = (Vec::with_capacity(ROUNDS), Vec::with_capacity(ROUNDS));
            let (mut lists_alone, mut creates_alone) =
                (Vec::with_capacity(ROUNDS), Vec::with_capacity(ROUNDS));
            for _ in 0..ROUNDS {
                lists.push(self.generator.run(&list).await?);
                if let Some(alone) = &alone {
                    lists_alone.push(alone.list().await?);
                }
                creates.push(self.generator.run(&create).await?);
                if let Some(alone) = &alone {
                    creates_alone.push(alone.create().await?);
                }
            }
            Ok::<_, BenchError>(((lists, lists_alone), (creates, creates_alone)))
        };
        let ((lists, lists_alone), (creates, creates_alone)) = tokio::select! {
            measured = measured => measured?,
            () = memory::watch(service.pid(), most) => return Err(BenchError::Ended),
        };
        let (answered, found) = (
            creates.iter().map(|report| report.answered).sum(),
            self.database.count_written(database).await?,
        );
        if found < answered {
            return Err(BenchError::Lost { answered, found });
        }
        let (read, written) = (format!("GET {LIST}"), format!("POST {CREATE}"));
        let mut figures = throughput(
            &read,
            &lists,
            6500.0,
            &format!("a user with {OWN_ENTRIES} entries"),
        );
        figures.extend(share(
            &read,
            &lists,
            lists_alone,
            0.24,
            "the same page without its total",
        ));
        figures.extend(throughput(
            &written,
            &creates,
            5000.0,
            "each commit on the disk (fsync) before its answer",
        ));
        figures.extend(share(
            &written,
            &creates,
            creates_alone,
            0.36,
            "the same row",
        ));
        Ok(figures)
    }

    async fn logins(&self, service: &Server) -> Result<Vec<Figure>, BenchError> {
        self.events.phase("measuring logins, and /health meanwhile");
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let hashes = self.generator.argon2(cores, ROUND).await?;
        let body = serde_json::json!({ "email": READER, "password": PASSWORD }).to_string();
        let login = Load {
            method: "POST",
            path: LOGIN,
            body: Some(body),
            connections: 16,
            ..Load::get(service.port, LOGIN, ALONE)
        };
        let health = Load {
            connections: 4,
            pause_ms: 10,
            ..Load::get(service.port, "/health", ALONE)
        };
        let (login, health) =
            tokio::try_join!(self.generator.run(&login), self.generator.run(&health))?;
        Ok(vec![
            Figure {
                name: "POST /api/v1/auth/login".to_owned(),
                value: login.per_second,
                unit: Unit::PerSecond,
                target: None,
                compared: format!(
                    "16 connections; Argon2id alone makes {hashes:.0} hashes a second on {cores} cores"
                ),
            },
            Figure {
                name: "GET /health p99 meanwhile".to_owned(),
                value: health.latency.p99_ms,
                unit: Unit::Milliseconds,
                target: Some(Target::AtMost(20.0)),
                compared: "4 connections that ask every 10 ms, during those logins".to_owned(),
            },
        ])
    }

    async fn million(&self, small: &Server) -> Result<Figure, BenchError> {
        self.events.phase("writing a million entries");
        let large = self.service.start(&self.database.url(MILLION)).await?;
        let of_large = register(large.port, READER).await?;
        self.database.add_users(MILLION).await?;
        self.database.add_entries(MILLION).await?;
        self.database.settle(MILLION).await?;

        self.events
            .phase("measuring the reading of entries out of a million");
        let of_small = log_in(small.port, READER).await?;
        let list = |server: &Server, token| Load {
            token: Some(token),
            ..Load::get(server.port, LIST, ROUND)
        };
        let (smalls, larges) = self
            .in_turn(list(small, of_small), list(&large, of_large))
            .await?;
        large.stop().await?;
        let (few, many) = (p99(&smalls), p99(&larges));
        Ok(Figure {
            name: "GET /api/v1/entries p99, a million rows / a thousand".to_owned(),
            value: many / few,
            unit: Unit::Ratio,
            target: Some(Target::AtMost(1.5)),
            compared: format!(
                "{many:.2} ms against {few:.2} ms, {OWN_ENTRIES} rows the user's; medians of {ROUNDS} rounds in turn, 32 connections"
            ),
        })
    }

    /// Both loads in turn: whatever else this machine does meets both alike.
    async fn in_turn(
        &self,
        first: Load,
        second: Load,
    ) -> Result<(Vec<Report>, Vec<Report>), BenchError> {
        let (mut firsts, mut seconds) = (Vec::with_capacity(ROUNDS), Vec::with_capacity(ROUNDS));
        for _ in 0..ROUNDS {
            firsts.push(self.generator.run(&first).await?);
            seconds.push(self.generator.run(&second).await?);
        }
        Ok((firsts, seconds))
    }
}

fn per_second(reports: &[Report]) -> f64 {
    median(reports.iter().map(|report| report.per_second).collect())
}

fn p99(reports: &[Report]) -> f64 {
    median(reports.iter().map(|report| report.latency.p99_ms).collect())
}

/// How many answers a second, and how slow the slowest in a hundred are.
fn throughput(name: &str, reports: &[Report], wanted: f64, of: &str) -> Vec<Figure> {
    let slowest = Figure {
        name: format!("{name} p99"),
        value: p99(reports),
        unit: Unit::Milliseconds,
        target: Some(Target::AtMost(20.0)),
        compared: "the same requests".to_owned(),
    };
    let compared = format!("32 connections, {of}; median of {ROUNDS} rounds");
    let name = name.to_owned();
    vec![
        Figure {
            name,
            value: per_second(reports),
            unit: Unit::PerSecond,
            target: Some(Target::AtLeast(wanted)),
            compared,
        },
        slowest,
    ]
}

/// How much of what PostgreSQL does alone the service gets out of it. Unlike answers a second that says the same on a slower machine:
/// what is `wanted` is the target of those, divided by what PostgreSQL did on the machine that they were set on.
fn share(name: &str, reports: &[Report], alone: Vec<f64>, wanted: f64, of: &str) -> Option<Figure> {
    let alone = (!alone.is_empty()).then(|| median(alone))?;
    Some(Figure {
        name: format!("{name} / PostgreSQL alone"),
        value: per_second(reports) / alone,
        unit: Unit::Ratio,
        target: Some(Target::AtLeast(wanted)),
        compared: format!(
            "{:.0}/s against {alone:.0}/s of pgbench, {of}; medians of {ROUNDS} rounds in turn",
            per_second(reports)
        ),
    })
}

fn entry() -> String {
    serde_json::json!({
        "situation": "The meeting ran late again, and nobody had read what I had sent them the day before.",
        "emotions": ["anger", "frustration"],
        "intensity": 0.7,
        "notes": "I went for a walk and it got better.",
    })
    .to_string()
}

async fn register(port: u16, email: &str) -> Result<String, BenchError> {
    let body = serde_json::json!({ "email": email, "password": PASSWORD, "name": "Bench" });
    token(port, "/api/v1/auth/register", 201, &body).await
}

async fn log_in(port: u16, email: &str) -> Result<String, BenchError> {
    token(
        port,
        LOGIN,
        200,
        &serde_json::json!({ "email": email, "password": PASSWORD }),
    )
    .await
}

async fn token(
    port: u16,
    path: &str,
    wanted: u16,
    body: &serde_json::Value,
) -> Result<String, BenchError> {
    let what = format!("POST {path}");
    let (status, answer) = ask(port, "POST", path, &body.to_string())
        .await
        .map_err(|source| BenchError::Unanswered {
            what: what.clone(),
            source,
        })?;
    let token = serde_json::from_str::<serde_json::Value>(&answer)
        .ok()
        .and_then(|json| Some(json["data"]["access_token"].as_str()?.to_owned()));
    match token {
        Some(token) if status == wanted => Ok(token),
        _ => Err(BenchError::Refused {
            what,
            status,
            body: answer,
        }),
    }
}
