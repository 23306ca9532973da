//! Takes over the listening socket of the parent process, and notifies it when the service is ready.
//!
//! Both are systemd's protocols: `LISTEN_FDS` (sd_listen_fds(3)) and `NOTIFY_SOCKET` (sd_notify(3)). The development supervisor
//! implements them as systemd does.

use std::net::SocketAddr;
use std::time::Duration;

use emotionviz_db::Pool;
use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::net::TcpListener;

use crate::health;

const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The number of the first descriptor that is handed over (SD_LISTEN_FDS_START).
const FIRST: usize = 3;

/// Returns the inherited TCP sockets, or a new one. Sockets of other kinds are ignored.
pub(crate) async fn listeners(
    mut handed: ListenFd,
    address: SocketAddr,
) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    let mut other = None;
    for n in 0..handed.len() {
        match handed.take_tcp_listener(n) {
            Ok(Some(listener)) => {
                listener.set_nonblocking(true)?;
                listeners.push(TcpListener::from_std(listener)?);
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "descriptor {} of LISTEN_FDS is not a listening TCP socket and is not used", FIRST + n);
                other = Some(error);
            }
        }
    }
    match other {
        Some(error) if listeners.is_empty() => {
            return Err(anyhow::Error::new(error).context("LISTEN_FDS has no listening TCP socket"));
        }
        _ => {}
    }
    if listeners.is_empty() {
        listeners.push(bind(address).await?);
    }
    Ok(listeners)
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "port {} of {} is taken by another process: stop that one, or set API_PORT to another port",
            address.port(),
            address.ip()
        ),
        _ => anyhow::Error::new(error).context(format!("cannot listen on {address} (API_HOST, API_PORT)")),
    })
}

/// Waits until the service is ready, and reports what is missing.
pub(crate) async fn until_ready(pool: &Pool) {
    while let Some(problem) = health::problem(pool).await {
        notify(NotifyState::Status(&problem));
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Reports that connections are accepted.
pub(crate) fn accepting() {
    notify(NotifyState::Ready);
}

/// A parent process that does not receive it does not stop the service.
fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "NOTIFY_SOCKET cannot be written");
    }
}
