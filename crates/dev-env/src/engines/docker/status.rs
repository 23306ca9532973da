//! How the containers are, whoever started them.

use std::time::{Duration, SystemTime};

use super::command::docker;
use super::containers::{Container, Containers};
use super::engine::Docker;
use super::inside::Inside;
use super::supervisor_status;
use crate::Error;
use crate::database::session;
use crate::project::configuration::Tool;
use crate::report::status::{Health, Schema, ServiceStatus, State, Status};
use crate::service::command::{self, Probe};
use crate::service::migrations;

/// `status` is to answer at once, whatever hangs.
const BOUND: Duration = Duration::from_secs(4);

impl Docker {
    pub(crate) async fn status(&self) -> Result<Status, Error> {
        let tool = self.tool()?;
        let (project, containers) = self.look().await?;
        let checkout = &self.environment.checkout;
        let inside = Inside::of(&project, &containers, &tool);
        let schema = async {
            let code = migrations::files(checkout).unwrap_or_default();
            let applied = async {
                // Without the API's container there is no program that knows, and starting one takes seconds.
                containers.running("api")?;
                let url = session::local_url(0, &tool.user, tool.password.clone()?, &tool.database);
                inside.as_ref()?.applied(&url).await.ok()
            };
            let applied = tokio::time::timeout(BOUND, applied).await.ok().flatten();
            Schema::compare(&code, applied.as_ref())
        };
        let (schema, seen, ready, postgres) = tokio::join!(
            schema,
            supervisor_status::seen(containers.running("api").map(|api| api.id.as_str())),
            ready(&containers),
            postgres(&containers)
        );
        let mut services = vec![api(&containers, ready), db(&containers, &tool, postgres)];
        services.extend(containers.get("adminer").map(adminer));
        Ok(Status {
            engine: "docker",
            checkout: checkout.root().display().to_string(),
            pid: None,
            doing: seen.doing,
            services,
            schema,
            watching: seen.watching,
            reloads: seen.reloads,
        })
    }
}

/// The version of PostgreSQL: `postgres (PostgreSQL) 15.14`.
async fn postgres(containers: &Containers) -> Option<String> {
    let output = docker(
        &[
            "exec",
            &containers.running("db")?.id,
            "postgres",
            "--version",
        ],
        BOUND,
    )
    .await
    .ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        .map(str::to_owned)
}

/// Whether the API answers, and the version that does.
async fn ready(containers: &Containers) -> Option<(Result<(), String>, Option<String>)> {
    let probe = Probe::new([127, 0, 0, 1].into(), containers.running("api")?.port?);
    Some(tokio::join!(probe.ready(), probe.version()))
}

fn api(
    containers: &Containers,
    ready: Option<(Result<(), String>, Option<String>)>,
) -> ServiceStatus {
    let container = containers.get("api");
    let mut api = describe("api", container);
    api.url = api
        .port
        .map(|port| command::base_url([127, 0, 0, 1].into(), port));
    match ready {
        Some((Ok(()), version)) => {
            (api.state, api.health, api.version) = (State::Running, Some(Health::Healthy), version)
        }
        Some((Err(reason), version)) => {
            // Until it was seen healthy it is starting: it compiles.
            api.health = (api.state != State::Starting).then_some(Health::Unhealthy);
            (api.reason, api.version) = (Some(reason), version);
        }
        None => api.health = None,
    }
    api
}

fn db(containers: &Containers, tool: &Tool, version: Option<String>) -> ServiceStatus {
    let mut db = describe("db", containers.get("db"));
    let password = tool.password.clone().unwrap_or_default();
    db.url = db
        .port
        .map(|port| session::local_url(port, &tool.user, password, &tool.database).masked());
    db.version = version;
    db
}

fn adminer(container: &Container) -> ServiceStatus {
    let mut adminer = describe("adminer", Some(container));
    adminer.url = adminer
        .port
        .map(|port| command::base_url([127, 0, 0, 1].into(), port));
    adminer
}

fn describe(name: &'static str, container: Option<&Container>) -> ServiceStatus {
    let running = container.filter(|container| container.runs());
    let health = running.and_then(|container| container.health.as_deref());
    ServiceStatus {
        name,
        state: match (container, health) {
            (Some(_), Some("starting")) => State::Starting,
            (Some(container), _) if container.runs() => State::Running,
            (Some(container), _) if container.state == "restarting" => State::Failed,
            _ => State::Stopped,
        },
        health: match health {
            Some("healthy") => Some(Health::Healthy),
            Some("unhealthy") => Some(Health::Unhealthy),
            _ => None,
        },
        reason: None,
        pid: None,
        container: container.map(Container::short_id),
        port: running.and_then(|container| container.port),
        url: None,
        uptime_seconds: uptime(running),
        version: None,
        restarts: container.map_or(0, |container| container.restarts),
    }
}

fn uptime(running: Option<&Container>) -> Option<u64> {
    SystemTime::now()
        .duration_since(running?.started?)
        .ok()
        .map(|up| up.as_secs())
}
