//! The metrics of requests.

use std::time::Duration;

use axum::http::Method;
use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};

/// Upper bounds of the durations' buckets, in seconds.
const BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

pub struct Requests {
    total: IntCounterVec,
    duration: HistogramVec,
    malformed: IntCounter,
}

impl Requests {
    pub fn new(registry: &Registry) -> Self {
        let total = Opts::new(
            "http_requests_total",
            "Requests that were answered; 499 is a client that went away before.",
        );
        let total =
            IntCounterVec::new(total, &["method", "route", "status"]).expect("the names are valid");
        let duration = HistogramOpts::new(
            "http_request_duration_seconds",
            "From a request's head to the head of its answer.",
        );
        let duration = HistogramVec::new(duration.buckets(BUCKETS.to_vec()), &["method", "route"])
            .expect("the names are valid");
        registry
            .register(Box::new(total.clone()))
            .expect("they are registered once");
        registry
            .register(Box::new(duration.clone()))
            .expect("they are registered once");
        let malformed = IntCounter::new(
            "http_malformed_requests_total",
            "Requests that the HTTP library refused, since they are not HTTP or their head is too large.",
        )
        .expect("the name is valid");
        registry
            .register(Box::new(malformed.clone()))
            .expect("they are registered once");
        Self {
            total,
            duration,
            malformed,
        }
    }

    pub fn count_malformed(&self) {
        self.malformed.inc();
    }

    /// Counts a request. `route` is the template of a route, or `-` if the path is unknown.
    pub(crate) fn count(&self, method: &Method, route: &str, status: &str, took: Duration) {
        let method = name(method);
        self.total.with_label_values(&[method, route, status]).inc();
        self.duration
            .with_label_values(&[method, route])
            .observe(took.as_secs_f64());
    }
}

/// Returns a label. Clients may invent methods without bound, so all unknown methods have the same one.
fn name(method: &Method) -> &str {
    let known = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::HEAD,
        Method::OPTIONS,
        Method::CONNECT,
        Method::TRACE,
    ];
    if known.contains(method) {
        method.as_str()
    } else {
        "other"
    }
}
