//! The service's program: running it, asking whether it is ready, and its `migrate`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use emotionviz_settings::declared::{APP_ENV, MIGRATION_DATABASE_URL};
use emotionviz_settings::{AppEnv, DatabaseUrl};
use nix::unistd::Uid;
use secrecy::ExposeSecret;

use crate::project::configuration::Place;
use crate::project::error::indented;
use crate::report::events::{Event, Events, Source};
use crate::service::program::Program;
use crate::{Checkout, Environment, Error};
use process::user::User;
use process::{Configuration, Output, PidFile, ProcessError, capture, describe};

/// An index on a large table takes its time.
const MIGRATE_BOUND: Duration = Duration::from_secs(3600);
/// Requests that run finish within this, see the service's own bound.
const STOP_BOUND: Duration = Duration::from_secs(15);
const PROBE_BOUND: Duration = Duration::from_secs(2);

/// Describes the API process on `listeners`, with an environment of its settings only.
pub fn api(
    program: &Program,
    environment: &Environment,
    place: &Place,
    listeners: Vec<Arc<TcpListener>>,
    events: &Events,
) -> Configuration {
    let checkout = &environment.checkout;
    let mut api = plain("the API", program.path()).args(["serve"]);
    if let Some(replaced) = program.replaced() {
        let given = std::env::var_os("LD_LIBRARY_PATH").filter(|given| !given.is_empty());
        let folders = std::iter::once(replaced.to_owned())
            .chain(given.iter().flat_map(std::env::split_paths));
        api = api.env(
            "LD_LIBRARY_PATH",
            std::env::join_paths(folders).unwrap_or_default(),
        );
    }
    for (name, value) in environment
        .configuration
        .for_service(place, &environment.configuration.log_dir(checkout))
    {
        api = api.env(name, value.expose_secret());
    }
    // Made here, it is not root's. Where that fails the service says why.
    let _unwritable =
        process::log_file::open(&environment.configuration.log_dir(checkout).join("app.log"));
    if environment.is_in_container() && Uid::effective().is_root() {
        // A root user's checkout is not the API's business.
        api.run_as = Some(User {
            uid: 1000,
            gid: 1000,
            name: "api".to_owned(),
        });
    } else {
        api.current_dir = Some(checkout.root().to_owned());
    }
    api.pid_file = Some(free_pid_file(checkout));
    api.stop_bound = STOP_BOUND;
    api.listeners = listeners;
    let events = events.clone();
    api.sink = Some(Arc::new(move |_, line| {
        events.tell(Event::Output {
            from: Source::Api,
            line: line.to_owned(),
        })
    }));
    api
}

/// A file for a process of the API to hold locked. There are several while one follows on another.
fn free_pid_file(checkout: &Checkout) -> PathBuf {
    let name = |n: u32| {
        checkout.run().join(if n == 1 {
            "api.pid".to_owned()
        } else {
            format!("api-{n}.pid")
        })
    };
    (1..)
        .map(name)
        .find(|path| !PidFile::is_held(path))
        .expect("numbers do not end")
}

/// The files that processes of the API hold or held.
pub fn pid_files(checkout: &Checkout) -> Vec<PathBuf> {
    let is_one = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("api") && name.ends_with(".pid")
    };
    let files = std::fs::read_dir(checkout.run())
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    files.filter(is_one).collect()
}

/// Runs the service's `migrate` as the database's owner and returns what it printed, success or not.
///
/// # Errors
/// It does not run.
pub async fn migrate(program: &Path, url: &DatabaseUrl, args: &[&str]) -> Result<Output, Error> {
    let migrate = plain("the migration", program)
        .args(["migrate"])
        .args(args.iter().copied())
        .env(APP_ENV.info.name, AppEnv::Development.as_str())
        .env(
            MIGRATION_DATABASE_URL.info.name,
            url.to_secret().expose_secret(),
        );
    Ok(capture(migrate, b"", MIGRATE_BOUND).await?)
}

/// The same, where anything but success is an error.
///
/// # Errors
/// It does not run, or fails.
pub async fn migrate_or_fail(
    program: &Path,
    url: &DatabaseUrl,
    args: &[&str],
) -> Result<String, Error> {
    success(migrate(program, url, args).await?)
}

/// Returns the error of an API that is not ready.
pub(crate) fn api_failed(source: ProcessError) -> Error {
    Error::Message {
        what: source.to_string(),
        hint: Some("all of its log: cargo dev logs api".to_owned()),
        source: Some(Box::new(source)),
    }
}

