use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::ops::Deref;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::{Client, PATIENCE, until};

/// The real binary. It is killed when this value is dropped.
pub(crate) struct Server {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    client: Client,
}

impl Server {
    /// Starts it on a free port and waits until it says which.
    pub(crate) fn start(database_url: &str, settings: &[(&str, &str)]) -> Self {
        let mut child = command(database_url, settings).spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = collect(child.stdout.take().unwrap(), &log);
        collect(child.stderr.take().unwrap(), &log);
        // From here on it is killed whatever happens.
        let mut server = Self {
            child,
            log,
            client: Client::of_address(String::new()),
        };
        let deadline = Instant::now() + PATIENCE;
        while server.address.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = lines
                .recv_timeout(left)
                .expect("it listens, and says where");
            if let Some((_, rest)) = line.split_once("listening on ") {
                rest.split(['"', ' '])
                    .next()
                    .unwrap()
                    .clone_into(&mut server.client.address);
            }
        }
        server
    }

    /// What it said so far, on standard output and standard error.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The lines of the log that have a request's id, once there are so many.
    pub(crate) async fn lines_of(&self, request_id: &str, count: usize) -> Vec<Value> {
        let find = || -> Vec<Value> {
            self.log()
                .iter()
                .filter(|line| line.contains(request_id))
                .map(|line| serde_json::from_str(line).unwrap())
                .collect()
        };
        until("the request is in the log", async || find().len() >= count).await;
        find()
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "it does not end: {:#?}",
                self.log()
            );
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

impl Deref for Server {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("the server said: {:#?}", self.log());
        }
    }
}

/// The binary with [`settings_of`].
pub(crate) fn command(database_url: &str, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_emotionviz"));
    command
        .env_clear()
        .envs(settings_of(database_url, settings))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The least that the service needs: no rate limits, JSON logs, and what a test sets.
pub(crate) fn settings_of<'a>(
    database_url: &'a str,
    settings: &[(&'a str, &'a str)],
) -> BTreeMap<&'a str, &'a str> {
    let least = [
        ("DATABASE_URL", database_url),
        ("JWT_SECRET_KEY", "a key that is only for tests, 32+ bytes"),
        ("API_PORT", "0"),
        ("RATE_LIMITS", "off"),
    ];
    least.into_iter().chain(settings.iter().copied()).collect()
}

fn collect(from: impl Read + Send + 'static, log: &Arc<Mutex<Vec<String>>>) -> Receiver<String> {
    let (sender, lines) = channel();
    let log = log.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            log.lock().unwrap().push(line.clone());
            sender.send(line).ok();
        }
    });
    lines
}
