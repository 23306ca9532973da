//! Ctrl-C, `kill`, a closed terminal: each is a wish to stop, and the second one is an urgent wish.

use process::shutdown::Shutdown;
use tokio::signal::unix::{SignalKind, signal};

/// Listens from now on, until the process ends.
pub(crate) fn listen() -> std::io::Result<Shutdown> {
    let stop = Shutdown::default();
    for kind in [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ] {
        let (mut signals, stop) = (signal(kind)?, stop.clone());
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                stop.request();
            }
        });
    }
    Ok(stop)
}
