//! Connections: accepted, answered, and let go of without losing a request.
//!
//! axum's own loop ends every idle connection at the moment it is told to stop, which may be the moment in which a client sends
//! its next request. When another process has taken over, this one has time: see [`DRAIN_WINDOW`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower_http::add_extension::AddExtension;
use tower_http::set_header::SetResponseHeader;

use crate::app::TIME_LIMIT;
use crate::malformed::Shaping;
use crate::signals::{Signals, Word};

/// How long a client may take to send the head of a request, and how long an unused connection is kept: longer than the gateways
/// before it keep theirs, so that it is never this side which closes one that is about to be used.
const HEAD_TIME_LIMIT: Duration = Duration::from_secs(75);
/// The largest head of a request, in bytes.
const MOST_HEAD_BYTES: usize = 64 * 1024;
/// After a handover answers say for this long that their connection ends with them; clients then come back through a new one,
/// to the process that has taken over. What was silent all the while is closed.
const DRAIN_WINDOW: Duration = Duration::from_millis(1500);
/// How long requests that are under way at a stop may still take.
const GRACE: Duration = Duration::from_secs(10);
/// A listener that cannot accept (no file descriptor is left) is asked again after this.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// In development: newer code than the one which answers exists, and could not be started.
const RELOAD: HeaderName = HeaderName::from_static("x-reload");

/// What answers say beside what the application says.
#[derive(Default)]
struct Notices {
    closing: AtomicBool,
    reload_failed: AtomicBool,
}

/// Accepts connections and answers their requests until a signal ends it.
pub(crate) async fn serve(listener: TcpListener, router: Router, signals: &mut Signals) {
    let notices = Arc::new(Notices::default());
    let (close, reload) = (notices.clone(), notices.clone());
    let service = SetResponseHeader::overriding(router, header::CONNECTION, move |_: &Response| said(&close.closing, "close"));
    let service = SetResponseHeader::overriding(service, RELOAD, move |_: &Response| said(&reload.reload_failed, "failed"));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_LIMIT).max_buf_size(MOST_HEAD_BYTES);
    let connections = GracefulShutdown::new();
    let handed_over = loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    // Answers go out at once. It fails on a connection that is gone already.
                    stream.set_nodelay(true).ok();
                    let service = TowerToHyperService::new(AddExtension::new(service.clone(), ConnectInfo::<SocketAddr>(peer)));
                    let connection = http.serve_connection(Shaping::new(TokioIo::new(stream)), service);
                    // How a connection ends is its client's business.
                    tokio::spawn(connections.watch(connection));
                }
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection can be accepted");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            },
            word = signals.next() => match word {
                Word::ReloadFailed => notices.reload_failed.store(true, Ordering::Relaxed),
                Word::HandOver => break true,
                Word::Stop(signal) => {
                    tracing::info!("stopping on {signal}");
                    break false;
                }
            },
        }
    };
    drop(listener);
    if handed_over {
        take_leave(connections, &notices, signals).await;
    } else {
        finish(connections.shutdown()).await;
    }
}

/// Nobody waits for this process: each request has the time that it would have had.
async fn take_leave(connections: GracefulShutdown, notices: &Notices, signals: &mut Signals) {
    tracing::info!("another process takes over");
    notices.closing.store(true, Ordering::Relaxed);
    let mut hurry = std::pin::pin!(signals.stop());
    tokio::select! {
        () = tokio::time::sleep(DRAIN_WINDOW) => {}
        _ = &mut hurry => return finish(connections.shutdown()).await,
    }
    let mut done = std::pin::pin!(connections.shutdown());
    tokio::select! {
        within = tokio::time::timeout(TIME_LIMIT, &mut done) => if within.is_err() { unfinished(TIME_LIMIT) },
        _ = hurry => finish(done).await,
    }
}

/// Waits for the requests that are under way, within bounds.
async fn finish(done: impl Future<Output = ()>) {
    if tokio::time::timeout(GRACE, done).await.is_err() {
        unfinished(GRACE);
    }
}

fn unfinished(bound: Duration) {
    tracing::warn!("requests were still under way after {} s", bound.as_secs());
}

fn said(notice: &AtomicBool, what: &'static str) -> Option<HeaderValue> {
    notice.load(Ordering::Relaxed).then(|| HeaderValue::from_static(what))
}

/// Errors of a connection that ended before it was accepted.
fn is_of_the_client(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionRefused | ConnectionAborted | ConnectionReset)
}
