//! Which attempts are repeated, and when.

use gemini_client::mock::Reply;
use gemini_client::{Client, Error};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::support::{Clock, NamedReply, PNG, Setup, config, happy, real_milliseconds, seconds};

#[tokio::test]
async fn a_server_error_is_tried_again_after_a_growing_delay() {
    for status in [408, 500, 502, 503, 504] {
        let clock = Clock::pause();
        let setup = Setup::new(move |request| match request.number {
            0 => Reply::html(status),
            1 => Reply::error(status, "UNAVAILABLE", &json!([])),
            _ => Reply::picture(PNG),
        })
        .await;
        let call = setup.picture_within(50.0).await;
        setup.attempts.until(1).await;
        clock.advance(0.4).await;
        real_milliseconds().await;
        assert_eq!(
            setup.request_count(),
            1,
            "status {status}: the first delay is at least 0.5 s"
        );
        clock.advance(0.7).await;
        setup.attempts.until(2).await;
        clock.advance(0.9).await;
        real_milliseconds().await;
        assert_eq!(
            setup.request_count(),
            2,
            "status {status}: the second delay is at least 1 s"
        );
        clock.advance(1.2).await;
        assert_eq!(call.await.unwrap().unwrap().bytes, PNG, "status {status}");
        assert_eq!(setup.request_count(), 3, "status {status}");
        tokio::time::resume();
    }
}

#[tokio::test]
async fn the_fourth_failure_is_the_last() {
    let clock = Clock::pause();
    let setup = Setup::new(|_| Reply::html(503)).await;
    let call = setup.mood_within(50.0).await;
    for failures in 1..=3 {
        setup.attempts.until(failures).await;
        clock.advance(4.0).await;
    }
    let error = call.await.unwrap().unwrap_err();
    assert!(
        matches!(
            error,
            Error::Status {
                status: 503,
                name: None
            }
        ),
        "{error:?}"
    );
    assert_eq!(setup.request_count(), 4);
}

#[tokio::test]
async fn other_statuses_are_not_tried_again() {
    for status in [301, 400, 401, 403, 404, 413, 418, 501, 505] {
        let setup = Setup::new(move |_| Reply::html(status)).await;
        let error = setup.mood().await.unwrap_err();
        assert!(
            matches!(error, Error::Status { status: s, .. } if s == status),
            "{error:?}"
        );
        assert_eq!(setup.request_count(), 1, "status {status}");
    }
}

#[tokio::test]
async fn a_refused_connection_is_tried_again() {
    let clock = Clock::pause();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let setup = Setup::new(|_| happy()).await;
    let attempts = setup.attempts.clone();
    let client = Client::new(gemini_client::Config {
        observer: attempts,
        ..config(url)
    });
    let client = client.unwrap();
    let deadline = Instant::now() + seconds(50.0);
    let call = tokio::spawn(async move { client.picture("a prompt", deadline).await });
    for failures in 1..=3 {
        setup.attempts.until(failures).await;
        clock.advance(4.0).await;
    }
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
    assert_eq!(setup.attempts.all().len(), 4);
}

#[tokio::test]
async fn a_quota_that_comes_back_in_time_is_waited_for() {
    let clock = Clock::pause();
    let setup = Setup::with_replies(&[|| Reply::quota("20.5s"), || Reply::picture(PNG)]).await;
    let call = setup.picture_within(50.0).await;
    setup.attempts.until(1).await;
    clock.advance(20.4).await;
    real_milliseconds().await;
    assert_eq!(setup.request_count(), 1);
    clock.advance(0.2).await;
    call.await.unwrap().unwrap();
    assert!(setup.client.open_circuit().is_none());
}

#[tokio::test]
async fn a_quota_that_comes_back_too_late_is_not_waited_for() {
    // 10 s for the attempt itself do not fit after the delay.
    let cases = [("41s", 41.0), ("3600s", 3600.0), ("86399.5s", 86399.5)];
    for (delay, expected) in cases {
        let setup = Setup::new(move |_| Reply::quota(delay)).await;
        let error = setup.picture().await.unwrap_err();
        let Error::Quota { retry_after } = error else {
            panic!("{delay}: {error:?}");
        };
        assert_eq!(retry_after, Some(seconds(expected)));
        assert_eq!(setup.request_count(), 1, "{delay}");
    }
}

