//! How the containers are, whoever started them.

use std::time::{Duration, SystemTime};

use serde::Deserialize;

use super::containers::{Container, Containers};
use super::docker;
use super::engine::Docker;
use super::inside::{Inside, tool_inside};
use crate::Error;
use crate::database::session;
use crate::project::configuration::Tool;
use crate::report::reload::{Reload, Watching};
use crate::report::status::{Health, Schema, ServiceStatus, State, Status};
use crate::service::command::{self, Probe};
use crate::service::migrations;
use crate::supervisor;
use process::capture;

/// `status` is to answer at once, whatever hangs.
const BOUND: Duration = Duration::from_secs(4);

/// What the supervisor in the API's container tells of itself.
#[derive(Default, Deserialize)]
pub(super) struct Seen {
    doing: Option<String>,
    watching: Option<Watching>,
    #[serde(default)]
    reloads: Vec<Reload>,
}

impl Seen {
    /// Whether it waits for another edit, since it could not let the one of a migration go live, or build anything at all.
    pub(super) fn has_given_up(&self, version: i64) -> bool {
        let is_of_it = |path: &String| {
            path.rsplit('/')
                .next()
                .is_some_and(|name| name.starts_with(&format!("{version}_")))
        };
        let waits_to_be_mended = self.doing.as_deref() == Some(supervisor::WAITING_FOR_SOURCES);
        waits_to_be_mended
            || self.doing.is_none()
                && self
                    .reloads
                    .last()
                    .is_some_and(|last| last.failed() && last.changed.iter().any(is_of_it))
    }
}

pub(super) async fn status(engine: &Docker) -> Result<Status, Error> {
    let tool = engine.tool()?;
    let (project, containers) = engine.look().await?;
    let checkout = &engine.environment.checkout;
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
        seen(containers.running("api").map(|api| api.id.as_str())),
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

pub(super) async fn seen(api: Option<&str>) -> Seen {
    let Some(api) = api else {
        return Seen::default();
    };
    // While it compiles itself it says nothing.
    let said = tokio::time::timeout(
        BOUND,
        capture(tool_inside(api, "status --json"), b"", BOUND),
    )
    .await;
    said.ok()
        .and_then(Result::ok)
        .and_then(|output| serde_json::from_slice(&output.stdout).ok())
        .unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_that_failed_does_not_come_back_by_itself() {
        let seen = |doing: &str, outcome: &str| {
            let changed =
                r#"["backend/app/src/lib.rs","backend/db/migrations/20251124000000_a.up.sql"]"#;
            let reload = format!(r#"{{"at":"","changed":{changed},"outcome":{outcome}}}"#);
            serde_json::from_str::<Seen>(&format!(
                r#"{{"doing":{doing},"watching":null,"reloads":[{reload}]}}"#
            ))
            .unwrap()
        };
        let failed = r#""failed","reason":"it does not compile""#;
        assert!(seen("null", failed).has_given_up(20_251_124_000_000));
        assert!(
            !seen("null", failed).has_given_up(20_251_124_000_001),
            "that one was not there yet"
        );
        assert!(!seen("\"building\"", failed).has_given_up(20_251_124_000_000));
        assert!(!Seen::default().has_given_up(20_251_124_000_000));
        let mended = Seen {
            doing: Some(supervisor::WAITING_FOR_SOURCES.to_owned()),
            ..Seen::default()
        };
        assert!(
            mended.has_given_up(20_251_124_000_000),
            "its very first build"
        );
    }
}
