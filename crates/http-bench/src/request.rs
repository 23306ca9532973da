use std::net::{SocketAddr, ToSocketAddrs};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::http::{self, Method, Uri, uri::Scheme};

/// A request that can be sent again and again.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) address: SocketAddr,
    pub(crate) message: http::Request<Full<Bytes>>,
}

/// Why a request cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The URL has another form.
    #[error("{0:?} is not a URL of the form http://host:port/path")]
    Url(String),
    /// The method contains a character that HTTP does not allow.
    #[error("{0:?} is not an HTTP method")]
    Method(String),
    /// The host name does not resolve.
    #[error("the host {host} cannot be resolved")]
    Host {
        /// The host and its port.
        host: String,
        /// The resolver's error.
        source: std::io::Error,
    },
    /// A header does not have the form `Name: value`, or contains a line break.
    #[error("{0:?} is not a header of the form Name: value")]
    Header(String),
}

impl Request {
    /// Creates a request to `http://host[:port]/path`, with headers of the form `Name: value` and a JSON body.
    ///
    /// # Errors
    /// The method, the URL or a header is malformed, or the host is unknown.
    pub fn new(
        method: &str,
        url: &str,
        headers: &[String],
        body: Option<&str>,
    ) -> Result<Self, RequestError> {
        let malformed_url = || RequestError::Url(url.to_owned());
        let uri: Uri = url
            .parse()
            .ok()
            .filter(|uri: &Uri| uri.scheme() == Some(&Scheme::HTTP))
            .ok_or_else(malformed_url)?;
        let authority = uri.authority().ok_or_else(malformed_url)?;
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| malformed_url())?;
        let path = uri
            .path_and_query()
            .map_or("/", |path| path.as_str())
            .parse()
            .map_err(|_| malformed_url())?;

        let mut message = http::Request::new(Full::from(body.unwrap_or_default().to_owned()));
        *message.method_mut() = Method::from_bytes(method.as_bytes())
            .map_err(|_| RequestError::Method(method.to_owned()))?;
        *message.uri_mut() = path;
        message.headers_mut().insert(HOST, host);
        if body.is_some() {
            message
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for header in headers {
            let (name, value) =
                parse_header(header).ok_or_else(|| RequestError::Header(header.clone()))?;
            message.headers_mut().append(name, value);
        }
        // `port_u16` is `None` for a port that is out of range, too.
        let port = match authority
            .as_str()
            .strip_prefix(authority.host())
            .ok_or_else(malformed_url)?
        {
            "" => 80,
            port => port
                .strip_prefix(':')
                .and_then(|port| port.parse().ok())
                .ok_or_else(malformed_url)?,
        };
        Ok(Self {
            address: resolve(authority.host(), port)?,
            message,
        })
    }
}

fn parse_header(header: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = header.split_once(':')?;
    Some((name.parse().ok()?, value.trim().parse().ok()?))
}

fn resolve(host: &str, port: u16) -> Result<SocketAddr, RequestError> {
    let named = |source| RequestError::Host {
        host: format!("{host}:{port}"),
        source,
    };
    // The brackets of an IPv6 address belong to the URL.
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    (plain, port)
        .to_socket_addrs()
        .map_err(named)?
        .next()
        .ok_or_else(|| named(std::io::ErrorKind::NotFound.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_has_the_path_the_host_and_the_given_headers() {
        let get = Request::new(
            "GET",
            "http://127.0.0.1:8000/a?b=c",
            &["Authorization: Bearer x".to_owned()],
            None,
        )
        .unwrap();
        assert_eq!(get.address, "127.0.0.1:8000".parse().unwrap());
        assert_eq!(
            (get.message.method(), get.message.uri()),
            (&Method::GET, &Uri::from_static("/a?b=c"))
        );
        let headers = get.message.headers();
        assert!(headers["host"] == "127.0.0.1:8000" && headers["authorization"] == "Bearer x");
        assert!(!headers.contains_key("content-type"));

        let post = Request::new("POST", "http://127.0.0.1", &[], Some("{\"é\":1}")).unwrap();
        assert_eq!(
            (post.address.port(), post.message.uri()),
            (80, &Uri::from_static("/"))
        );
        assert_eq!(post.message.headers()["content-type"], "application/json");
    }

    #[test]
    fn an_ipv6_address_in_a_url_resolves() {
        assert_eq!(
            Request::new("GET", "http://[::1]:8000/", &[], None)
                .unwrap()
                .address,
            "[::1]:8000".parse().unwrap()
        );
    }

    #[test]
    fn malformed_urls_methods_and_headers_are_refused() {
        let urls = [
            "",
            "https://127.0.0.1/",
            "http://",
            "http:///path",
            "http://127.0.0.1:1/a b",
            "http://127.0.0.1/\r\nX: y",
        ];
        for url in urls
            .into_iter()
            .chain(["http://127.0.0.1:99999/", "http://ann@127.0.0.1/"])
        {
            assert!(
                matches!(
                    Request::new("GET", url, &[], None),
                    Err(RequestError::Url(_))
                ),
                "{url:?}"
            );
        }
        assert!(matches!(
            Request::new("G T", "http://127.0.0.1:1/", &[], None),
            Err(RequestError::Method(_))
        ));
        for header in ["", "name", ": value", "A: b\r\nC: d"] {
            let made = Request::new("GET", "http://127.0.0.1:1/", &[header.to_owned()], None);
            assert!(matches!(made, Err(RequestError::Header(_))), "{header:?}");
        }
    }
}
