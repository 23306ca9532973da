//! A provider that is broken, and what a caller is told.

use std::sync::Arc;
use std::time::Duration;

use gemini_client::mock::Reply;
use gemini_client::{Client, Error};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::support::{NamedReply, PNG, Setup, config, happy};

type IsExpected = fn(&Error) -> bool;
type Case = (&'static str, fn() -> Reply, IsExpected);

#[tokio::test]
async fn a_body_that_is_not_the_protocol_is_invalid_and_not_repeated() {
    let cases: [NamedReply; 8] = [
        ("HTML", || Reply::html(200)),
        ("nothing", || Reply::new(200, "application/json", "")),
        ("half of a JSON text", || {
            Reply::new(200, "application/json", r#"{"candidates": [{"#)
        }),
        ("a string", || Reply::json(200, &json!("hello"))),
        ("an array", || Reply::json(200, &json!([]))),
        ("candidates of another type", || {
            Reply::json(200, &json!({"candidates": "none"}))
        }),
        ("parts of another type", || {
            Reply::candidate(&json!("none"), "STOP")
        }),
        ("not UTF-8", || {
            let body = b"{\"candidates\": [{\"finishReason\": \"\xff\xfe\"}]}";
            Reply::new(200, "application/json", &body[..])
        }),
    ];
    for (name, reply) in cases {
        let setup = Setup::new(move |_| reply()).await;
        let of_text = setup.mood().await.unwrap_err();
        let of_picture = setup.picture().await.unwrap_err();
        assert!(
            matches!(of_text, Error::InvalidResponse),
            "{name}: {of_text:?}"
        );
        assert!(
            matches!(of_picture, Error::InvalidResponse),
            "{name}: {of_picture:?}"
        );
        assert_eq!(setup.request_count(), 2, "{name}");
    }
}

#[tokio::test]
async fn errors_have_the_variant_that_a_caller_acts_on() {
    let cases: [Case; 10] = [
        ("an invalid key", Reply::bad_key, |e| {
            matches!(e, Error::BadKey)
        }),
        (
            "a key without the right",
            || Reply::error(403, "PERMISSION_DENIED", &json!([])),
            |e| matches!(e, Error::BadKey),
        ),
        ("a retired model", Reply::retired_model, |e| {
            matches!(e, Error::RetiredModel)
        }),
        (
            "a retired model, in an array",
            || Reply::error_in_array(404, "NOT_FOUND", &json!([])),
            |e| matches!(e, Error::RetiredModel),
        ),
        (
            "a path that a proxy does not know",
            || Reply::html(404),
            |e| {
                matches!(
                    e,
                    Error::Status {
                        status: 404,
                        name: None
                    }
                )
            },
        ),
        (
            "an invalid argument",
            || Reply::error(400, "INVALID_ARGUMENT", &json!([])),
            |e| matches!(e, Error::Status { status: 400, name: Some(name) } if name == "INVALID_ARGUMENT"),
        ),
        (
            "a body of another shape",
            || Reply::json(400, &json!({"error": "no", "details": 7})),
            |e| {
                matches!(
                    e,
                    Error::Status {
                        status: 400,
                        name: None
                    }
                )
            },
        ),
        (
            "an empty array",
            || Reply::json(400, &json!([])),
            |e| {
                matches!(
                    e,
                    Error::Status {
                        status: 400,
                        name: None
                    }
                )
            },
        ),
        (
            "an endless body of an error",
            || Reply::endless().status(400),
            |e| {
                matches!(
                    e,
                    Error::Status {
                        status: 400,
                        name: None
                    }
                )
            },
        ),
        (
            "a quota for ever",
            || Reply::quota("never"),
            |e| matches!(e, Error::Quota { retry_after: None }),
        ),
    ];
    for (name, reply, is_expected) in cases {
        let setup = Setup::new(move |_| reply()).await;
        let error = setup.mood().await.unwrap_err();
        assert!(is_expected(&error), "{name}: {error:?}");
        assert_eq!(setup.request_count(), 1, "{name}");
    }
}

#[tokio::test]
async fn an_invalid_key_is_recognised_in_an_array() {
    let setup = Setup::new(|_| {
        let details = json!([{"reason": "SOMETHING"}, {"reason": "API_KEY_INVALID"}]);
        Reply::error_in_array(400, "INVALID_ARGUMENT", &details)
    })
    .await;
    assert!(matches!(setup.picture().await, Err(Error::BadKey)));
}

#[tokio::test]
async fn a_large_body_is_not_read_to_its_end() {
    let endless = Setup::new(|_| Reply::endless()).await;
    let announced = Setup::new(|_| Reply::announcing(100 << 20)).await;
    for setup in [endless, announced] {
        let text = setup.mood().await.unwrap_err();
        assert!(
            matches!(text, Error::TooLarge { limit: 1_048_576 }),
            "{text:?}"
        );
        let picture = setup.picture().await.unwrap_err();
        assert!(
            matches!(picture, Error::TooLarge { limit: 33_554_432 }),
            "{picture:?}"
        );
        assert_eq!(setup.request_count(), 2);
        setup.server.until_open(0).await;
    }
}

#[tokio::test]
async fn a_picture_of_four_megabytes_is_read() {
    let setup = Setup::new(|_| Reply::picture(&[PNG, &vec![7; 4 << 20]].concat())).await;
    assert_eq!(
        setup.picture().await.unwrap().bytes.len(),
        PNG.len() + (4 << 20)
    );
}

#[tokio::test]
async fn a_connection_that_breaks_in_a_body_is_not_tried_again() {
    let setup = Setup::new(|_| Reply::picture(PNG).cut()).await;
    let error = setup.picture().await.unwrap_err();
    assert!(matches!(error, Error::Interrupted(_)), "{error:?}");
    assert_eq!(setup.request_count(), 1);
}

/// Returns the error of a picture from a server that sends `answer` and closes the connection, and how many connections it got.
async fn error_of_raw_server(answer: &'static [u8]) -> (Error, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(config(format!("http://{}", listener.local_addr().unwrap()))).unwrap();
    let client = Arc::new(client);
    let call = tokio::spawn(async move {
        let deadline = Instant::now() + Duration::from_secs(50);
        client.picture("a prompt", deadline).await
    });
    let mut connections = 0;
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                connections += 1;
                let (mut stream, _) = accepted.unwrap();
                stream.readable().await.unwrap();
                stream.write_all(answer).await.unwrap();
            }
            _ = async { while !call.is_finished() { tokio::task::yield_now().await } } => break,
        }
    }
    (call.await.unwrap().unwrap_err(), connections)
}

