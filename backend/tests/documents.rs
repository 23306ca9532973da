use serde_json::Value;

use crate::support::{Local, NOWHERE};

#[tokio::test]
async fn the_openapi_document() {
    let server = Local::start(NOWHERE, &[]);
    let reply = server.get("/openapi.json").await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, "application/json")
    );
    let document = reply.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_json_snapshot!("openapi", document);
    });
}

/// Each reference leads somewhere, and each call says how it fails.
#[tokio::test]
async fn the_document_is_whole() {
    let server = Local::start(NOWHERE, &[]);
    let document = server.get("/openapi.json").await.json();
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 20);
    for reference in references {
        assert!(
            document
                .pointer(reference.strip_prefix('#').unwrap())
                .is_some(),
            "{reference}"
        );
    }
    let mut ids = std::collections::HashSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let responses = operation["responses"].as_object().unwrap();
            assert!(
                !path.starts_with("/api/") || responses.contains_key("500"),
                "{method} {path}"
            );
            assert_eq!(
                operation.get("security").is_some(),
                responses.contains_key("401") && path != "/api/v1/auth/login",
                "{method} {path}"
            );
            assert!(
                ids.insert(operation["operationId"].as_str().unwrap()),
                "{method} {path}"
            );
            assert!(operation["summary"].is_string(), "{method} {path}");
        }
    }
}

fn collect_references(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            into.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values()
                .for_each(|value| collect_references(value, into));
        }
        Value::Array(list) => list
            .iter()
            .for_each(|value| collect_references(value, into)),
        _ => {}
    }
}

#[tokio::test]
async fn both_pages_come_whole_from_the_binary() {
    let server = Local::start(NOWHERE, &[]);
    let redirect = server.get("/docs").await;
    assert_eq!(
        (redirect.status, redirect.header("location")),
        (308, "/docs/")
    );
    for (page, files) in [
        (
            "/docs/",
            &[
                "/docs/swagger-ui-bundle.js",
                "/docs/swagger-ui.css",
                "/docs/swagger-initializer.js",
            ][..],
        ),
        ("/redoc", &["/redoc/redoc.standalone.js"][..]),
    ] {
        let reply = server.get(page).await;
        assert_eq!(reply.status, 200, "{page}");
        assert!(
            reply.header("content-type").starts_with("text/html"),
            "{reply:?}"
        );
        assert!(
            !reply.text.contains("src=\"http") && !reply.text.contains("href=\"http"),
            "{}",
            reply.text
        );
        assert!(
            reply
                .header("content-security-policy")
                .contains("default-src 'self'")
        );
        for file in files {
            let reply = server.get(file).await;
            assert_eq!(reply.status, 200, "{file}");
            assert!(reply.text.len() > 100);
        }
    }
    assert!(
        server
            .get("/docs/swagger-initializer.js")
            .await
            .text
            .contains("/openapi.json")
    );
}
