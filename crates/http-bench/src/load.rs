use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::report::Tally;
use crate::response::{Answer, Reader};
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
        let mut streams = Vec::with_capacity(self.connections);
        for _ in 0..self.connections {
            let address = request.address;
            streams.push(connect(address).await.map_err(|source| LoadError::Connect { address, source })?);
        }

        let from = Instant::now() + self.warm_up;
        let (end, over) = watch::channel(());
        let mut connections: JoinSet<Tally> = streams
            .into_iter()
            .map(|stream| {
                let (request, mut over) = (Arc::clone(&request), over.clone());
                async move {
                    let mut connection = Connection { stream: Some(stream), buffer: vec![0; 16 * 1024], tally: Tally::new() };
                    tokio::select! {
                        () = connection.keep_asking(&request, self.pause, from) => {}
                        _ = over.changed() => {}
                    }
                    connection.tally
                }
            })
            .collect();

        let counted = tokio::select! {
            () = sleep_until(from + self.counted) => self.counted,
            () = enough => from.elapsed(),
        };
        drop(end);
        let mut all = Tally::new();
        while let Some(ended) = connections.join_next().await {
            all.add(ended.expect("a connection's task neither panics nor is cancelled"));
        }
        Ok(all.report(counted))
    }
}

struct Connection {
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
    tally: Tally,
}

enum Failure {
    Closed,
    Malformed,
}

impl Connection {
    async fn keep_asking(&mut self, request: &Request, pause: Duration, from: Instant) {
        let mut asked = Instant::now();
        loop {
            let Some(stream) = &mut self.stream else {
                match connect(request.address).await {
                    Ok(stream) => self.stream = Some(stream),
                    Err(_) => {
                        self.tally.failed("refused");
                        sleep(KNOCK_AGAIN).await;
                    }
                }
                asked = Instant::now();
                continue;
            };
            let answer = ask(stream, &request.bytes, &mut self.buffer).await;
            let answered = Instant::now();
            if !matches!(answer, Ok(Answer { keep_alive: true, .. })) {
                self.stream = None;
            }
            if asked >= from {
                match answer {
                    Ok(Answer { status: 200..300, .. }) => self.tally.answered(answered - asked),
                    Ok(Answer { status, .. }) => self.tally.failed(status.to_string()),
                    Err(Failure::Closed) => self.tally.failed("closed"),
                    Err(Failure::Malformed) => self.tally.failed("malformed"),
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

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn ask(stream: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> Result<Answer, Failure> {
    stream.write_all(request).await.map_err(|_| Failure::Closed)?;
    let mut reader = Reader::default();
    let mut filled = 0;
    loop {
        if filled == buffer.len() {
            buffer.resize(filled * 2, 0);
        }
        let read = match stream.read(&mut buffer[filled..]).await {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return Err(Failure::Closed),
        };
        filled += read;
        match reader.read(&buffer[..filled], read == 0) {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) if read == 0 => return Err(Failure::Closed),
            Ok(None) => {}
            Err(_) => return Err(Failure::Malformed),
        }
    }
}