#[tokio::test]
async fn a_quota_without_a_time_that_can_be_read_comes_back_after_a_minute() {
    fn quota(delay: &Value) -> Reply {
        let info = "type.googleapis.com/google.rpc.RetryInfo";
        let details = json!([{"@type": info, "retryDelay": delay}]);
        Reply::error_in_array(429, "RESOURCE_EXHAUSTED", &details)
    }
    let cases: [NamedReply; 7] = [
        ("HTML", || Reply::html(429)),
        ("no details", || {
            Reply::error(429, "RESOURCE_EXHAUSTED", &json!([]))
        }),
        ("text", || quota(&json!("soon"))),
        ("negative", || quota(&json!("-1s"))),
        ("not a number", || quota(&json!("NaNs"))),
        ("an object", || quota(&json!({"seconds": 5}))),
        ("null", || quota(&Value::Null)),
    ];
    for (name, reply) in cases {
        let setup = Setup::new(move |_| reply()).await;
        match setup.mood().await {
            Err(Error::Quota { retry_after }) => {
                assert_eq!(retry_after, Some(seconds(60.0)), "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(setup.request_count(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_picture_that_may_come_at_the_next_attempt_is_asked_for_once_more() {
    let reasons = [
        "NO_IMAGE",
        "IMAGE_OTHER",
        "OTHER",
        "RECITATION",
        "IMAGE_RECITATION",
        "MALFORMED_RESPONSE",
    ];
    for reason in reasons {
        let setup = Setup::new(move |request| match request.number {
            0 => Reply::finished(reason),
            1 => Reply::picture(PNG),
            _ => Reply::finished(reason),
        })
        .await;
        setup
            .picture()
            .await
            .unwrap_or_else(|error| panic!("{reason}: {error}"));
        assert_eq!(setup.request_count(), 2, "{reason}");
        let error = setup.picture().await.unwrap_err();
        assert!(
            matches!(&error, Error::NoPicture { finish_reason: Some(r) } if r == reason),
            "{error:?}"
        );
        assert_eq!(setup.request_count(), 4, "{reason}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_asked_for_once_more() {
    let cases: [NamedReply; 8] = [
        ("cut", || {
            Reply::candidate(&json!([{"text": "{\"mood\": \"ha"}]), "MAX_TOKENS")
        }),
        ("cut after it was complete", || {
            Reply::candidate(&json!([{"text": "{\"mood\": \"happy\"}"}]), "MAX_TOKENS")
        }),
        ("not JSON", || {
            Reply::candidate(&json!([{"text": "You are happy."}]), "STOP")
        }),
        ("in a code fence", || {
            Reply::candidate(
                &json!([{"text": "```json\n{\"mood\": \"happy\"}\n```"}]),
                "STOP",
            )
        }),
        ("another type", || Reply::answer(&json!({"mood": 7}))),
        ("a field too many", || {
            Reply::answer(&json!({"mood": "happy", "advice": "Smile."}))
        }),
        ("thoughts only", || {
            Reply::candidate(
                &json!([{"text": "{\"mood\": \"happy\"}", "thought": true}]),
                "STOP",
            )
        }),
        ("no content", || Reply::finished("OTHER")),
    ];
    for (name, reply) in cases {
        let setup = Setup::new(move |request| match request.number {
            0 => reply(),
            1 => happy(),
            _ => reply(),
        })
        .await;
        assert_eq!(setup.mood().await.unwrap().mood, "happy", "{name}");
        assert_eq!(setup.request_count(), 2, "{name}");
        let error = setup.mood().await.unwrap_err();
        assert!(matches!(error, Error::Unfit { .. }), "{name}: {error:?}");
        assert_eq!(setup.request_count(), 4, "{name}");
    }
}

#[tokio::test]
async fn an_attempt_is_not_repeated_if_too_little_time_is_left() {
    let cases: [NamedReply; 3] = [
        ("server error", || Reply::html(503)),
        ("no image", || Reply::finished("NO_IMAGE")),
        ("quota", || Reply::quota("0.1s")),
    ];
    for (name, reply) in cases {
        let setup = Setup::new(move |_| reply()).await;
        setup.picture_within(9.9).await.await.unwrap().unwrap_err();
        assert_eq!(setup.request_count(), 1, "{name}");
    }
}
