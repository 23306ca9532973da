//! What this process is told by signals.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// End: requests that are under way may finish.
    Stop(&'static str),
    /// Another process accepts connections on the same socket from now on: take leave of the clients, then end.
    HandOver,
    /// Newer code could not take over from this one.
    ReloadFailed,
}

/// The signals, caught from the moment this exists.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    reload_failed: Option<Signal>,
}

impl Signals {
    /// SIGTERM and SIGINT stop, SIGQUIT hands over. In development SIGUSR1 says that a reload failed.
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

    /// The next one. Cancel safe.
    pub(crate) async fn next(&mut self) -> Word {
        let failed = async {
            match &mut self.reload_failed {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => Word::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Word::Stop("SIGINT"),
            _ = self.quit.recv() => Word::HandOver,
            _ = failed => Word::ReloadFailed,
        }
    }

    /// Waits until it is to stop.
    pub(crate) async fn stop(&mut self) -> &'static str {
        loop {
            if let Word::Stop(signal) = self.next().await {
                return signal;
            }
        }
    }
}
