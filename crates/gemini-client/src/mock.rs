//! A server that answers as the provider does, well or badly, over real HTTP.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request as HttpRequest;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION};
use axum::http::{Response, StatusCode};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A request that the server has received.
#[derive(Clone, Debug)]
pub struct Request {
    /// How many requests came before it.
    pub number: usize,
    /// The method, such as `POST`.
    pub method: String,
    /// The path, such as `/v1beta/models/a-model:generateContent`.
    pub path: String,
    /// The header `x-goog-api-key`.
    pub api_key: Option<String>,
    /// The body, null if it is not JSON.
    pub body: Value,
}

/// What the server answers to one request.
pub struct Reply {
    status: u16,
    headers: Vec<(axum::http::HeaderName, HeaderValue)>,
    delay: Delay,
    body: BoxStream<'static, Chunk>,
}

type Chunk = Result<Bytes, fmt::Error>;

enum Delay {
    None,
    After(Duration),
    Never,
}

impl Reply {
    /// A body of any text.
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        Self {
            status,
            headers: vec![
                (CONTENT_TYPE, HeaderValue::from_static(content_type)),
                (CONTENT_LENGTH, HeaderValue::from(body.len())),
            ],
            delay: Delay::None,
            body: stream::iter([Ok(body)]).boxed(),
        }
    }

    /// A JSON body.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json; charset=UTF-8", body.to_string())
    }

    /// A web page, as a proxy sends it.
    pub fn html(status: u16) -> Self {
        let page = "<!DOCTYPE html><html><body><h1>Please sign in</h1></body></html>";
        Self::new(status, "text/html", page)
    }

    /// One candidate with these parts and this finish reason, and usage metadata.
    pub fn candidate(parts: &Value, finish_reason: &str) -> Self {
        let body = json!({
            "candidates": [{
                "content": {"role": "model", "parts": parts},
                "finishReason": finish_reason,
                "index": 0,
            }],
            "usageMetadata": {
                "promptTokenCount": 11,
                "candidatesTokenCount": 22,
                "thoughtsTokenCount": 3,
                "totalTokenCount": 36,
            },
            "modelVersion": "mock",
        });
        Self::json(200, &body)
    }

    /// A complete answer of JSON.
    pub fn answer(answer: &Value) -> Self {
        Self::candidate(&json!([{"text": answer.to_string()}]), "STOP")
    }

    /// A complete answer of one picture.
    pub fn picture(bytes: &[u8]) -> Self {
        Self::candidate(&json!([inline_data(bytes)]), "STOP")
    }

    /// One candidate without content, as a filter or a failed generation leaves it.
    pub fn finished(reason: &str) -> Self {
        Self::json(
            200,
            &json!({"candidates": [{"finishReason": reason, "index": 0}]}),
        )
    }

    /// The prompt was refused.
    pub fn blocked(reason: &str) -> Self {
        Self::json(200, &json!({"promptFeedback": {"blockReason": reason}}))
    }

    /// A model that exists.
    pub fn model() -> Self {
        let methods = ["generateContent"];
        Self::json(
            200,
            &json!({"name": "models/mock", "supportedGenerationMethods": methods}),
        )
    }

    /// An error in the provider's form.
    pub fn error(status: u16, name: &str, details: &Value) -> Self {
        Self::json(status, &error(status, name, details))
    }

    /// The same error, in an array of one element.
    pub fn error_in_array(status: u16, name: &str, details: &Value) -> Self {
        Self::json(status, &json!([error(status, name, details)]))
    }

    /// A used-up quota, with the delay of its `RetryInfo`, such as `"3.5s"`.
    pub fn quota(retry_delay: &str) -> Self {
        let info = "type.googleapis.com/google.rpc.RetryInfo";
        let details = json!([{"@type": info, "retryDelay": retry_delay}]);
        Self::error(429, "RESOURCE_EXHAUSTED", &details)
    }

    /// An invalid key.
    pub fn bad_key() -> Self {
        let info = "type.googleapis.com/google.rpc.ErrorInfo";
        let details =
            json!([{"@type": info, "reason": "API_KEY_INVALID", "domain": "googleapis.com"}]);
        Self::error(400, "INVALID_ARGUMENT", &details)
    }

    /// A retired model.
    pub fn retired_model() -> Self {
        Self::error(404, "NOT_FOUND", &json!([]))
    }

    /// A redirect.
    pub fn redirect(location: &str) -> Self {
        let mut reply = Self::new(307, "text/plain", "");
        let location = HeaderValue::from_str(location).expect("a URL is a valid header");
        reply.headers.push((LOCATION, location));
        reply
    }

    /// No response, and the connection stays open.
    pub fn never() -> Self {
        let mut reply = Self::new(200, "application/json", "");
        reply.delay = Delay::Never;
        reply
    }

    /// A body that never ends.
    pub fn endless() -> Self {
        let mut reply = Self::new(200, "application/json", "");
        let chunk = Bytes::from(vec![b' '; 64 << 10]);
        reply.replace_body(stream::repeat_with(move || Ok(chunk.clone())).boxed());
        reply
    }

    /// Announces a body of this many bytes and sends its beginning, and the connection stays open.
    pub fn announcing(length: u64) -> Self {
        let mut reply = Self::new(200, "application/json", "");
        reply.replace_body(
            stream::iter([Ok("{".into())])
                .chain(stream::pending())
                .boxed(),
        );
        reply
            .headers
            .push((CONTENT_LENGTH, HeaderValue::from(length)));
        reply
    }

    /// Answers with another status.
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Waits before it answers.
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = Delay::After(delay);
        self
    }

    /// Closes the connection after the first half of the body.
    pub fn cut(mut self) -> Self {
        self.body = self
            .body
            .flat_map(first_half)
            .chain(stream::iter([Err(fmt::Error)]))
            .boxed();
        self
    }

    /// Sends the first half of the body, and the connection stays open.
    pub fn stalled(mut self) -> Self {
        self.body = self
            .body
            .flat_map(first_half)
            .chain(stream::pending())
            .boxed();
        self
    }

    fn replace_body(&mut self, body: BoxStream<'static, Chunk>) {
        self.headers.retain(|(name, _)| name != CONTENT_LENGTH);
        self.body = body;
    }
}

