use crate::support::{Reply, Service, server_command};

const HEADERS: [&str; 5] = [
    "x-request-id",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "retry-after",
];

async fn preflight(s: &Service, origin: &str, path: &str) -> Reply {
    let request = s.server.request("OPTIONS", path).header("origin", origin);
    let request = request
        .header("access-control-request-method", "PUT")
        .header(
            "access-control-request-headers",
            "authorization, content-type, x-request-id",
        );
    request.send().await
}

#[tokio::test]
async fn preflight_with_credentials() {
    let s = Service::start().await;
    for origin in [
        "http://localhost:8100",
        "http://localhost",
        "https://localhost",
        "capacitor://localhost",
        "ionic://localhost",
    ] {
        let reply = preflight(&s, origin, "/api/v1/entries/7").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.header("access-control-allow-origin"), origin);
        assert_eq!(reply.header("access-control-allow-credentials"), "true");
        for method in ["GET", "POST", "PUT", "DELETE"] {
            assert!(
                reply
                    .header("access-control-allow-methods")
                    .contains(method),
                "{reply:?}"
            );
        }
        for header in ["authorization", "content-type", "x-request-id"] {
            assert!(
                reply
                    .header("access-control-allow-headers")
                    .contains(header),
                "{reply:?}"
            );
        }
    }
    for origin in [
        "https://localhost:8100",
        "http://localhost.evil.example",
        "https://evil.example",
        "null",
    ] {
        let reply = preflight(&s, origin, "/api/v1/entries").await;
        assert_eq!(reply.header("access-control-allow-origin"), "", "{reply:?}");
    }
}

#[tokio::test]
async fn answers_and_failures_can_be_read() {
    let s = Service::start().await;
    for path in ["/health", "/api/v1/emotions", "/api/v1/auth/me", "/nope"] {
        let reply = s
            .server
            .request("GET", path)
            .header("origin", "capacitor://localhost")
            .send()
            .await;
        assert_eq!(
            reply.header("access-control-allow-origin"),
            "capacitor://localhost",
            "{reply:?}"
        );
        assert_eq!(reply.header("access-control-allow-credentials"), "true");
        assert!(
            reply
                .headers
                .get_all("vary")
                .iter()
                .any(|v| v.to_str().unwrap().contains("origin")),
            "{reply:?}"
        );
        let exposed = reply.header("access-control-expose-headers");
        assert!(
            HEADERS.iter().all(|header| exposed.contains(header)),
            "{exposed}"
        );
        assert_eq!(
            s.server
                .get(path)
                .await
                .header("access-control-allow-origin"),
            "",
            "no page asked"
        );
        let stranger = s
            .server
            .request("GET", path)
            .header("origin", "https://evil.example")
            .send()
            .await;
        assert_eq!(stranger.header("access-control-allow-origin"), "");
    }
}

#[tokio::test]
async fn origins_of_the_settings() {
    for setting in [
        "https://app.example",
        r#"["http://b.example:8100", "https://app.example"]"#,
    ] {
        let s = Service::with(&[("ALLOWED_ORIGINS", setting)]).await;
        assert_eq!(
            preflight(&s, "https://app.example", "/api/v1/entries")
                .await
                .header("access-control-allow-origin"),
            "https://app.example"
        );
        assert_eq!(
            preflight(&s, "http://localhost:8100", "/api/v1/entries")
                .await
                .header("access-control-allow-origin"),
            ""
        );
    }
}

#[tokio::test]
async fn the_service_refuses_to_start_with_an_origin_that_no_browser_sends() {
    let output = server_command(
        "postgres://a:b@127.0.0.1:1/c",
        &[("ALLOWED_ORIGINS", r#"["https://app.example/path"]"#)],
    )
    .output()
    .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success()
            && said.contains("ALLOWED_ORIGINS has \"https://app.example/path\""),
        "{said}"
    );
    assert!(said.contains("it must have no path"), "{said}");
}
