//! The outermost middleware: a request's id, the envelope of failures, one line in the log, and the metrics.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use uuid::Uuid;

use crate::metrics::Requests;
use crate::{envelope, request};

pub async fn track(
    State(requests): State<Arc<Requests>>,
    request: Request,
    next: Next,
) -> Response {
    let sent_id = request.headers().get(request::REQUEST_ID).cloned();
    let answer = async move {
        let mut line = Line {
            started: Instant::now(),
            method: request.method().clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
            status: None,
            requests,
        };
        let mut response = envelope::into_error_response(next.run(request).await);
        request::write_headers(response.headers_mut());
        line.status = Some(response.status());
        response
    };
    request::scope(sent_id, answer).await
}

/// The request's line in the log and its place in the metrics. Both are written on drop, so also if the client goes away before the answer.
struct Line {
    method: Method,
    route: Option<MatchedPath>,
    started: Instant,
    status: Option<StatusCode>,
    requests: Arc<Requests>,
}

impl Drop for Line {
    fn drop(&mut self) {
        let route = self.route.as_ref().map_or("-", MatchedPath::as_str);
        let failed = self.status.is_none_or(|s| s.is_server_error());
        if !failed && (route.starts_with("/health") || route == "/metrics") {
            return;
        }
        let method = self.method.as_str();
        let took = self.started.elapsed();
        // nginx's status for a client that went away.
        self.requests.count(
            &self.method,
            route,
            self.status.as_ref().map_or("499", StatusCode::as_str),
            took,
        );
        let status = self.status.map_or(499, |s| s.as_u16());
        let duration_ms = took.as_micros() as f64 / 1000.0;
        let mut text = Uuid::encode_buffer();
        let user_id = request::user().map(|user| &*user.hyphenated().encode_lower(&mut text));
        if status >= 500 {
            tracing::error!(method, route, status, duration_ms, user_id, "request");
        } else {
            tracing::info!(method, route, status, duration_ms, user_id, "request");
        }
    }
}
