//! Deadlines, time-outs, dropped calls and the concurrency limit.

use gemini_client::Error;
use gemini_client::mock::Reply;
use tokio::time::Instant;

use crate::support::{Clock, NamedReply, PNG, Setup, happy, real_milliseconds, seconds};

#[tokio::test]
async fn a_call_ends_at_its_deadline_and_closes_its_connection() {
    let cases: [NamedReply; 3] = [
        ("no response", Reply::never),
        ("a body that stalls", || Reply::picture(PNG).stalled()),
        ("an error whose body stalls", || Reply::html(503).stalled()),
    ];
    for (name, reply) in cases {
        let clock = Clock::pause();
        let setup = Setup::new(move |_| reply()).await;
        let call = setup.picture_within(30.0).await;
        setup.server.until_open(1).await;
        clock.advance(29.9).await;
        real_milliseconds().await;
        assert!(!call.is_finished(), "{name}");
        clock.advance(0.1).await;
        let error = call.await.unwrap().unwrap_err();
        assert!(
            matches!(error, Error::TimedOut { waited } if waited >= seconds(29.9) && waited < seconds(31.0)),
            "{name}: {error:?}"
        );
        setup.server.until_open(0).await;
        assert_eq!(setup.request_count(), 1, "{name}");
        tokio::time::resume();
    }
}

#[tokio::test]
async fn an_attempt_ends_after_45_seconds_and_is_not_repeated() {
    let clock = Clock::pause();
    let setup = Setup::new(|_| Reply::picture(PNG).after(seconds(600.0))).await;
    let call = setup.picture_within(600.0).await;
    setup.server.until_open(1).await;
    clock.advance(45.0).await;
    let error = call.await.unwrap().unwrap_err();
    assert!(
        matches!(error, Error::TimedOut { waited } if waited >= seconds(45.0) && waited < seconds(46.0)),
        "{error:?}"
    );
    setup.server.until_open(0).await;
    assert_eq!(setup.request_count(), 1);
}

#[tokio::test]
async fn an_answer_that_comes_just_in_time_is_used() {
    let clock = Clock::pause();
    let setup = Setup::new(|_| Reply::picture(PNG).after(seconds(44.0))).await;
    let call = setup.picture_within(50.0).await;
    setup.server.until_open(1).await;
    clock.advance(44.0).await;
    assert_eq!(call.await.unwrap().unwrap().bytes, PNG);
}

#[tokio::test]
async fn a_deadline_that_has_passed_sends_nothing() {
    let setup = Setup::new(|_| happy()).await;
    let error = setup.mood_within(0.0).await.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error:?}");
    real_milliseconds().await;
    assert_eq!(setup.request_count(), 0);
}

#[tokio::test]
async fn a_dropped_call_closes_its_connection_and_frees_its_slot() {
    let setup = Setup::with_concurrency(1, |request| match request.number {
        0 => Reply::never(),
        1 => Reply::picture(PNG).stalled(),
        _ => Reply::picture(PNG),
    })
    .await;
    for _ in 0..2 {
        let call = setup.picture_within(50.0).await;
        setup.server.until_open(1).await;
        call.abort();
        setup.server.until_open(0).await;
    }
    setup.picture().await.unwrap();
    assert_eq!(setup.request_count(), 3);
}

#[tokio::test]
async fn a_call_that_is_dropped_before_a_retry_sends_nothing_more() {
    let clock = Clock::pause();
    let setup = Setup::new(|_| Reply::html(503)).await;
    let call = setup.picture_within(50.0).await;
    setup.attempts.until(1).await;
    call.abort();
    clock.advance(10.0).await;
    real_milliseconds().await;
    assert_eq!(setup.request_count(), 1);
}

#[tokio::test]
async fn calls_over_the_limit_wait_for_a_slot() {
    let clock = Clock::pause();
    let setup = Setup::with_concurrency(2, |_| happy().after(seconds(3.0))).await;
    let mut calls = Vec::new();
    for _ in 0..5 {
        calls.push(setup.mood_within(50.0).await);
    }
    for sent in [2, 4, 5] {
        setup.server.until_open(if sent == 5 { 1 } else { 2 }).await;
        real_milliseconds().await;
        assert_eq!(setup.request_count(), sent);
        clock.advance(3.0).await;
        setup.attempts.until(sent).await;
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn the_wait_for_a_slot_counts_towards_the_deadline() {
    let clock = Clock::pause();
    let setup = Setup::with_concurrency(1, |_| Reply::never()).await;
    let first = setup.mood_within(30.0).await;
    setup.server.until_open(1).await;
    let second = setup.mood_within(5.0).await;
    let third = setup.mood_within(40.0).await;
    clock.advance(5.0).await;
    let error = second.await.unwrap().unwrap_err();
    assert!(
        matches!(error, Error::TimedOut { waited } if waited.is_zero()),
        "{error:?}"
    );
    assert_eq!(setup.request_count(), 1);
    clock.advance(25.0).await;
    first.await.unwrap().unwrap_err();
    setup.server.until_open(1).await;
    clock.advance(10.0).await;
    // The third call had 10 of its 40 s left when it got the slot.
    let error = third.await.unwrap().unwrap_err();
    let Error::TimedOut { waited } = error else {
        panic!("{error:?}");
    };
    assert!(waited <= seconds(10.1), "{waited:?}");
}

#[tokio::test]
async fn a_check_of_the_model_does_not_wait_for_a_slot() {
    let setup = Setup::with_concurrency(1, |request| match request.method.as_str() {
        "GET" => Reply::model(),
        _ => Reply::never(),
    })
    .await;
    let call = setup.mood_within(50.0).await;
    setup.server.until_open(1).await;
    let deadline = Instant::now() + seconds(10.0);
    setup.client.check_model(deadline).await.unwrap();
    call.abort();
}