#[tokio::test]
async fn a_server_that_does_not_speak_http_is_an_interrupted_attempt() {
    for answer in [&b""[..], b"SSH-2.0-OpenSSH_9.9\r\n"] {
        let (error, connections) = error_of_raw_server(answer).await;
        assert!(matches!(error, Error::Interrupted(_)), "{error:?}");
        assert_eq!(connections, 1);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Setup::new(|_| happy()).await;
    let url = other.server.base_url();
    let setup = Setup::new(move |_| Reply::redirect(&url)).await;
    let error = setup.mood().await.unwrap_err();
    assert!(
        matches!(error, Error::Status { status: 307, .. }),
        "{error:?}"
    );
    assert_eq!(other.request_count(), 0);
}

#[tokio::test]
async fn a_model_is_checked_without_generating() {
    let setup = Setup::new(|_| Reply::model()).await;
    let deadline = Instant::now() + Duration::from_secs(5);
    setup.client.check_model(deadline).await.unwrap();
    let [request] = setup.server.requests().try_into().unwrap();
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("GET", "/v1beta/models/a-model-1.5")
    );
    assert_eq!(request.api_key.as_deref(), Some(crate::support::KEY));
}

#[tokio::test]
async fn a_check_of_the_model_fails_with_its_cause() {
    let cases: [(fn() -> Reply, IsExpected); 4] = [
        (Reply::bad_key, |e| matches!(e, Error::BadKey)),
        (Reply::retired_model, |e| matches!(e, Error::RetiredModel)),
        (|| Reply::html(200), |e| matches!(e, Error::InvalidResponse)),
        (
            || Reply::html(503),
            |e| matches!(e, Error::Status { status: 503, .. }),
        ),
    ];
    for (reply, is_expected) in cases {
        let setup = Setup::new(move |_| reply()).await;
        let deadline = Instant::now() + Duration::from_secs(5);
        let error = setup.client.check_model(deadline).await.unwrap_err();
        assert!(is_expected(&error), "{error:?}");
        assert_eq!(setup.request_count(), 1);
    }
}
