use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use hyper::{Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::report::Tally;
use crate::{Report, Request};

/// How long a connection waits before it knocks again at a server that refused it.
const KNOCK_AGAIN: Duration = Duration::from_millis(10);

/// The same request over and over, on some kept-alive connections, for a while.
#[derive(Clone, Debug)]
pub struct Load {
    /// What is asked.
    pub request: Request,
    /// How many connections ask at once, each when its last answer is there.
    pub connections: usize,
    /// How long each waits between an answer and its next request.
    pub pause: Duration,
    /// How long they ask before it counts.
    pub warm_up: Duration,
    /// How long it counts.
    pub counted: Duration,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Nobody listens there.
    #[error("no connection to {address}")]
    Connect {
        /// The server's address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

impl Load {
    /// Puts the load on the server. Ends when the time is over, or `enough` is, whatever the server does; requests under way by then
    /// do not count. Meant for a runtime of one thread.
    ///
    /// # Errors
    /// When the server cannot be reached at all. Whatever happens later is in the report.
    pub async fn run(self, enough: impl Future<Output = ()>) -> Result<Report, LoadError> {
        let request = Arc::new(self.request);
        let mut connections = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            let address = request.address;
            connections.push(
                Connection::open(address)
                    .await
                    .map_err(|source| LoadError::Connect { address, source })?,
            );
        }

        let from = Instant::now() + self.warm_up;
        let (end, over) = watch::channel(());
        let mut clients: JoinSet<Tally> = connections
            .into_iter()
            .map(|connection| {
                let (request, mut over) = (Arc::clone(&request), over.clone());
                async move {
                    let mut client = Client {
                        connection: Some(connection),
                        tally: Tally::new(),
                    };
                    tokio::select! {
                        () = client.keep_asking(&request, self.pause, from) => {}
                        _ = over.changed() => {}
                    }
                    client.tally
                }
            })
            .collect();

        let counted = tokio::select! {
            () = sleep_until(from + self.counted) => self.counted,
            () = enough => from.elapsed(),
        };
        drop(end);
        let mut all = Tally::new();
        while let Some(ended) = clients.join_next().await {
            all.add(ended.expect("a client's task neither panics nor is cancelled"));
        }
        Ok(all.report(counted))
    }
}

/// A caller that sends its next request when it has the last answer.
struct Client {
    connection: Option<Connection>,
    tally: Tally,
}

impl Client {
    async fn keep_asking(&mut self, request: &Request, pause: Duration, from: Instant) {
        let mut asked = Instant::now();
        loop {
            let Some(connection) = &mut self.connection else {
                match Connection::open(request.address).await {
                    Ok(connection) => self.connection = Some(connection),
                    Err(_) => {
                        self.tally.failed("refused");
                        sleep(KNOCK_AGAIN).await;
                    }
                }
                asked = Instant::now();
                continue;
            };
            let answer = connection.ask(request).await;
            let answered = Instant::now();
            if !matches!(
                answer,
                Ok(Answer {
                    keep_alive: true,
                    ..
                })
            ) {
                self.connection = None;
            }
            if asked >= from {
                match answer {
                    Ok(Answer { status, .. }) if status.is_success() => {
                        self.tally.answered(answered - asked)
                    }
                    Ok(Answer { status, .. }) => self.tally.failed(status.as_str()),
                    Err(error) if error.is_parse() => self.tally.failed("malformed"),
                    Err(_) => self.tally.failed("closed"),
                }
            }
            asked = if pause.is_zero() {
                answered
            } else {
                sleep(pause).await;
                Instant::now()
            };
        }
    }
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    // Reads and writes the socket; ends when the connection is dropped.
    _driver: JoinSet<()>,
}

/// An answer that was read to its end.
struct Answer {
    status: StatusCode,
    /// Whether the connection can carry another request.
    keep_alive: bool,
}

impl Connection {
    async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // The sender returns the same error.
            let _reported_by_the_sender = connection.await;
        });
        Ok(Self {
            sender,
            _driver: driver,
        })
    }

    async fn ask(&mut self, request: &Request) -> hyper::Result<Answer> {
        self.sender.ready().await?;
        let response = self.sender.send_request(request.message.clone()).await?;
        let answer = Answer {
            status: response.status(),
            keep_alive: keeps_alive(&response),
        };
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            frame?;
        }
        Ok(answer)
    }
}

/// Whether the connection stays open after this answer (RFC 9112, sections 6.3 and 9.3).
fn keeps_alive(response: &Response<Incoming>) -> bool {
    let headers = response.headers();
    let ends_by_itself = headers.contains_key(CONTENT_LENGTH)
        || headers.contains_key(TRANSFER_ENCODING)
        || matches!(
            response.status(),
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
    ends_by_itself && response.version() == Version::HTTP_11 && !announces_close(headers)
}

fn announces_close(headers: &HeaderMap) -> bool {
    headers
        .get(CONNECTION)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
}
