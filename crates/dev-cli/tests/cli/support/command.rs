//! A command that was typed, and what it printed.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{Finished, PATIENCE, eventually, processes};

/// A command that runs.
pub(crate) struct Running {
    child: Child,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
    shown: String,
    patience: Duration,
}

impl Running {
    pub(crate) fn start(command: Command) -> Self {
        Self::reading(command, Stdio::null())
    }

    /// Starts it with something on its standard input.
    pub(crate) fn reading(mut command: Command, stdin: impl Into<Stdio>) -> Self {
        let shown = format!("{:?}", command.get_args().collect::<Vec<_>>());
        let mut child = command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdout, stderr) = <(Arc<Mutex<String>>, Arc<Mutex<String>>)>::default();
        let readers = vec![
            collect(child.stdout.take().unwrap(), &stdout),
            collect(child.stderr.take().unwrap(), &stderr),
        ];
        Self {
            child,
            stdout,
            stderr,
            readers,
            shown,
            patience: PATIENCE,
        }
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        processes::kill(self.pid(), signal);
    }

    /// It compiles: it may take very long.
    pub(crate) fn patiently(&mut self) {
        self.patience = 10 * PATIENCE;
    }

    /// Waits until it has printed `text`, wherever.
    pub(crate) fn printed(&mut self, text: &str) {
        let (stdout, stderr) = (Arc::clone(&self.stdout), Arc::clone(&self.stderr));
        let child = &mut self.child;
        eventually(&format!("{}: printing {text:?}", self.shown), || {
            let ended = child.try_wait().unwrap().is_some();
            let found = [&stdout, &stderr]
                .iter()
                .any(|printed| printed.lock().unwrap().contains(text));
            assert!(
                found || !ended,
                "it ended without printing {text:?}: {}{}",
                stdout.lock().unwrap(),
                stderr.lock().unwrap()
            );
            found.then_some(())
        });
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) -> Finished {
        let deadline = Instant::now() + self.patience;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                self.signal(Signal::SIGKILL);
                panic!(
                    "{} does not end: {}{}",
                    self.shown,
                    self.stdout.lock().unwrap(),
                    self.stderr.lock().unwrap()
                );
            }
            std::thread::sleep(super::POLL);
        };
        self.readers
            .drain(..)
            .for_each(|reader| reader.join().unwrap());
        // 128 and more: the signal that ended it.
        let code = status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap());
        let text = |printed: &Mutex<String>| printed.lock().unwrap().clone();
        Finished {
            code,
            stdout: text(&self.stdout),
            stderr: text(&self.stderr),
            shown: self.shown.clone(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed half-way.
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.signal(Signal::SIGKILL);
            self.child.wait().unwrap();
        }
    }
}

impl Finished {
    /// Expects a text on standard error.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) {
        assert!(
            self.stderr.contains(text),
            "standard error has no {text:?}: {self}"
        );
    }

    /// Expects a text on standard output.
    #[track_caller]
    pub(crate) fn prints(&self, text: &str) {
        assert!(
            self.stdout.contains(text),
            "standard output has no {text:?}: {self}"
        );
    }
}

fn collect(pipe: impl std::io::Read + Send + 'static, into: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let into = Arc::clone(into);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            let mut text = into.lock().unwrap();
            text.push_str(&String::from_utf8_lossy(&line));
            text.push('\n');
        }
    })
}
