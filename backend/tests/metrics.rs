use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::support::{Local, NOWHERE, Service, until};

/// The value of the line that begins with this, once the service tells of it.
async fn told(server: &Local, series: &str) -> f64 {
    let find = async || {
        let text = server.get("/metrics").await.text;
        text.lines()
            .find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    };
    until(&format!("{series} is told"), async || {
        find().await.is_some()
    })
    .await;
    find().await.unwrap()
}

fn total(method: &str, route: &str, status: u16) -> String {
    format!("http_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}")
}

#[tokio::test]
async fn in_prometheus_text_format() {
    let server = Local::start(NOWHERE, &[]);
    let started = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    let reply = server.get("/metrics").await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, "text/plain; version=0.0.4")
    );
    assert!(!reply.header("x-request-id").is_empty());
    for line in reply.text.lines() {
        let is_sample = || {
            line.rsplit_once(' ')
                .is_some_and(|(_, value)| value.parse::<f64>().is_ok())
        };
        assert!(
            line.starts_with("# HELP ") || line.starts_with("# TYPE ") || is_sample(),
            "{line}"
        );
    }
    assert!((started - told(&server, "process_start_time_seconds ").await).abs() < 60.0);
    if cfg!(target_os = "linux") {
        assert!(told(&server, "process_resident_memory_bytes ").await > 1e6);
    }
}

#[tokio::test]
async fn requests_by_template_and_connections() {
    let s = Service::with(&[("DATABASE_CONNECTIONS", "3")]).await;
    let ann = s.server.user().await;
    for _ in 0..2 {
        ann.get("/entries/5da4fb3c-7b21-4e5d-922d-92a894b3b178?planted=1")
            .await
            .error(404, "NOT_FOUND");
    }
    assert_eq!(
        told(&s.server, &total("POST", "/api/v1/auth/register", 201)).await,
        1.0
    );
    let entry = "method=\"GET\",route=\"/api/v1/entries/{id}\"";
    until("both are counted", async || {
        told(&s.server, &total("GET", "/api/v1/entries/{id}", 404)).await == 2.0
    })
    .await;
    assert_eq!(
        told(
            &s.server,
            &format!("http_request_duration_seconds_count{{{entry}}}")
        )
        .await,
        2.0
    );
    assert_eq!(
        told(
            &s.server,
            &format!("http_request_duration_seconds_bucket{{{entry},le=\"+Inf\"}}")
        )
        .await,
        2.0
    );
    let took = told(
        &s.server,
        &format!("http_request_duration_seconds_sum{{{entry}}}"),
    )
    .await;
    assert!(took > 0.0 && took < 20.0, "{took}");

    let connections = async |what| told(&s.server, &format!("db_pool_{what} ")).await;
    assert_eq!(
        (
            connections("max_connections").await,
            connections("waiting_requests").await
        ),
        (3.0, 0.0)
    );
    let open = connections("open_connections").await;
    assert!((1.0..=3.0).contains(&open) && connections("idle_connections").await == open);
}

/// Whatever is sent, there are no more series than the service has routes, and nothing of it is in them.
#[tokio::test]
async fn nothing_that_clients_make_up() {
    let s = Service::start().await;
    for n in 0..20 {
        s.server
            .get(&format!("/planted/{n}"))
            .await
            .error(404, "NOT_FOUND");
        s.server
            .request(&format!("PLANTED{n}"), "/api/v1/emotions")
            .send()
            .await
            .error(405, "METHOD_NOT_ALLOWED");
        let login = json!({"email": format!("planted{n}@example.com"), "password": "planted"});
        s.server
            .post("/api/v1/auth/login?planted", &login)
            .await
            .error(401, "UNAUTHORIZED");
    }
    until("all are counted", async || {
        told(&s.server, &total("POST", "/api/v1/auth/login", 401)).await == 20.0
    })
    .await;
    assert_eq!(told(&s.server, &total("GET", "-", 404)).await, 20.0);
    assert_eq!(
        told(&s.server, &total("other", "/api/v1/emotions", 405)).await,
        20.0
    );
    let text = s.server.get("/metrics").await.text;
    assert!(!text.to_lowercase().contains("planted"), "{text}");
    let counted: BTreeSet<&str> = text
        .lines()
        .filter(|line| line.starts_with("http_requests_total"))
        .collect();
    assert_eq!(counted.len(), 3, "{counted:?}");
}

#[tokio::test(start_paused = true)]
async fn probes_are_counted_when_they_fail() {
    let server = Local::start(NOWHERE, &[]);
    server.get("/health").await;
    assert_eq!(server.get("/health/ready").await.status, 503);
    assert_eq!(
        told(&server, &total("GET", "/health/ready", 503)).await,
        1.0
    );
    let text = server.get("/metrics").await.text;
    assert!(
        !text.contains("route=\"/health\"") && !text.contains("route=\"/metrics\""),
        "{text}"
    );
}
