use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::Server;

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self {
            status,
            headers,
            text: response.text().await.unwrap(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The `data` of a success with this status, whose envelope is as it should be.
    pub(crate) fn data(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        let mut body = self.json();
        assert_eq!(body["success"], true, "{self:?}");
        self.check_meta(&body);
        body["data"].take()
    }

    /// The `error` of a failure with this status and code, whose envelope is as it should be.
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

    /// The rule that a field breaks.
    pub(crate) fn rule(&self, field: &str) -> String {
        let error = self.error(400, "VALIDATION_ERROR");
        error["details"]["fields"][field]
            .as_str()
            .unwrap_or_else(|| panic!("no rule for {field}: {self:?}"))
            .to_owned()
    }

    /// No content.
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

/// A user and a token, on a server.
pub(crate) struct User<'a> {
    pub(crate) server: &'a Server,
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) token: String,
}

impl<'a> User<'a> {
    pub(crate) const PASSWORD: &'static str = "correct horse 1";

    pub(crate) async fn register(server: &'a Server, email: &str) -> Self {
        let body = json!({"email": email, "password": Self::PASSWORD, "name": "Ann"});
        Self::from_session(
            server,
            &server.post("/api/v1/auth/register", &body).await.data(201),
        )
    }

    pub(crate) fn from_session(server: &'a Server, session: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            server,
            id: text(&session["user"]["id"]),
            email: text(&session["user"]["email"]),
            token: text(&session["access_token"]),
        }
    }

    /// The same user and token on another server.
    pub(crate) fn on<'b>(&self, server: &'b Server) -> User<'b> {
        User {
            server,
            id: self.id.clone(),
            email: self.email.clone(),
            token: self.token.clone(),
        }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.server
            .request(method, &format!("/api/v1{path}"))
            .bearer_auth(&self.token)
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        Reply::of(self.request("GET", path)).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: &Value) -> Reply {
        Reply::of(self.request(method, path).json(body)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, body).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send("PUT", path, body).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        Reply::of(self.request("DELETE", path)).await
    }

    /// Stores an entry, and gives it.
    pub(crate) async fn entry(&self, body: &Value) -> Value {
        self.post("/entries", body).await.data(201)["entry"].take()
    }
}

/// The body of a valid entry.
pub(crate) fn entry() -> Value {
    json!({"situation": "It rained, and I sang.", "emotions": ["joy", "surprise"], "intensity": 0.7, "notes": "in D major"})
}
