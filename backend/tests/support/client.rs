use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{self, HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tower::ServiceExt;
use uuid::Uuid;

/// Returns a client without a proxy and without TLS.
pub(crate) fn http_client() -> reqwest::Client {
    // reqwest needs a TLS provider, although no request uses TLS. An error means that another test has installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().no_proxy();
    // The certificates of the system are not read.
    builder.tls_certs_only([]).build().unwrap()
}

/// Sends requests: to a router in this process, or to the address of another process.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    pub(crate) address: String,
    router: Option<Router>,
}

impl Client {
    pub(crate) fn of_router(router: Router) -> Self {
        Self {
            router: Some(router),
            ..Self::of_address("http://service".to_owned())
        }
    }

    pub(crate) fn of_address(address: String) -> Self {
        Self {
            http: http_client(),
            address,
            router: None,
        }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> Request {
        let url = format!("{}{path}", self.address);
        Request {
            builder: self.http.request(method.parse().unwrap(), url),
            router: self.router.clone(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.request("GET", path).send().await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.request("POST", path).json(body).send().await
    }

    /// Registers a new user with a unique address.
    pub(crate) async fn user(&self) -> User<'_> {
        User::register(self, &format!("{}@example.com", Uuid::new_v4().simple())).await
    }
}

pub(crate) struct Request {
    builder: reqwest::RequestBuilder,
    router: Option<Router>,
}

impl Request {
    fn map(self, change: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder) -> Self {
        Self {
            builder: change(self.builder),
            ..self
        }
    }

    pub(crate) fn header<V>(self, name: &str, value: V) -> Self
    where
        HeaderValue: TryFrom<V>,
        <HeaderValue as TryFrom<V>>::Error: Into<http::Error>,
    {
        self.map(|builder| builder.header(name, value))
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.map(|builder| builder.json(body))
    }

    pub(crate) fn body(self, body: impl Into<reqwest::Body>) -> Self {
        self.map(|builder| builder.body(body))
    }

    /// Sends the request. Fails if another process does not answer.
    pub(crate) async fn try_send(self) -> reqwest::Result<Reply> {
        let Some(router) = self.router else {
            let response = self.builder.send().await?;
            return Ok(Reply {
                status: response.status().as_u16(),
                headers: response.headers().clone(),
                text: response.text().await?,
            });
        };
        let request: http::Request<reqwest::Body> = self.builder.build()?.try_into()?;
        let mut request = request.map(Body::new);
        let peer = SocketAddr::from(([127, 0, 0, 1], 54321));
        request.extensions_mut().insert(ConnectInfo(peer));
        let (head, body) = router.oneshot(request).await.unwrap().into_parts();
        let text = to_bytes(body, usize::MAX).await.unwrap();
        Ok(Reply {
            status: head.status.as_u16(),
            headers: head.headers,
            text: String::from_utf8_lossy(&text).into_owned(),
        })
    }

    pub(crate) async fn send(self) -> Reply {
        self.try_send().await.unwrap()
    }
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Checks the status and the envelope of a success, and returns its `data`.
    pub(crate) fn data(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        let mut body = self.json();
        assert_eq!(body["success"], true, "{self:?}");
        self.check_meta(&body);
        body["data"].take()
    }

    /// Checks the status, the code and the envelope of a failure, and returns its `error`.
    pub(crate) fn error(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        let mut body = self.json();
        assert_eq!(body["success"], false, "{self:?}");
        assert_eq!(body["error"]["code"], code, "{self:?}");
        assert!(
            body["error"]["message"]
                .as_str()
                .is_some_and(|m| !m.is_empty())
                && body["error"]["details"].is_object(),
            "{self:?}"
        );
        self.check_meta(&body);
        body["error"].take()
    }

    /// Returns the rule that a field breaks.
    pub(crate) fn rule(&self, field: &str) -> String {
        let error = self.error(400, "VALIDATION_ERROR");
        error["details"]["fields"][field]
            .as_str()
            .unwrap_or_else(|| panic!("no rule for {field}: {self:?}"))
            .to_owned()
    }

    /// Checks that the answer is 204 without a body.
    pub(crate) fn empty(&self) {
        assert_eq!((self.status, self.text.as_str()), (204, ""), "{self:?}");
    }

    fn check_meta(&self, body: &Value) {
        assert_eq!(
            body["meta"]["request_id"],
            self.header("x-request-id"),
            "{self:?}"
        );
        assert_eq!(body["meta"]["api_version"], "v1");
        let timestamp = body["meta"]["timestamp"].as_str().unwrap();
        assert!(
            timestamp.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(timestamp).is_ok(),
            "{timestamp}"
        );
    }
}

/// A user with a token, on one server.
pub(crate) struct User<'a> {
    pub(crate) server: &'a Client,
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) token: String,
}

impl<'a> User<'a> {
    pub(crate) const PASSWORD: &'static str = "correct horse 1";

    pub(crate) async fn register(server: &'a Client, email: &str) -> Self {
        let body = json!({"email": email, "password": Self::PASSWORD, "name": "Ann"});
        Self::from_session(
            server,
            &server.post("/api/v1/auth/register", &body).await.data(201),
        )
    }

    pub(crate) fn from_session(server: &'a Client, session: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            server,
            id: text(&session["user"]["id"]),
            email: text(&session["user"]["email"]),
            token: text(&session["access_token"]),
        }
    }

    /// Returns the same user and token on another server.
    pub(crate) fn on<'b>(&self, server: &'b Client) -> User<'b> {
        User {
            server,
            id: self.id.clone(),
            email: self.email.clone(),
            token: self.token.clone(),
        }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> Request {
        self.server
            .request(method, &format!("/api/v1{path}"))
            .map(|builder| builder.bearer_auth(&self.token))
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.request("GET", path).send().await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: &Value) -> Reply {
        self.request(method, path).json(body).send().await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, body).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send("PUT", path, body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.request("DELETE", path).send().await
    }

    /// Stores an entry and returns it.
    pub(crate) async fn entry(&self, body: &Value) -> Value {
        self.post("/entries", body).await.data(201)["entry"].take()
    }
}

/// Returns the body of a valid entry.
pub(crate) fn entry() -> Value {
    json!({"situation": "It rained, and I sang.", "emotions": ["joy", "surprise"], "intensity": 0.7, "notes": "in D major"})
}