fn first_half(chunk: Chunk) -> BoxStream<'static, Chunk> {
    stream::iter([chunk.map(|bytes| bytes.slice(..bytes.len() / 2))]).boxed()
}

fn error(status: u16, name: &str, details: &Value) -> Value {
    let message = "A message of the provider, which may quote the prompt.";
    json!({"error": {"code": status, "message": message, "status": name, "details": details}})
}

/// Returns a part with a picture, whose declared type is wrong.
pub fn inline_data(bytes: &[u8]) -> Value {
    json!({"inlineData": {"mimeType": "image/x-declared", "data": BASE64_STANDARD.encode(bytes)}})
}

/// The server. It stops when it is dropped.
pub struct MockServer {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    open: Arc<watch::Sender<usize>>,
    task: JoinHandle<()>,
}

impl MockServer {
    /// Starts a server on a free port of 127.0.0.1, which answers each request with what `reply` returns.
    ///
    /// # Panics
    ///
    /// Panics if there is no free port.
    pub async fn start(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("there is a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let open = Arc::new(watch::Sender::new(0));
        let state = (Arc::clone(&requests), Arc::clone(&open), Arc::new(reply));
        let router = Router::new().fallback(move |request: HttpRequest| {
            let (requests, open, reply) = state.clone();
            async move {
                let exchange = Exchange::begin(open);
                let request = record(request, &requests).await;
                respond(reply(&request), exchange).await
            }
        });
        let task = tokio::spawn(async move {
            axum::serve(listener, router)
                .await
                .expect("axum::serve never fails");
        });
        Self {
            address,
            requests,
            open,
            task,
        }
    }

    /// Returns the base URL for [`Config`](crate::Config).
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns all requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until so many exchanges are open: the response is not sent completely, and the client is connected.
    ///
    /// # Panics
    ///
    /// Panics after a minute.
    pub async fn until_open(&self, count: usize) {
        let mut open = self.open.subscribe();
        let reached = open.wait_for(|open| *open == count);
        let reached = tokio::time::timeout(Duration::from_secs(60), reached).await;
        let reached = reached.unwrap_or_else(|_| panic!("{count} exchanges were not open in time"));
        reached.expect("the sender lives in self");
    }
}

impl Drop for MockServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Counts an exchange as open for as long as it exists.
struct Exchange(Arc<watch::Sender<usize>>);

impl Exchange {
    fn begin(open: Arc<watch::Sender<usize>>) -> Self {
        open.send_modify(|open| *open += 1);
        Self(open)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

/// The body of a response, which owns its exchange.
struct Tracked {
    body: BoxStream<'static, Chunk>,
    _exchange: Exchange,
}

impl Stream for Tracked {
    type Item = Chunk;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Chunk>> {
        self.body.poll_next_unpin(context)
    }
}

async fn record(request: HttpRequest, requests: &Mutex<Vec<Request>>) -> Request {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let api_key = head
        .headers
        .get("x-goog-api-key")
        .and_then(|key| key.to_str().ok());
    let mut requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
    let request = Request {
        number: requests.len(),
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        api_key: api_key.map(str::to_owned),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    requests.push(request.clone());
    request
}

async fn respond(reply: Reply, exchange: Exchange) -> Response<Body> {
    match reply.delay {
        Delay::None => {}
        Delay::After(delay) => tokio::time::sleep(delay).await,
        Delay::Never => std::future::pending().await,
    }
    let mut response = Response::new(Body::from_stream(Tracked {
        body: reply.body,
        _exchange: exchange,
    }));
    *response.status_mut() = StatusCode::from_u16(reply.status).expect("the status is valid");
    response.headers_mut().extend(reply.headers);
    response
}
