//! The containers of a project, as Docker describes them: whoever started them.

use std::collections::HashMap;
use std::time::SystemTime;

use emotionviz_settings::declared::DEV_UP_OPTIONS;
use serde::Deserialize;

use super::command::{ASK_BOUND, compose_failed, docker};
use super::project::Project;
use crate::Error;
use crate::report::up::UpOptions;

/// A container of a service.
#[derive(Clone, Debug)]
pub(super) struct Container {
    pub(super) service: String,
    pub(super) id: String,
    /// Docker's word: created, running, restarting, exited, …
    pub(super) state: String,
    /// Docker's word: starting, healthy, unhealthy.
    pub(super) health: Option<String>,
    pub(super) started: Option<SystemTime>,
    pub(super) created: Option<SystemTime>,
    pub(super) restarts: u32,
    pub(super) exit_code: i64,
    /// The port of this machine that leads to it, and whether the local network reaches it there.
    pub(super) port: Option<u16>,
    pub(super) is_public: bool,
    /// Its `DEV_UP_OPTIONS`.
    up_options: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    created: String,
    state: State,
    restart_count: u32,
    config: Config,
    network_settings: Networks,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: String,
    started_at: String,
    exit_code: i64,
    health: Option<Health>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Health {
    status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    labels: HashMap<String, String>,
    env: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Networks {
    ports: Option<HashMap<String, Option<Vec<Published>>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Published {
    host_ip: String,
    host_port: String,
}

impl Container {
    pub(super) fn runs(&self) -> bool {
        self.state == "running"
    }

    /// Ended by itself, or about to be started again since it did.
    pub(super) fn has_failed(&self) -> bool {
        self.state == "restarting"
            || self.state == "dead"
            || self.state == "exited" && self.exit_code != 0
    }

    /// As much of its id as people read.
    pub(super) fn short_id(&self) -> String {
        self.id.chars().take(12).collect()
    }

    fn of(inspected: Inspected) -> Option<Self> {
        let service = inspected
            .config
            .labels
            .get("com.docker.compose.service")?
            .clone();
        let time = |text: &str| humantime::parse_rfc3339_weak(text.trim_end_matches('Z')).ok();
        let ports = inspected.network_settings.ports.unwrap_or_default();
        let published = ports.into_values().flatten().flatten().next();
        let variable = |line: &String| {
            line.strip_prefix(DEV_UP_OPTIONS.info.name)?
                .strip_prefix('=')
                .map(str::to_owned)
        };
        Some(Self {
            service,
            id: inspected.id,
            health: inspected.state.health.map(|health| health.status),
            started: time(&inspected.state.started_at)
                .filter(|_| inspected.state.status == "running"),
            created: time(&inspected.created),
            state: inspected.state.status,
            restarts: inspected.restart_count,
            exit_code: inspected.state.exit_code,
            port: published
                .as_ref()
                .and_then(|published| published.host_port.parse().ok()),
            is_public: published.is_some_and(|published| {
                published.host_ip == "0.0.0.0" || published.host_ip == "::"
            }),
            up_options: inspected
                .config
                .env
                .iter()
                .flatten()
                .find_map(variable)
                .unwrap_or_default(),
        })
    }
}

/// All containers of a project.
#[derive(Clone, Debug, Default)]
pub(super) struct Containers(Vec<Container>);

impl Containers {
    /// Asks Docker.
    ///
    /// # Errors
    /// It does not answer.
    pub(super) async fn of(project: &Project) -> Result<Self, Error> {
        let label = format!("label=com.docker.compose.project={}", project.name);
        let mut list = vec!["ps", "--all", "--quiet", "--no-trunc", "--filter", &label];
        list.extend(["--filter", "label=com.docker.compose.oneoff=False"]);
        let listed = docker(&list, ASK_BOUND).await?;
        if !listed.status.success() {
            return Err(super::command::refused(&listed.stderr, "docker ps failed"));
        }
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        if listed.trim().is_empty() {
            return Ok(Self::default());
        }
        let mut inspect = vec!["container", "inspect"];
        inspect.extend(listed.lines());
        // One that has gone meanwhile is not described, and the others are.
        let described = docker(&inspect, ASK_BOUND).await?;
        let described: Vec<Inspected> = serde_json::from_slice(&described.stdout)
            .map_err(|error| compose_failed(&error.to_string()))?;
        Ok(Self(
            described.into_iter().filter_map(Container::of).collect(),
        ))
    }

    pub(super) fn get(&self, service: &str) -> Option<&Container> {
        self.0.iter().find(|container| container.service == service)
    }

    /// The container of a service, if it runs.
    pub(super) fn running(&self, service: &str) -> Option<&Container> {
        self.get(service).filter(|container| container.runs())
    }

    /// As what runs was started.
    pub(super) fn options(&self) -> UpOptions {
        let has = |flag: &str| {
            self.get("api")
                .is_some_and(|api| api.up_options.split(' ').any(|word| word == flag))
        };
        UpOptions {
            migrate: !has("--no-migrate"),
            reload: !has("--no-reload"),
            lan: self.running("api").is_some_and(|api| api.is_public),
            tools: self.running("adminer").is_some(),
            ..UpOptions::plain()
        }
    }

    pub(super) fn any_runs(&self) -> bool {
        self.0
            .iter()
            .any(|container| container.runs() || container.state == "restarting")
    }

    /// Whether both services run.
    pub(super) fn run(&self) -> bool {
        self.running("api").is_some() && self.running("db").is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_read_from_docker_inspect() {
        let text = r#"[{"Id":"0123456789abcdef","Created":"2026-11-25T10:00:00.123456789Z","RestartCount":2,"State":{"Status":"running",
            "StartedAt":"2026-11-25T10:00:01Z","ExitCode":0,"Health":{"Status":"healthy"}},"Config":{"Labels":{"com.docker.compose.service":"db"},
            "Env":null},"NetworkSettings":{"Ports":{"5432/tcp":[{"HostIp":"127.0.0.1","HostPort":"5433"}],"9/tcp":null}}}]"#;
        let described: Vec<Inspected> = serde_json::from_str(text).unwrap();
        let container = described.into_iter().find_map(Container::of).unwrap();
        assert_eq!(
            (
                container.service.as_str(),
                container.short_id().as_str(),
                container.port
            ),
            ("db", "0123456789ab", Some(5433))
        );
        assert_eq!((container.restarts, container.is_public), (2, false));
        assert!(
            container.started.unwrap() > container.created.unwrap()
                && container.runs()
                && !container.has_failed()
        );
    }

    #[test]
    fn the_options_of_running_containers_are_read() {
        let api = r#"{"Id":"0","Created":"","RestartCount":0,"State":{"Status":"running","StartedAt":"","ExitCode":0},
            "Config":{"Labels":{"com.docker.compose.service":"api"},"Env":["PATH=/bin","DEV_UP_OPTIONS=--no-reload"]},
            "NetworkSettings":{"Ports":{"8000/tcp":[{"HostIp":"0.0.0.0","HostPort":"8001"}]}}}"#;
        let options = Containers(vec![
            Container::of(serde_json::from_str(api).unwrap()).unwrap(),
        ])
        .options();
        assert_eq!(
            (options.migrate, options.reload, options.lan, options.tools),
            (true, false, true, false)
        );
    }
}
