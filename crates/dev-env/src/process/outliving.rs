//! A tool that outlives this one, which asks it things on its standard input, a line for a line.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::{Configuration, ProcessError};

/// A tool in a process group of its own that the kernel does not end with this one: where this one is killed, its standard input ends,
/// and what it then does is its own affair.
pub(crate) struct Outliving {
    name: String,
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Outliving {
    /// Starts it.
    pub(crate) fn start(configuration: &Configuration) -> Result<Self, ProcessError> {
        let name = configuration.name.clone();
        let mut command = configuration.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().map_err(|source| ProcessError::Spawn { name: name.clone(), program: configuration.program.clone(), source })?;
        let stdin = child.stdin.take().expect("it was asked for");
        let lines = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
        Ok(Self { name, child, stdin, lines })
    }

    /// Sends text.
    pub(crate) async fn send(&mut self, text: &str) -> Result<(), ProcessError> {
        self.stdin.write_all(text.as_bytes()).await.map_err(|source| ProcessError::Wait { name: self.name.clone(), source })
    }

    /// Its next line; `None` when it has none any more.
    pub(crate) async fn line(&mut self) -> Result<Option<String>, ProcessError> {
        self.lines.next_line().await.map_err(|source| ProcessError::Wait { name: self.name.clone(), source })
    }

    /// Ends its standard input and waits for its end. Returns that, and what it said on standard error.
    pub(crate) async fn finish(self, bound: Duration) -> Result<(ExitStatus, String), ProcessError> {
        let Self { name, mut child, stdin, lines } = self;
        drop(stdin);
        let mut stderr = child.stderr.take().expect("it was asked for");
        let finished = async {
            let mut said = Vec::new();
            // What is left on its standard output is nobody's.
            let (status, _, _) = tokio::join!(child.wait(), stderr.read_to_end(&mut said), drain(lines));
            status.map(|status| (status, String::from_utf8_lossy(&said).trim().to_owned()))
        };
        match tokio::time::timeout(bound, finished).await {
            Ok(finished) => finished.map_err(|source| ProcessError::Wait { name, source }),
            Err(_) => Err(ProcessError::NotReady { name, waited: bound, last: "it had not finished".to_owned(), tail: Vec::new() }),
        }
    }

    /// Ends it at once, so that it does nothing more.
    pub(crate) async fn kill(mut self) {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            super::signal_group(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
        let _ended = self.child.wait().await;
    }
}

async fn drain(mut lines: Lines<BufReader<ChildStdout>>) {
    while let Ok(Some(_)) = lines.next_line().await {}
}
