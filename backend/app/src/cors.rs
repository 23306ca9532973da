//! Cross-origin calls (<https://fetch.spec.whatwg.org/#http-cors-protocol>).

use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::Request;
use axum::http::{Method, header};
use emotionviz_core::request;
use emotionviz_settings::Origins;
use futures_util::future::Either;
use tower::{Layer, Service};
use tower_http::cors::{AllowHeaders, AllowOrigin, Cors, CorsLayer};

/// The origins of the settings may call with credentials. Which headers they send does not matter: who may call at all is decided by
/// the origin and the token.
pub(crate) fn layer(origins: Origins) -> OnlyWithOrigin {
    OnlyWithOrigin(
        CorsLayer::new()
            .allow_origin(AllowOrigin::predicate(move |origin, _| origin.to_str().is_ok_and(|origin| origins.allow(origin))))
            .allow_credentials(true)
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers([request::REQUEST_ID, request::RATE_LIMIT, request::RATE_REMAINING, request::RATE_RESET, header::RETRY_AFTER])
            .max_age(Duration::from_secs(3600)),
    )
}

/// Leaves alone what no web page asks for: apps, probes and other services send no `Origin` and have no use for three more headers.
#[derive(Clone)]
pub(crate) struct OnlyWithOrigin(CorsLayer);

impl<S: Clone> Layer<S> for OnlyWithOrigin {
    type Service = MaybeCors<S>;

    fn layer(&self, inner: S) -> MaybeCors<S> {
        MaybeCors { with_origin: self.0.layer(inner.clone()), without: inner }
    }
}

/// What [`OnlyWithOrigin`] makes of a service.
#[derive(Clone)]
pub(crate) struct MaybeCors<S> {
    with_origin: Cors<S>,
    without: S,
}

impl<S> Service<Request> for MaybeCors<S>
where
    S: Service<Request>,
    Cors<S>: Service<Request, Response = S::Response, Error = S::Error>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<<Cors<S> as Service<Request>>::Future, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        match self.with_origin.poll_ready(context) {
            Poll::Ready(Ok(())) => self.without.poll_ready(context),
            other => other,
        }
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if request.headers().contains_key(header::ORIGIN) {
            Either::Left(self.with_origin.call(request))
        } else {
            Either::Right(self.without.call(request))
        }
    }
}
