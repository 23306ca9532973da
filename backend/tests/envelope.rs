use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use serde_json::json;

use crate::support::{Process, Service, entry, until};

#[tokio::test]
async fn paths_and_methods_that_are_not() {
    let s = Service::start().await;
    for path in [
        "/nope",
        "/api/v1",
        "/api/v1/",
        "/api/v1/nope",
        "/api/v1/entries/",
        "/docs/nope.js",
        "/%FF",
        "/api/v2/entries",
        "//",
    ] {
        s.server.get(path).await.error(404, "NOT_FOUND");
    }
    for (method, path, allow) in [
        ("DELETE", "/api/v1/entries", "GET,HEAD,POST"),
        ("PATCH", "/api/v1/entries/7", "GET,HEAD,PUT,DELETE"),
        ("GET", "/api/v1/auth/login", "POST"),
        ("POST", "/health", "GET,HEAD"),
        ("POST", "/openapi.json", "GET,HEAD"),
    ] {
        let reply = s.server.request(method, path).send().await;
        reply.error(405, "METHOD_NOT_ALLOWED");
        let mut allowed: Vec<_> = reply.header("allow").split(',').map(str::trim).collect();
        let mut expected: Vec<_> = allow.split(',').collect();
        allowed.sort_unstable();
        expected.sort_unstable();
        assert_eq!(allowed, expected, "{path}");
    }
}

#[tokio::test]
async fn bodies_that_are_not() {
    let s = Service::start().await;
    let ann = s.server.user().await;
    let send = async |kind: Option<&str>, body: Vec<u8>| {
        let request = ann.request("POST", "/entries").body(body);
        let request = match kind {
            Some(kind) => request.header("content-type", kind),
            None => request,
        };
        request.send().await
    };
    let good = serde_json::to_vec(&entry()).unwrap();
    send(Some("application/json"), good.clone()).await.data(201);
    send(Some("Application/JSON; charset=UTF-8"), good.clone())
        .await
        .data(201);
    for kind in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some("json"),
        Some(""),
    ] {
        send(kind, good.clone())
            .await
            .error(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    for body in [
        "",
        "{",
        "{\"situation\": \"x\"",
        "nonsense",
        "{'situation': 'x'}",
        "[1,]",
        "\"\\ud800\"",
        "{\"intensity\": 1e999}",
        "{} {}",
    ] {
        send(Some("application/json"), body.into())
            .await
            .error(400, "VALIDATION_ERROR");
    }
    send(
        Some("application/json"),
        b"{\"situation\": \"\xff\xfe\"}".to_vec(),
    )
    .await
    .error(400, "VALIDATION_ERROR");
    send(Some("application/json"), [&good[..], b" x"].concat())
        .await
        .error(400, "VALIDATION_ERROR");
    send(Some("application/json"), "[".repeat(100_000).into())
        .await
        .error(400, "VALIDATION_ERROR");
    let in_order = serde_json::to_vec(&json!(["x", ["joy"], 0.5, ""])).unwrap();
    assert_eq!(
        send(Some("application/json"), in_order).await.rule("body"),
        "must be a JSON object"
    );
    let id = ann.entry(&entry()).await["id"].as_str().unwrap().to_owned();
    assert_eq!(
        ann.put(&format!("/entries/{id}"), &json!([]))
            .await
            .rule("body"),
        "must be a JSON object"
    );
    assert_eq!(
        s.database
            .count("SELECT count(*) FROM emotion_entries")
            .await,
        3
    );
}

#[tokio::test]
async fn bodies_that_are_too_large() {
    let s = Process::start().await;
    let ann = s.server.user().await;
    let mut body = entry();
    body["filler"] = json!("x".repeat(256 * 1024));
    ann.post("/entries", &body)
        .await
        .error(413, "PAYLOAD_TOO_LARGE");
    // In chunks, without a length, which ends only when the limit is reached.
    let mut connection =
        std::net::TcpStream::connect(s.server.address.strip_prefix("http://").unwrap()).unwrap();
    write!(connection, "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n").unwrap();
    for _ in 0..17 {
        write!(connection, "4000\r\n{}\r\n", "x".repeat(0x4000)).unwrap();
    }
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).ok();
    let answer = String::from_utf8(answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 413 ") && answer.contains("PAYLOAD_TOO_LARGE"),
        "{answer}"
    );
    ann.get("/entries").await.data(200);
}

/// Answers to requests that are sent in pieces over one connection, each a status and whether the connection closes.
fn answers(address: &str, pieces: &[&str]) -> Vec<(String, bool)> {
    let mut connection =
        std::net::TcpStream::connect(address.strip_prefix("http://").unwrap()).unwrap();
    let bound = Duration::from_secs(10);
    connection.set_read_timeout(Some(bound)).unwrap();
    connection.set_nodelay(true).unwrap();
    for piece in pieces {
        write!(connection, "{piece}").unwrap();
        // The service gets each piece by itself.
        std::thread::sleep(Duration::from_millis(50));
    }
    connection.shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    connection.read_to_string(&mut text).unwrap();
    let heads = text.split("HTTP/1.1 ").skip(1);
    heads
        .map(|head| {
            let head = head.split("\r\n\r\n").next().unwrap();
            (
                head[..3].to_owned(),
                head.to_lowercase().contains("connection: close"),
            )
        })
        .collect()
}

