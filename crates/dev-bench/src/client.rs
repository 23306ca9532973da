//! One request on a connection of its own: for what is asked once.

use std::io::{Error, ErrorKind, Result};
use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The status and the body of the answer.
pub(super) async fn ask(port: u16, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
    let answer = whole(port, method, path, "", body).await?;
    split(&answer).ok_or_else(|| Error::new(ErrorKind::InvalidData, "the answer is no HTTP"))
}

/// The whole answer, head and body, to a request with more headers, each of which ends its line.
pub(super) async fn whole(
    port: u16,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    String::from_utf8(answer).map_err(|error| Error::new(ErrorKind::InvalidData, error))
}

fn split(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head
        .strip_prefix("HTTP/1.1 ")?
        .split_whitespace()
        .next()?
        .parse()
        .ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn the_bench_client_returns_status_and_body() {
        assert_eq!(
            split("HTTP/1.1 201 Created\r\nx: y\r\n\r\n{}\r\n\r\n"),
            Some((201, "{}\r\n\r\n".to_owned()))
        );
        assert_eq!(split("HTTP/1.1 204\r\n\r\n"), Some((204, String::new())));
        for answer in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "SSH-2.0\r\n\r\n",
            "HTTP/1.1 OK\r\n\r\n",
        ] {
            assert_eq!(split(answer), None, "{answer:?}");
        }
    }
}
