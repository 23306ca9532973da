//! The circuit breaker, through calls.

use gemini_client::mock::Reply;
use gemini_client::{Cause, Error, OpenCircuit};
use serde_json::json;
use tokio::time::Instant;

use crate::support::{Clock, Current, NamedReply, PNG, Setup, happy, real_milliseconds, seconds};

async fn setup(current: &Current) -> Setup {
    let current = current.clone();
    Setup::new(move |_| current.reply()).await
}

fn open(cause: Cause, retry_after: f64) -> OpenCircuit {
    OpenCircuit {
        cause,
        retry_after: Some(seconds(retry_after)),
    }
}

#[tokio::test]
async fn a_provider_that_is_down_for_an_hour_costs_one_call_a_minute_and_recovers() {
    let clock = Clock::pause();
    let current = Current::new(Reply::never);
    let setup = setup(&current).await;
    let calls = [
        setup.picture_within(50.0).await,
        setup.picture_within(50.0).await,
        setup.picture_within(50.0).await,
    ];
    setup.server.until_open(3).await;
    clock.advance(45.0).await;
    for call in calls {
        assert!(matches!(call.await.unwrap(), Err(Error::TimedOut { .. })));
    }
    assert_eq!(
        setup.client.open_circuit(),
        Some(open(Cause::Failures, 60.0))
    );

    for probes in 1..=5 {
        let error = setup.picture().await.unwrap_err();
        assert!(matches!(error, Error::CircuitOpen(_)), "{error:?}");
        clock.advance(60.0).await;
        let probe = setup.picture_within(50.0).await;
        setup.server.until_open(1).await;
        assert_eq!(
            setup.client.open_circuit(),
            Some(open(Cause::Failures, 0.0))
        );
        let error = setup.picture().await.unwrap_err();
        assert!(
            matches!(error, Error::CircuitOpen(_)),
            "while a probe runs: {error:?}"
        );
        clock.advance(45.0).await;
        probe.await.unwrap().unwrap_err();
        assert_eq!(setup.request_count(), 3 + probes);
    }

    current.set(|| Reply::picture(PNG));
    clock.advance(60.0).await;
    setup.picture().await.unwrap();
    assert_eq!(setup.client.open_circuit(), None);
    setup.picture().await.unwrap();
}

#[tokio::test]
async fn a_probe_that_is_dropped_leaves_its_place_to_the_next_call() {
    let clock = Clock::pause();
    let current = Current::new(|| Reply::html(200));
    let setup = setup(&current).await;
    for _ in 0..3 {
        setup.mood().await.unwrap_err();
    }
    current.set(Reply::never);
    clock.advance(60.0).await;
    let probe = setup.mood_within(50.0).await;
    setup.server.until_open(1).await;
    probe.abort();
    setup.server.until_open(0).await;
    current.set(happy);
    setup.mood().await.unwrap();
    assert_eq!(setup.client.open_circuit(), None);
}

