//! What is no HTTP becomes no request: hyper answers it by itself, with a status and nothing else. Here that gets the shape which all
//! failures have.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::http::StatusCode;
use emotionviz_core::{ApiError, request};
use hyper::rt::{Read, ReadBufCursor, Write};

/// A connection on which hyper's own answers are given a body.
pub(crate) struct Shaping<T> {
    io: T,
    /// What has to be written yet of an answer that stands for hyper's.
    instead: Vec<u8>,
}

impl<T> Shaping<T> {
    pub(crate) fn new(io: T) -> Self {
        Self {
            io,
            instead: Vec::new(),
        }
    }
}

/// The answer that stands for one of hyper's own; those of ours have an id.
fn instead_of(written: &[u8]) -> Option<Vec<u8>> {
    if !written.starts_with(b"HTTP/1.1 4") || !written.ends_with(b"\r\n\r\n") {
        return None;
    }
    let head = std::str::from_utf8(written).ok()?;
    let (before, after) = head
        .split_once("content-length: 0\r\n")
        .filter(|_| !head.contains(request::REQUEST_ID.as_str()))?;
    let (id, body) = ApiError::without_request(StatusCode::from_bytes(&written[9..12]).ok()?);
    let headers = format!(
        "content-type: application/json\r\n{}: {id}\r\ncontent-length: {}\r\n",
        request::REQUEST_ID,
        body.len()
    );
    Some([before, &headers, after, &body].concat().into_bytes())
}

impl<T: Write + Unpin> Write for Shaping<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { io, instead } = self.get_mut();
        if instead.is_empty() {
            match instead_of(bytes) {
                Some(answer) => *instead = answer,
                None => return Pin::new(io).poll_write(cx, bytes),
            }
        }
        while !instead.is_empty() {
            match ready!(Pin::new(&mut *io).poll_write(cx, instead))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => drop(instead.drain(..written)),
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match slices {
            // Hyper's own have no body.
            [head] => self.poll_write(cx, head),
            _ => Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, slices),
        }
    }
}

impl<T: Read + Unpin> Read for Shaping<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, buffer)
    }
}
