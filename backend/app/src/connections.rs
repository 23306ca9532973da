//! Connections: accepted, answered, and drained without losing a request.
//!
//! axum's own loop closes every idle connection as soon as it is stopped, perhaps while a client sends its next request.
//! After a handover this process has time to announce the end of each connection: see [`DRAIN_WINDOW`].

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::{HeaderName, HeaderValue, Request, StatusCode, header};
use axum::response::Response;
use emotionviz_core::metrics::Requests;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tower::Service;

use crate::app::TIME_LIMIT;
use crate::signals::{Signal, Signals};
use crate::websockets::WebSockets;

/// The time limit for the head of a request, and for an idle connection. It is longer than that of usual gateways, so that the service
/// never closes a connection that a gateway is about to use.
const HEAD_TIME_LIMIT: Duration = Duration::from_secs(75);
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// After a handover, answers have `Connection: close` for this long, so that clients connect to the new process. Then idle connections
/// are closed.
const DRAIN_WINDOW: Duration = Duration::from_millis(1500);
/// How long running requests may take after a stop.
const GRACE: Duration = Duration::from_secs(10);
/// The pause after a failed accept, for example without a free file descriptor.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Tells clients in development that newer code could not be started.
const RELOAD: HeaderName = HeaderName::from_static("x-reload");

/// Headers that the state of this process adds to answers.
#[derive(Default)]
struct Notices {
    closing: AtomicBool,
    reload_failed: AtomicBool,
}

impl Notices {
    fn write_to(&self, response: &mut Response) {
        // The header of a WebSocket is `upgrade`. A WebSocket is closed by a frame.
        if self.closing.load(Ordering::Relaxed)
            && response.status() != StatusCode::SWITCHING_PROTOCOLS
        {
            response
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if self.reload_failed.load(Ordering::Relaxed) {
            response
                .headers_mut()
                .insert(RELOAD, HeaderValue::from_static("failed"));
        }
    }
}

/// Accepts connections and answers their requests until a signal ends it.
pub(crate) async fn serve(
    listeners: Vec<TcpListener>,
    router: Router,
    websockets: &WebSockets,
    requests: Arc<Requests>,
    signals: &mut Signals,
) {
    let connections = Connections::new(router, requests);
    let notices = &connections.notices;
    let handed_over = loop {
        tokio::select! {
            accepted = accept(&listeners) => match accepted {
                Ok((stream, peer)) => connections.spawn(stream, peer),
                Err(error) if is_closed_by_client(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "no connection can be accepted");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            },
            signal = signals.next() => match signal {
                Signal::ReloadFailed => notices.reload_failed.store(true, Ordering::Relaxed),
                Signal::HandOver => break true,
                Signal::Stop(signal) => {
                    tracing::info!("stopping on {signal}");
                    break false;
                }
            },
        }
    };
    drop(listeners);
    websockets.close();
    let done = async {
        connections.shutdown().await;
        // WebSockets come last, because a connection may have become one just now.
        websockets.closed().await;
    };
    if handed_over {
        drain(done, notices, signals).await;
    } else {
        finish(done).await;
    }
}

struct Connections {
    http: http1::Builder,
    router: Router,
    notices: Arc<Notices>,
    requests: Arc<Requests>,
    /// Every connection subscribes until it ends. True begins its shutdown.
    shutdown: watch::Sender<bool>,
}

impl Connections {
    fn new(router: Router, requests: Arc<Requests>) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME_LIMIT)
            .max_buf_size(MAX_HEAD_BYTES);
        Self {
            http,
            router,
            notices: Arc::default(),
            requests,
            shutdown: watch::Sender::new(false),
        }
    }

    fn spawn(&self, stream: TcpStream, peer: SocketAddr) {
        // Answers are sent at once. This fails if the client has disconnected.
        stream.set_nodelay(true).ok();
        let (router, notices) = (self.router.clone(), self.notices.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            let (answer, notices) = (router.clone().call(request), notices.clone());
            async move {
                let mut response = answer.await?;
                notices.write_to(&mut response);
                Ok::<_, Infallible>(response)
            }
        });
        let connection = self
            .http
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let (mut shutdown, requests) = (self.shutdown.subscribe(), self.requests.clone());
        tokio::spawn(async move {
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                _ = shutdown.changed() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if ended.is_err_and(|error| error.is_parse()) {
                requests.count_malformed();
            }
        });
    }

    async fn shutdown(&self) {
        self.shutdown.send_replace(true);
        self.shutdown.closed().await;
    }
}

/// Returns the next connection to any of the listeners. Cancel safe.
async fn accept(listeners: &[TcpListener]) -> std::io::Result<(TcpStream, SocketAddr)> {
    poll_fn(|context| {
        let accepted = listeners
            .iter()
            .map(|listener| listener.poll_accept(context))
            .find(Poll::is_ready);
        accepted.unwrap_or(Poll::Pending)
    })
    .await
}

