use std::process::ExitCode;

use clap::Args;
use dev_env::report::status::{SchemaState, ServiceStatus, State};

use crate::context::Context;

/// Show the state of each service and of the schema
///
/// For each service: state, health, process id or container, port, uptime, version and URL.
/// Also shows the last reload, with the reason if it failed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo dev status
  cargo dev status --json | jq -r '.services[] | select(.name == \"api\").url'")]
pub(crate) struct Status {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let status = context.or_stop(context.engine().await?.status()).await?;
        let printer = &context.printer;
        if self.json {
            printer.json(&status)?;
            return Ok(ExitCode::SUCCESS);
        }
        printer.data(&format!(
            "{:8} {:9} {:10} {:>12} {:>6} {:>8}  {:9} URL",
            "SERVICE",
            "STATE",
            "HEALTH",
            if status.engine == "docker" {
                "CONTAINER"
            } else {
                "PID"
            },
            "PORT",
            "UPTIME",
            "VERSION"
        ))?;
        for service in &status.services {
            printer.data(row(service).trim_end())?;
            if let Some(reason) = &service.reason {
                printer.data(&format!("{:8} {reason}", ""))?;
            }
        }
        let schema = &status.schema;
        let number =
            |version: Option<i64>| version.map_or("none".to_owned(), |version| version.to_string());
        printer.data(&match schema.state {
            SchemaState::Unknown => {
                format!("schema   unknown (the code's is {})", number(schema.code))
            }
            state => format!(
                "schema   {}: {} (the code's is {})",
                state.as_str(),
                number(schema.revision),
                number(schema.code)
            ),
        })?;
        if let (SchemaState::Behind, Some(pending)) = (schema.state, schema.pending) {
            let paused = if schema.paused == Some(true) {
                ", and automatic migration is paused since `migrate down`"
            } else {
                ""
            };
            printer.note(&format!("{pending} pending{paused}: cargo dev migrate up"));
        }
        if let Some(empty) = schema.empty.filter(|empty| *empty > 0) {
            let s = if empty == 1 { " is" } else { "s are" };
            printer.note(&format!("{empty} migration{s} empty, and not applied until the file has SQL: cargo dev migrate status"));
        }
        if let Some(reload) = status.reloads.last() {
            let told = format!("{} {reload}\n{}", reload.at, reload.compiler());
            if reload.failed() {
                printer.warn(told.trim_end())
            } else {
                printer.note(told.trim_end())
            }
        }
        match (&status.doing, status.pid) {
            (Some(doing), Some(pid)) => {
                printer.note(&format!("the environment (pid {pid}) is {doing}"))
            }
            (Some(doing), None) => printer.note(&format!("the environment is {doing}")),
            _ if status
                .services
                .iter()
                .all(|service| service.state == State::Stopped) =>
            {
                printer.note("nothing runs: cargo dev up")
            }
            _ => {}
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row(service: &ServiceStatus) -> String {
    let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let restarts = if service.restarts > 0 {
        format!("  (restarted {} times)", service.restarts)
    } else {
        String::new()
    };
    format!(
        "{:8} {:9} {:10} {:>12} {:>6} {:>8}  {:9} {}{restarts}",
        service.name,
        service.state.as_str(),
        service.health.map_or("-", |health| health.as_str()),
        text(
            service
                .pid
                .map(|pid| pid.to_string())
                .or_else(|| service.container.clone())
        ),
        text(service.port.map(|port| port.to_string())),
        text(service.uptime_seconds.map(uptime)),
        text(service.version.clone()),
        text(service.url.clone()),
    )
}

fn uptime(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}
