use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The answer to a request, head and body; a reason where there is none.
pub(crate) fn request(address: (&str, u16), text: &str, timeout: Duration) -> String {
    let ask = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.write_all(text.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    };
    ask().unwrap_or_else(|error: std::io::Error| format!("no answer: {error}"))
}

/// The answer to `POST path` with a JSON body.
pub(crate) fn post_json(address: (&str, u16), path: &str, body: &str, timeout: Duration) -> String {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json"
    );
    let length = body.len();
    request(
        address,
        &format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}"),
        timeout,
    )
}
