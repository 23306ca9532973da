use std::net::{SocketAddr, ToSocketAddrs};

/// A request, ready to be written again and again.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where it goes.
    pub(crate) address: SocketAddr,
    /// What is written.
    pub(crate) bytes: Vec<u8>,
}

/// Why there is no such request.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The address has another form.
    #[error("{0} is no address of the form http://host:port/path")]
    Url(String),
    /// The name of the host leads nowhere.
    #[error("the host {host} cannot be found")]
    Host {
        /// The host and its port.
        host: String,
        /// What the resolver said.
        source: std::io::Error,
    },
    /// A header is not of the form `Name: value`, or has a line break in it.
    #[error("{0:?} is no header of the form Name: value")]
    Header(String),
}

impl Request {
    /// A request to `http://host[:port]/path`, with headers of the form `Name: value`. A body is JSON.
    ///
    /// # Errors
    /// When the address or a header is malformed, or the host unknown.
    pub fn new(method: &str, url: &str, headers: &[String], body: Option<&str>) -> Result<Self, RequestError> {
        let rest = url.strip_prefix("http://").ok_or_else(|| RequestError::Url(url.to_owned()))?;
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let broken = |text: &str| text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control());
        if broken(host) || broken(method) || (!path.is_empty() && broken(path)) {
            return Err(RequestError::Url(url.to_owned()));
        }

        let mut text = format!("{method} {} HTTP/1.1\r\nHost: {host}\r\n", if path.is_empty() { "/" } else { path });
        for header in headers {
            let named = header.split_once(':').is_some_and(|(name, _)| !broken(name));
            if !named || header.contains(['\r', '\n']) {
                return Err(RequestError::Header(header.clone()));
            }
            text += header;
            text += "\r\n";
        }
        match body {
            Some(body) => text += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
            None => text += "\r\n",
        }
        Ok(Self { address: resolve(host)?, bytes: text.into_bytes() })
    }
}

fn resolve(host: &str) -> Result<SocketAddr, RequestError> {
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let host = if has_port { host.to_owned() } else { format!("{host}:80") };
    match host.to_socket_addrs().map(|mut found| found.next()) {
        Ok(Some(address)) => Ok(address),
        Ok(None) => Err(RequestError::Host { host, source: std::io::ErrorKind::NotFound.into() }),
        Err(source) => Err(RequestError::Host { host, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(request: Request) -> String {
        String::from_utf8(request.bytes).unwrap()
    }

    #[test]
    fn what_is_written() {
        let get = Request::new("GET", "http://127.0.0.1:8000/a?b=c", &["Authorization: Bearer x".to_owned()], None).unwrap();
        assert_eq!(get.address, "127.0.0.1:8000".parse().unwrap());
        assert_eq!(text(get), "GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nAuthorization: Bearer x\r\n\r\n");

        let post = Request::new("POST", "http://127.0.0.1", &[], Some("{\"é\":1}")).unwrap();
        assert_eq!(post.address.port(), 80);
        let written = "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{\"é\":1}";
        assert_eq!(text(post), written);
    }

    #[test]
    fn what_is_refused() {
        for url in ["", "https://127.0.0.1/", "http://", "http:///path", "http://127.0.0.1:1/a b", "http://127.0.0.1/\r\nX: y"] {
            assert!(matches!(Request::new("GET", url, &[], None), Err(RequestError::Url(_))), "{url:?}");
        }
        for header in ["", "name", ": value", "A: b\r\nC: d"] {
            let made = Request::new("GET", "http://127.0.0.1:1/", &[header.to_owned()], None);
            assert!(matches!(made, Err(RequestError::Header(_))), "{header:?}");
        }
        assert!(matches!(Request::new("GET", "http://127.0.0.1:99999/", &[], None), Err(RequestError::Host { .. })));
    }
}
