//! Commands that are typed, and whether there is a Docker to type them for.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::Finished;

/// What the Compose file and the Dockerfile begin with.
const BASE_IMAGES: [&str; 3] = ["rust:1.95-slim-bookworm", "postgres:15-alpine", "adminer:5"];

impl Finished {
    /// Expects a text on either stream.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(
            self.stdout.contains(text) || self.stderr.contains(text),
            "it does not say {text:?}: {self}"
        );
        self
    }

    /// Standard output without the newline at its end.
    pub(crate) fn text(&self) -> &str {
        self.stdout.trim_end()
    }
}

/// Runs a command to its end.
pub(crate) fn finish(mut command: Command, input: &[u8]) -> Finished {
    let shown = format!("{:?}", command.get_args().collect::<Vec<_>>());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // A command that reads nothing closes its end.
    let feeder = std::thread::spawn(move || stdin.write_all(&input).ok());
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Finished {
        shown,
        code: output.status.code().unwrap_or(-1),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// `docker` with these words; it has to succeed.
#[track_caller]
pub(crate) fn docker(args: &[&str]) -> Finished {
    let mut command = Command::new("docker");
    command.args(args);
    finish(command, b"").expect_code(0)
}

/// Returns whether there is a Docker with the base images, and reports the test as skipped if not.
#[must_use]
pub(crate) fn is_there() -> bool {
    static REASON: OnceLock<Option<String>> = OnceLock::new();
    let probe = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let found = runtime.block_on(async {
            dev_env::engines::docker::available().await?;
            for image in BASE_IMAGES {
                dev_env::engines::docker::have_image(image).await?;
            }
            Ok::<_, dev_env::engines::docker::Unavailable>(())
        });
        found.err().map(|reason| reason.to_string())
    };
    let reason = REASON.get_or_init(probe).as_deref();
    test_needs::met(
        reason.is_none(),
        "Docker with Compose",
        reason.unwrap_or_default(),
    )
}
