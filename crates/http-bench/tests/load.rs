//! The load generator against servers that behave, and servers that do not.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something is not as expected"
)]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::routing::{get, post};
use futures_util::stream;
use http_bench::{Load, LoadError, Report, Request, bare};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn serve(router: Router) -> SocketAddr {
    let (listener, address) = listener().await;
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

/// Answers each connection with what is given, once per request, and then closes it.
async fn serve_raw(answer: &'static [u8], times: usize) -> SocketAddr {
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 1024];
                for _ in 0..times {
                    if stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                        stream.write_all(answer).await.unwrap();
                    }
                }
            });
        }
    });
    address
}

fn load(request: Request) -> Load {
    Load {
        request,
        connections: 4,
        pause: Duration::ZERO,
        warm_up: Duration::ZERO,
        counted: Duration::from_millis(200),
    }
}

async fn get_from(address: SocketAddr) -> Report {
    let request = Request::new("GET", &format!("http://{address}/"), &[], None).unwrap();
    load(request).run(std::future::pending()).await.unwrap()
}

fn only(failures: &BTreeMap<String, u64>, how: &str) -> u64 {
    assert_eq!(failures.keys().collect::<Vec<_>>(), [how]);
    failures[how]
}

#[tokio::test]
async fn the_load_generator_counts_the_answers_of_the_server() {
    let hits = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&hits);
    let handler = async move |body: Bytes| {
        assert_eq!(body, r#"{"a":1}"#);
        counter.fetch_add(1, Ordering::Relaxed);
        (StatusCode::CREATED, vec![b'x'; 100_000])
    };
    let address = serve(Router::new().route("/entries", post(handler))).await;
    let request = Request::new(
        "POST",
        &format!("http://{address}/entries"),
        &[],
        Some(r#"{"a":1}"#),
    )
    .unwrap();
    let report = load(request).run(std::future::pending()).await.unwrap();

    // Those under way at the end were served and do not count.
    let served = hits.load(Ordering::Relaxed);
    assert!(
        report.answered > 0 && (served - 4..=served).contains(&report.answered),
        "{} of {served}",
        report.answered
    );
    assert!(report.failures.is_empty(), "{:?}", report.failures);
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    let per_second = report.answered as f64 / 0.2;
    assert!((report.per_second - per_second).abs() < 0.001);
    let latency = report.latency;
    assert!(
        0.0 < latency.p50_ms
            && latency.p50_ms <= latency.p99_ms
            && latency.p99_ms <= latency.max_ms,
        "{latency:?}"
    );
}

#[tokio::test]
async fn requests_of_the_warm_up_are_not_counted() {
    let hits = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&hits);
    let slow = async move || {
        counter.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let address = serve(Router::new().route("/", get(slow))).await;
    let request = Request::new("GET", &format!("http://{address}/"), &[], None).unwrap();
    let report = Load {
        warm_up: Duration::from_millis(200),
        ..load(request)
    }
    .run(std::future::pending())
    .await
    .unwrap();
    assert!(
        report.answered < hits.load(Ordering::Relaxed) * 3 / 4,
        "{} answered",
        report.answered
    );
    assert!(report.latency.p50_ms >= 20.0, "{:?}", report.latency);
}

#[tokio::test]
async fn the_load_generator_pauses_between_requests() {
    let address = serve(Router::new().route("/", get(|| async {}))).await;
    let request = Request::new("GET", &format!("http://{address}/"), &[], None).unwrap();
    let report = Load {
        pause: Duration::from_millis(50),
        ..load(request)
    }
    .run(std::future::pending())
    .await
    .unwrap();
    // At 0, 50, 100 and 150 ms at most, on each of four connections.
    assert!(
        (4..=16).contains(&report.answered) && report.latency.p50_ms < 50.0,
        "{report:?}"
    );
}

#[tokio::test]
async fn an_answer_with_another_status_is_a_failure() {
    let address =
        serve(Router::new().route("/", get(|| async { StatusCode::TOO_MANY_REQUESTS }))).await;
    let report = get_from(address).await;
    assert_eq!(report.answered, 0);
    assert!(only(&report.failures, "429") > 0);
}

#[tokio::test]
async fn chunked_answers_are_read_completely() {
    let chunks = || async {
        Body::from_stream(stream::iter(
            ["a", "", "bc", "d"].map(Ok::<_, std::io::Error>),
        ))
    };
    let report = get_from(serve(Router::new().route("/", get(chunks))).await).await;
    assert!(
        report.answered > 0 && report.failures.is_empty(),
        "{report:?}"
    );
}

#[tokio::test]
async fn a_connection_that_the_server_closes_is_a_failure_and_opened_again() {
    let report =
        get_from(serve_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", 2).await).await;
    let closed = only(&report.failures, "closed");
    // Two answers, then the end of the connection, on each.
    assert!(closed > 4 && report.answered >= closed * 2, "{report:?}");

    let report =
        get_from(serve_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", 1).await).await;
    assert!(
        report.answered == 0 && only(&report.failures, "closed") > 4,
        "{report:?}"
    );
}

#[tokio::test]
async fn a_connection_closed_with_an_announcement_is_not_a_failure() {
    let report = get_from(
        serve_raw(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
            1,
        )
        .await,
    )
    .await;
    assert!(
        report.answered > 4 && report.failures.is_empty(),
        "{report:?}"
    );
    let report = get_from(serve_raw(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", 1).await).await;
    assert!(
        report.answered > 4 && report.failures.is_empty(),
        "{report:?}"
    );
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_a_failure() {
    let report = get_from(serve_raw(b"SSH-2.0-OpenSSH\r\n", 1).await).await;
    assert!(
        report.answered == 0 && only(&report.failures, "malformed") > 4,
        "{report:?}"
    );
}

#[tokio::test]
async fn the_load_generator_ends_in_time_when_the_server_never_answers() {
    let address = serve(Router::new().route("/", get(std::future::pending::<()>))).await;
    let started = Instant::now();
    let report = get_from(address).await;
    assert!(
        report.answered == 0 && report.failures.is_empty(),
        "{report:?}"
    );
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_server_that_does_not_listen_is_an_error() {
    let (listener, address) = listener().await;
    drop(listener);
    let request = Request::new("GET", &format!("http://{address}/"), &[], None).unwrap();
    let LoadError::Connect { address: named, .. } =
        load(request).run(std::future::pending()).await.unwrap_err();
    assert_eq!(named, address);
}

#[tokio::test]
async fn the_bare_server_answers() {
    let (listener, address) = listener().await;
    tokio::spawn(bare::serve(listener));
    let report = get_from(address).await;
    assert!(
        report.answered > 0 && report.failures.is_empty(),
        "{report:?}"
    );
}
