//! The signals that this process handles.

use tokio::signal::unix::{self, SignalKind, signal};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Stop after the running requests.
    Stop(&'static str),
    /// Another process accepts connections on the same socket: drain the connections, then stop.
    HandOver,
    /// Newer code could not be started.
    ReloadFailed,
}

/// Catches the signals as long as this value exists.
pub(crate) struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    quit: unix::Signal,
    reload_failed: Option<unix::Signal>,
}

impl Signals {
    /// SIGTERM and SIGINT stop, SIGQUIT hands over. In development SIGUSR1 reports a failed reload.
    pub(crate) fn catch(in_development: bool) -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            reload_failed: in_development
                .then(|| signal(SignalKind::user_defined1()))
                .transpose()?,
        })
    }

    /// Waits for the next signal. Cancel safe.
    pub(crate) async fn next(&mut self) -> Signal {
        let failed = async {
            match &mut self.reload_failed {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Signal::Stop("SIGINT"),
            _ = self.quit.recv() => Signal::HandOver,
            _ = failed => Signal::ReloadFailed,
        }
    }

    /// Waits for a signal to stop.
    pub(crate) async fn stop(&mut self) -> &'static str {
        loop {
            if let Signal::Stop(signal) = self.next().await {
                return signal;
            }
        }
    }
}