#[tokio::test]
async fn every_kind_of_failure_opens_the_circuit() {
    let cases: [NamedReply; 5] = [
        ("HTML", || Reply::html(200)),
        ("too large", || Reply::announcing(1 << 40)),
        ("interrupted", || happy().cut()),
        ("not implemented", || Reply::html(501)),
        ("redirect", || Reply::redirect("http://127.0.0.1:9/")),
    ];
    for (name, reply) in cases {
        let setup = Setup::new(move |_| reply()).await;
        for failures in 0..3 {
            assert_eq!(
                setup.client.open_circuit(),
                None,
                "{name} after {failures} failures"
            );
            setup.mood().await.unwrap_err();
        }
        let cause = setup.client.open_circuit().map(|open| open.cause);
        assert_eq!(cause, Some(Cause::Failures), "{name}");
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_leaves_the_circuit_closed() {
    let cases: [NamedReply; 4] = [
        ("filtered", || Reply::finished("SAFETY")),
        ("unfit", || Reply::finished("OTHER")),
        ("no candidates", || Reply::json(200, &json!({}))),
        ("an invalid argument", || {
            Reply::error(400, "INVALID_ARGUMENT", &json!([]))
        }),
    ];
    for (name, reply) in cases {
        let setup = Setup::new(move |_| reply()).await;
        for _ in 0..4 {
            setup.mood().await.unwrap_err();
        }
        assert_eq!(setup.client.open_circuit(), None, "{name}");
    }
}

#[tokio::test]
async fn short_deadlines_leave_the_circuit_closed() {
    let clock = Clock::pause();
    let setup = Setup::new(|_| Reply::never()).await;
    for _ in 0..4 {
        let call = setup.mood_within(9.0).await;
        setup.server.until_open(1).await;
        clock.advance(9.0).await;
        assert!(matches!(call.await.unwrap(), Err(Error::TimedOut { .. })));
        setup.server.until_open(0).await;
    }
    assert_eq!(setup.client.open_circuit(), None);
}

#[tokio::test]
async fn a_used_up_quota_opens_the_circuit_until_the_time_of_the_provider() {
    let clock = Clock::pause();
    let current = Current::new(|| Reply::quota("7200s"));
    let setup = setup(&current).await;
    setup.mood().await.unwrap_err();
    assert_eq!(
        setup.client.open_circuit(),
        Some(open(Cause::Quota, 7200.0))
    );
    current.set(happy);
    clock.advance(7199.0).await;
    let left = setup.client.open_circuit().unwrap().retry_after.unwrap();
    assert!(left > seconds(0.9) && left <= seconds(1.0), "{left:?}");
    assert!(matches!(setup.mood().await, Err(Error::CircuitOpen(_))));
    assert_eq!(setup.request_count(), 1);
    clock.advance(1.0).await;
    setup.mood().await.unwrap();
}

#[tokio::test]
async fn a_quota_that_never_comes_back_opens_the_circuit_for_ever() {
    let clock = Clock::pause();
    for delay in ["never", "315576000000000000000s"] {
        let setup = Setup::new(move |_| Reply::quota(delay)).await;
        assert!(matches!(
            setup.mood().await,
            Err(Error::Quota { retry_after: None })
        ));
        clock.advance(1_000_000.0).await;
        let expected = OpenCircuit {
            cause: Cause::Quota,
            retry_after: None,
        };
        assert_eq!(setup.client.open_circuit(), Some(expected));
        assert!(matches!(setup.mood().await, Err(Error::CircuitOpen(open)) if open == expected));
        assert_eq!(setup.request_count(), 1);
    }
}

#[tokio::test]
async fn a_key_or_model_that_is_refused_opens_the_circuit_and_recovers() {
    let cases: [(fn() -> Reply, Cause); 2] = [
        (Reply::bad_key, Cause::BadKey),
        (Reply::retired_model, Cause::RetiredModel),
    ];
    for (reply, cause) in cases {
        let clock = Clock::pause();
        let current = Current::new(reply);
        let setup = setup(&current).await;
        setup.mood().await.unwrap_err();
        assert_eq!(setup.client.open_circuit(), Some(open(cause, 60.0)));
        assert!(matches!(setup.mood().await, Err(Error::CircuitOpen(_))));
        clock.advance(60.0).await;
        setup.mood().await.unwrap_err();
        assert_eq!(setup.client.open_circuit(), Some(open(cause, 60.0)));
        assert_eq!(setup.request_count(), 2);
        current.set(happy);
        clock.advance(60.0).await;
        setup.mood().await.unwrap();
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_check_of_the_model_opens_the_circuit_for_a_bad_key_only() {
    let _clock = Clock::pause();
    let current = Current::new(|| Reply::html(503));
    let setup = setup(&current).await;
    let check = || setup.client.check_model(Instant::now() + seconds(5.0));
    for _ in 0..4 {
        check().await.unwrap_err();
    }
    current.set(|| Reply::quota("3600s"));
    check().await.unwrap_err();
    assert_eq!(setup.client.open_circuit(), None);
    current.set(Reply::bad_key);
    check().await.unwrap_err();
    assert_eq!(setup.client.open_circuit(), Some(open(Cause::BadKey, 60.0)));
    // It is sent while the circuit is open, and does not close it.
    current.set(Reply::model);
    check().await.unwrap();
    assert_eq!(setup.client.open_circuit(), Some(open(Cause::BadKey, 60.0)));
}

#[tokio::test]
async fn a_call_that_waited_for_a_slot_fails_if_the_circuit_has_opened() {
    let setup = Setup::with_concurrency(1, |_| Reply::bad_key()).await;
    let first = setup.mood_within(50.0).await;
    let second = setup.mood_within(50.0).await;
    assert!(matches!(first.await.unwrap(), Err(Error::BadKey)));
    assert!(matches!(second.await.unwrap(), Err(Error::CircuitOpen(_))));
    real_milliseconds().await;
    assert_eq!(setup.request_count(), 1);
}