/// Drains the connections. No process waits for this one, so requests keep their usual time limit.
async fn drain(done: impl Future<Output = ()>, notices: &Notices, signals: &mut Signals) {
    tracing::info!("another process takes over");
    notices.closing.store(true, Ordering::Relaxed);
    let mut stop = std::pin::pin!(signals.stop());
    tokio::select! {
        () = tokio::time::sleep(DRAIN_WINDOW) => {}
        _ = &mut stop => return finish(done).await,
    }
    let mut done = std::pin::pin!(done);
    tokio::select! {
        within = tokio::time::timeout(TIME_LIMIT, &mut done) => if within.is_err() { warn_unfinished(TIME_LIMIT) },
        _ = stop => finish(done).await,
    }
}

/// Waits for running requests, at most for [`GRACE`].
async fn finish(done: impl Future<Output = ()>) {
    if tokio::time::timeout(GRACE, done).await.is_err() {
        warn_unfinished(GRACE);
    }
}

fn warn_unfinished(bound: Duration) {
    tracing::warn!("requests were still running after {} s", bound.as_secs());
}

/// Errors of a connection that ended before it was accepted.
fn is_closed_by_client(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionRefused | ConnectionAborted | ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use axum::extract::WebSocketUpgrade;
    use axum::routing::any;
    use futures_util::StreamExt;
    use nix::sys::signal::{Signal, raise};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::time::Instant;
    use tokio_tungstenite::connect_async;
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

    use super::*;

    fn requests() -> Arc<Requests> {
        Arc::new(Requests::new(&prometheus::Registry::new()))
    }

    /// Returns a WebSocket that sends "welcome".
    fn greeting(websockets: WebSockets) -> Router {
        let upgrade = |upgrade: WebSocketUpgrade| async move {
            websockets.upgrade(upgrade, |mut socket| async move {
                socket.send("welcome".into()).await.unwrap();
                while socket.receive().await.is_some() {}
            })
        };
        Router::new().route("/", any(upgrade))
    }

    #[tokio::test]
    async fn websockets_are_closed_with_a_request_to_reconnect() {
        for signal in [Signal::SIGQUIT, Signal::SIGTERM] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("ws://{}/", listener.local_addr().unwrap());
            let websockets = WebSockets::default();
            let mut signals = Signals::catch(false).unwrap();
            let client = async {
                let (mut socket, _) = connect_async(url).await.unwrap();
                assert_eq!(
                    socket.next().await.unwrap().unwrap(),
                    Message::text("welcome")
                );
                raise(signal).unwrap();
                let Some(Ok(Message::Close(Some(frame)))) = socket.next().await else {
                    panic!("the socket is not closed by a frame")
                };
                assert_eq!(frame.code, CloseCode::Restart);
                assert!(socket.next().await.is_none());
            };
            let server = serve(
                vec![listener],
                greeting(websockets.clone()),
                &websockets,
                requests(),
                &mut signals,
            );
            tokio::join!(server, client);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_never_ends_is_given_up_after_the_grace_period() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut signals = Signals::catch(false).unwrap();
        let (begun, mut has_begun) = tokio::sync::mpsc::channel(1);
        let never = move || async move {
            begun.send(()).await.unwrap();
            std::future::pending::<()>().await
        };
        let client = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
            stream.write_all(request).await.unwrap();
            has_begun.recv().await.unwrap();
            raise(Signal::SIGTERM).unwrap();
            stream
        };
        let begun = Instant::now();
        let router = Router::new().route("/", any(never));
        let websockets = WebSockets::default();
        let server = serve(
            vec![listener],
            router,
            &websockets,
            requests(),
            &mut signals,
        );
        let (_stream, ()) = tokio::join!(client, server);
        assert!(
            (GRACE..2 * GRACE).contains(&begun.elapsed()),
            "{:?}",
            begun.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_unfinished_head_ends_the_connection_after_the_time_limit() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let websockets = WebSockets::default();
        let mut signals = Signals::catch(false).unwrap();
        let client = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let begun = Instant::now();
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n")
                .await
                .unwrap();
            stream.read_to_end(&mut Vec::new()).await.unwrap();
            begun.elapsed()
        };
        let waited = tokio::select! {
            waited = client => waited,
            () = serve(vec![listener], greeting(websockets.clone()), &websockets, requests(), &mut signals) => unreachable!("nothing ends it"),
        };
        assert!(
            (HEAD_TIME_LIMIT..2 * HEAD_TIME_LIMIT).contains(&waited),
            "{waited:?}"
        );
    }
}
