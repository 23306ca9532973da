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
    // For as long as the process lives: nobody counts who refers to it.
    OnlyWithOrigin(Box::leak(Box::new(
        CorsLayer::new()
            .allow_origin(AllowOrigin::predicate(move |origin, _| {
                origin.to_str().is_ok_and(|origin| origins.allow(origin))
            }))
            .allow_credentials(true)
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers([
                request::REQUEST_ID,
                request::RATE_LIMIT,
                request::RATE_REMAINING,
                request::RATE_RESET,
                header::RETRY_AFTER,
            ])
            .max_age(Duration::from_secs(3600)),
    )))
}

/// Leaves alone what no web page asks for: apps, probes and other services send no `Origin` and have no use for three more headers.
#[derive(Clone, Copy)]
pub(crate) struct OnlyWithOrigin(&'static CorsLayer);

impl<S> Layer<S> for OnlyWithOrigin {
    type Service = MaybeCors<S>;

    fn layer(&self, inner: S) -> MaybeCors<S> {
        MaybeCors {
            cors: self.0,
            inner,
        }
    }
}

/// What [`OnlyWithOrigin`] makes of a service.
#[derive(Clone)]
pub(crate) struct MaybeCors<S> {
    cors: &'static CorsLayer,
    inner: S,
}

impl<S> Service<Request> for MaybeCors<S>
where
    S: Service<Request> + Clone,
    Cors<S>: Service<Request, Response = S::Response, Error = S::Error>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<<Cors<S> as Service<Request>>::Future, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if request.headers().contains_key(header::ORIGIN) {
            // The one that is ready goes into it.
            let other = self.inner.clone();
            Either::Left(
                self.cors
                    .layer(std::mem::replace(&mut self.inner, other))
                    .call(request),
            )
        } else {
            Either::Right(self.inner.call(request))
        }
    }
}
