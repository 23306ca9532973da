//! Where an answer ends: all that a load generator wants to know of it beside the status.

use httparse::{EMPTY_HEADER, Status, parse_chunk_size};

/// More than any answer here has.
const MOST_HEADERS: usize = 64;

/// An answer that is there in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Whether the connection is good for another request.
    pub(crate) keep_alive: bool,
}

/// The bytes are no answer to the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Follows one answer while its bytes arrive.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    head: Option<Head>,
}

#[derive(Clone, Copy, Debug)]
struct Head {
    answer: Answer,
    body: Body,
}

#[derive(Clone, Copy, Debug)]
enum Body {
    /// The whole answer is this many bytes long.
    EndsAt(usize),
    /// The size of the next chunk stands at this byte.
    ChunkAt(usize),
    /// It ends with the connection.
    UntilClosed,
}

impl Reader {
    /// Takes all the bytes that have arrived since the request, and whether the server has closed the connection.
    /// Gives nothing as long as some are missing.
    pub(crate) fn read(&mut self, bytes: &[u8], closed: bool) -> Result<Option<Answer>, Malformed> {
        let head = match &mut self.head {
            Some(head) => head,
            None => match read_head(bytes)? {
                Some(head) => self.head.insert(head),
                None => return Ok(None),
            },
        };
        let end = match &mut head.body {
            Body::EndsAt(end) => Some(*end),
            Body::ChunkAt(chunk) => skip_chunks(bytes, chunk)?,
            Body::UntilClosed => closed.then_some(bytes.len()),
        };
        match end {
            // Nothing else was asked for on this connection.
            Some(end) if bytes.len() > end => Err(Malformed),
            Some(end) if bytes.len() == end => Ok(Some(head.answer)),
            _ => Ok(None),
        }
    }
}

fn read_head(bytes: &[u8]) -> Result<Option<Head>, Malformed> {
    let mut headers = [EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let Status::Complete(length) = response.parse(bytes).map_err(|_| Malformed)? else { return Ok(None) };
    let (Some(status), Some(version)) = (response.code, response.version) else { return Err(Malformed) };

    let mut keep_alive = version == 1;
    let mut body = Body::UntilClosed;
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let content: usize = std::str::from_utf8(header.value).ok().and_then(|text| text.parse().ok()).ok_or(Malformed)?;
            body = Body::EndsAt(length.checked_add(content).ok_or(Malformed)?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            body = Body::ChunkAt(length);
        } else if header.name.eq_ignore_ascii_case("connection") {
            keep_alive = !header.value.eq_ignore_ascii_case(b"close");
        }
    }
    if matches!(status, 204 | 304) {
        body = Body::EndsAt(length);
    }
    keep_alive &= !matches!(body, Body::UntilClosed);
    Ok(Some(Head { answer: Answer { status, keep_alive }, body }))
}

/// Where the last chunk and its trailers end. Moves `chunk` on over those that are there.
fn skip_chunks(bytes: &[u8], chunk: &mut usize) -> Result<Option<usize>, Malformed> {
    while let Some(rest) = bytes.get(*chunk..) {
        let Status::Complete((line, size)) = parse_chunk_size(rest).map_err(|_| Malformed)? else { return Ok(None) };
        if size == 0 {
            // The line break before the trailers is the one that ends the size, so an empty list of them counts too.
            let end = rest[line - 2..].windows(4).position(|four| four == b"\r\n\r\n");
            return Ok(end.map(|at| *chunk + line - 2 + at + 4));
        }
        let size = usize::try_from(size).map_err(|_| Malformed)?;
        *chunk = size.checked_add(*chunk + line + 2).ok_or(Malformed)?;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: Answer = Answer { status: 200, keep_alive: true };

    /// Feeds an answer byte by byte; every proper prefix must be incomplete.
    fn drip(text: &str) -> Result<Option<Answer>, Malformed> {
        let mut reader = Reader::default();
        for end in 0..text.len() {
            assert_eq!(reader.read(&text.as_bytes()[..end], false), Ok(None), "{end} bytes of {text:?}");
        }
        reader.read(text.as_bytes(), false)
    }

    #[test]
    fn ends_where_its_length_says() {
        assert_eq!(drip("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), Ok(Some(OK)));
        assert_eq!(drip("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), Ok(Some(OK)));
        assert_eq!(drip("HTTP/1.1 204 No Content\r\nx: y\r\n\r\n"), Ok(Some(Answer { status: 204, ..OK })));
    }

    #[test]
    fn ends_with_the_last_chunk() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for body in ["0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "1;x=y\r\na\r\nA\r\n0123456789\r\n0\r\nTrailer: 1\r\nOther: 2\r\n\r\n"] {
            assert_eq!(drip(&format!("{head}{body}")), Ok(Some(OK)), "{body:?}");
        }
        assert_eq!(Reader::default().read(format!("{head}no size\r\n").as_bytes(), false), Err(Malformed));
    }

    #[test]
    fn ends_with_the_connection() {
        let text = b"HTTP/1.1 200 OK\r\n\r\nhello";
        let mut reader = Reader::default();
        assert_eq!(reader.read(text, false), Ok(None));
        assert_eq!(reader.read(text, true), Ok(Some(Answer { keep_alive: false, ..OK })));
    }

    #[test]
    fn says_whether_the_connection_stays() {
        for (text, keep_alive) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", true),
        ] {
            assert_eq!(drip(text), Ok(Some(Answer { keep_alive, ..OK })), "{text:?}");
        }
    }

    #[test]
    fn refuses_what_is_no_answer() {
        for text in
            ["SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab"]
        {
            assert_eq!(Reader::default().read(text.as_bytes(), false), Err(Malformed), "{text:?}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", usize::MAX);
        assert_eq!(Reader::default().read(endless.as_bytes(), false), Err(Malformed));
    }
}