/// What the service's `migrate` printed, where anything but success is an error.
///
/// # Errors
/// It has failed.
pub fn success(output: Output) -> Result<String, Error> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let said = format!("{}{}", text, output.stderr);
    Err(Error::hinted(
        format!(
            "the migration failed ({}):\n{}",
            describe(output.status),
            indented(said.trim())
        ),
        "the schema as it is now: cargo dev migrate status",
    ))
}

/// A program of ours without the user's variables, but for those that a process needs to run and to reach the network.
pub fn plain(name: &str, program: &Path) -> Configuration {
    const KEPT: [&str; 18] = [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "TMPDIR",
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        "RUST_BACKTRACE",
        "RUST_LIB_BACKTRACE",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "LLVM_PROFILE_FILE",
    ];
    let mut configuration = Configuration::new(name, program);
    let others = std::env::vars_os()
        .map(|(name, _)| name)
        .filter(|name| !KEPT.iter().any(|kept| name == kept));
    configuration.env = others.map(|name| (name, None)).collect();
    configuration
}

/// Asks the API how it is.
#[derive(Clone)]
pub struct Probe {
    agent: ureq::Agent,
    base: String,
}

impl Probe {
    /// A probe of the API that listens at `host` and `port`.
    pub fn new(host: IpAddr, port: u16) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PROBE_BOUND))
            // It is this machine that is asked, whatever HTTP_PROXY says.
            .proxy(None)
            .max_idle_connections(0)
            .http_status_as_error(false)
            .build();
        Self {
            agent: config.into(),
            base: base_url(host, port),
        }
    }

    /// Whether it answers at all.
    ///
    /// # Errors
    /// Why not.
    pub async fn live(&self) -> Result<(), String> {
        self.get("/health").await.map(drop)
    }

    /// Whether it is ready.
    ///
    /// # Errors
    /// What is missing.
    pub async fn ready(&self) -> Result<(), String> {
        self.get("/health/ready").await.map(drop)
    }

    /// Its version.
    pub async fn version(&self) -> Option<String> {
        let answer = self.get("/health").await.ok()?;
        answer["version"].as_str().map(str::to_owned)
    }

    async fn get(&self, path: &'static str) -> Result<serde_json::Value, String> {
        let (agent, url) = (self.agent.clone(), format!("{}{path}", self.base));
        let asked = tokio::task::spawn_blocking(move || {
            let mut response = agent.get(&url).call().map_err(|error| error.to_string())?;
            let body = response.body_mut().read_to_string().unwrap_or_default();
            let json: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
            if response.status().is_success() {
                Ok(json)
            } else {
                Err(unready(path, response.status().as_u16(), &json))
            }
        });
        asked.await.map_err(|error| error.to_string())?
    }
}

/// `GET /health/ready` says what is missing in its checks.
fn unready(path: &str, status: u16, body: &serde_json::Value) -> String {
    let checks = body["checks"].as_object().into_iter().flatten();
    let ill: Vec<_> = checks
        .filter(|(_, state)| *state == "unhealthy")
        .map(|(name, _)| name.as_str())
        .collect();
    if ill.is_empty() {
        format!("{path} answers {status}")
    } else {
        format!("{path} says that it is not ready: {}", ill.join(", "))
    }
}

/// Where the API answers on this machine.
pub fn base_url(host: IpAddr, port: u16) -> String {
    let host = match host {
        IpAddr::V4(host) if host.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(host) if host.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        host => host,
    };
    format!("http://{}", std::net::SocketAddr::new(host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_the_api_can_be_opened_for_any_listen_address() {
        assert_eq!(
            base_url("0.0.0.0".parse().unwrap(), 8000),
            "http://127.0.0.1:8000"
        );
        assert_eq!(base_url("::1".parse().unwrap(), 8000), "http://[::1]:8000");
    }

    #[test]
    fn the_part_that_is_not_ready_is_named() {
        let body = serde_json::json!({"status": "not_ready", "checks": {"database": "unhealthy", "gemini_api": "not_configured"}});
        assert_eq!(
            unready("/health/ready", 503, &body),
            "/health/ready says that it is not ready: database"
        );
        assert_eq!(
            unready("/health", 404, &serde_json::Value::Null),
            "/health answers 404"
        );
    }
}
