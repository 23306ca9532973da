//! Clients that ask the API all the time, and count what goes wrong.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between a client's requests: shorter than the moment in which a connection's last answer says so.
const PAUSE: Duration = Duration::from_millis(10);
/// A client that waits longer has lost its request.
const PATIENCE: Duration = Duration::from_secs(10);

/// Two clients with a connection for each request, two that keep theirs.
pub(crate) struct Load {
    end: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Counted>>,
}

/// What clients saw.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(crate) answered: u32,
    pub(crate) failed: Vec<String>,
    pub(crate) longest: Duration,
}

impl Load {
    pub(crate) fn start(port: u16) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let client = |keeps: bool| {
            let end = Arc::clone(&end);
            std::thread::spawn(move || ask_on_and_on(port, keeps, &end))
        };
        let clients = [false, true, false, true].map(client).into();
        Self { end, clients }
    }

    pub(crate) fn finish(self) -> Counted {
        self.end.store(true, Ordering::Relaxed);
        let mut all = Counted::default();
        for client in self.clients {
            let counted = client.join().unwrap();
            all.answered += counted.answered;
            all.failed.extend(counted.failed);
            all.longest = all.longest.max(counted.longest);
        }
        all
    }
}

fn ask_on_and_on(port: u16, keeps: bool, end: &AtomicBool) -> Counted {
    let mut counted = Counted::default();
    let mut kept: Option<BufReader<TcpStream>> = None;
    while !end.load(Ordering::Relaxed) {
        let started = Instant::now();
        match ask(port, keeps, &mut kept) {
            Ok(()) => counted.answered += 1,
            Err(error) => {
                kept = None;
                counted.failed.push(format!(
                    "{} connection: {error}",
                    if keeps { "kept" } else { "new" }
                ));
            }
        }
        counted.longest = counted.longest.max(started.elapsed());
        std::thread::sleep(PAUSE);
    }
    counted
}

fn ask(port: u16, keeps: bool, kept: &mut Option<BufReader<TcpStream>>) -> std::io::Result<()> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => {
            let stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            BufReader::new(stream)
        }
    };
    let close = if keeps { "" } else { "Connection: close\r\n" };
    write!(
        connection.get_mut(),
        "GET /health HTTP/1.1\r\nHost: localhost\r\n{close}\r\n"
    )?;
    let (mut length, mut ends, mut line) = (0, !keeps, String::new());
    loop {
        line.clear();
        if connection.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let text = line.trim_end().to_ascii_lowercase();
        if let Some(status) = text.strip_prefix("http/1.1 ") {
            if !status.starts_with("200") {
                return Err(std::io::Error::other(text));
            }
        } else if let Some(value) = text.strip_prefix("content-length: ") {
            length = value.parse().map_err(std::io::Error::other)?;
        } else if text == "connection: close" {
            ends = true;
        } else if text.is_empty() {
            break;
        }
    }
    connection.read_exact(&mut vec![0; length])?;
    *kept = (!ends).then_some(connection);
    Ok(())
}