#[tokio::test]
async fn a_rejected_request_leaves_its_connection_usable_once_its_body_is_there() {
    let s = Process::start().await;
    let next = "GET /health HTTP/1.1\r\nhost: x\r\n\r\n";
    for (request, status) in [
        ("POST /api/v1/entries", "401"),
        ("POST /api/v1/nothing", "404"),
        ("POST /health", "405"),
        ("POST /api/v1/auth/login", "415"),
    ] {
        let head = format!("{request} HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n");
        assert_eq!(
            answers(&s.server.address, &[&head, "hello", next]),
            [(status.to_owned(), false), ("200".to_owned(), false)],
            "{request}"
        );
    }
}

#[tokio::test]
async fn an_announced_body_that_is_too_large_is_refused_before_it_is_sent() {
    let s = Process::start().await;
    let head = "POST /api/v1/entries HTTP/1.1\r\nhost: x\r\ncontent-length: 20000000\r\nexpect: 100-continue\r\n\r\n";
    assert_eq!(
        answers(&s.server.address, &[head]),
        [("413".to_owned(), true)]
    );
}

#[tokio::test]
async fn request_ids() {
    let s = Service::start().await;
    let with = async |id: &str| {
        s.server
            .request("GET", "/api/v1/emotions")
            .header("x-request-id", id)
            .send()
            .await
    };
    for id in ["abc_DEF-123", "5da4fb3c-7b21-4e5d-922d-92a894b3b178", "x"] {
        let reply = with(id).await;
        assert_eq!(reply.header("x-request-id"), id);
        reply.data(200);
    }
    let long = "x".repeat(65);
    for id in ["", "a b", "<script>", "a;b", long.as_str(), "ä"] {
        let reply = with(id).await;
        assert!(
            uuid::Uuid::parse_str(reply.header("x-request-id")).is_ok(),
            "{id}: {reply:?}"
        );
        reply.data(200);
    }
    for path in ["/health", "/", "/nope", "/openapi.json"] {
        assert!(
            !s.server.get(path).await.header("x-request-id").is_empty(),
            "{path}"
        );
    }
}

#[tokio::test]
async fn failures_do_not_repeat_what_was_sent() {
    let s = Service::start().await;
    let ann = s.server.user().await;
    for body in [
        json!({"situation": {"planted": 1}}),
        json!({"situation": "x", "emotions": ["joy"], "intensity": "planted, expected planted"}),
        json!("planted"),
    ] {
        let reply = ann.post("/entries", &body).await;
        reply.error(400, "VALIDATION_ERROR");
        assert!(!reply.text.contains("planted"), "{reply:?}");
    }
    for query in [
        "limit=planted",
        "sort=planted",
        "from=planted",
        "sort=x,+expected+planted",
    ] {
        let reply = ann.get(&format!("/entries?{query}")).await;
        reply.error(400, "VALIDATION_ERROR");
        assert!(!reply.text.contains("planted"), "{reply:?}");
    }
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let s = Process::start().await;
    let reply = s.server.request("HEAD", "/health").send().await;
    assert_eq!((reply.status, reply.text.as_str()), (200, ""));
    let nowhere = s.server.request("HEAD", "/nope").send().await;
    assert_eq!((nowhere.status, nowhere.text.as_str()), (404, ""));
}

/// hyper answers these: they never reach the router.
#[tokio::test]
async fn what_is_not_http_is_refused_without_a_body_and_counted() {
    let s = Process::start().await;
    // As long as a head may be, and not ended: all of it is read, so that no reset takes the answer away.
    let begun = "GET / HTTP/1.1\r\nhost: x\r\nx: ";
    let large = begun.to_owned() + &"x".repeat(64 * 1024 - begun.len());
    let many = format!(
        "GET / HTTP/1.1\r\nhost: x\r\n{}\r\n",
        "x: y\r\n".repeat(200)
    );
    let twice = "GET /health HTTP/1.1\r\nhost: x\r\n\r\nnonsense\r\n\r\n".to_owned();
    let requests = [
        ("nonsense\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n".to_owned(), "400"),
        (
            "POST / HTTP/1.1\r\ncontent-length: many\r\n\r\n".to_owned(),
            "400",
        ),
        ("GET / HTTP/3.7\r\n\r\n".to_owned(), "400"),
        (large, "431"),
        (many, "431"),
        (twice, "400"),
    ];
    for (request, status) in &requests {
        let mut connection =
            std::net::TcpStream::connect(s.server.address.strip_prefix("http://").unwrap())
                .unwrap();
        connection.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        let last = &answer[answer.rfind("HTTP/1.1 ").unwrap_or_default()..];
        assert!(
            last.starts_with(&format!("HTTP/1.1 {status} ")) && last.ends_with("\r\n\r\n"),
            "{answer}"
        );
    }
    let counted = format!("http_malformed_requests_total {}\n", requests.len());
    until("all are counted", async || {
        s.server.get("/metrics").await.text.contains(&counted)
    })
    .await;
}
