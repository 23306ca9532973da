//! What is sent, and how successful responses are read.

use gemini_client::mock::{Reply, inline_data};
use gemini_client::{Error, Operation, PictureFormat, Usage};
use serde_json::{Value, json};

use crate::support::{JPEG, KEY, NamedReply, PNG, Setup, WEBP, happy};

#[tokio::test]
async fn a_question_is_sent_as_the_protocol_says() {
    let setup = Setup::new(|_| happy()).await;
    assert_eq!(setup.mood().await.unwrap().mood, "happy");
    let [request] = setup.server.requests().try_into().unwrap();
    assert_eq!(request.method, "POST");
    assert_eq!(request.path, "/v1beta/models/a-model-1.5:generateContent");
    assert_eq!(request.api_key.as_deref(), Some(KEY));
    let expected = json!({
        "systemInstruction": {"parts": [{"text": "Name the mood."}]},
        "contents": [{"role": "user", "parts": [{"text": "first part"}, {"text": "second part"}]}],
        "generationConfig": {
            "responseMimeType": "application/json",
            "responseJsonSchema": crate::support::schema(),
            "thinkingConfig": {"thinkingLevel": "low"},
        },
    });
    assert_eq!(request.body, expected);
}

#[tokio::test]
async fn a_picture_is_asked_for_with_modality_ratio_and_size_only() {
    let setup = Setup::new(|_| Reply::picture(PNG)).await;
    let picture = setup.picture().await.unwrap();
    assert_eq!(
        (picture.bytes.as_slice(), picture.format),
        (PNG, PictureFormat::Png)
    );
    let [request] = setup.server.requests().try_into().unwrap();
    assert_eq!(request.path, "/v1beta/models/a-model-1.5:generateContent");
    assert_eq!(request.api_key.as_deref(), Some(KEY));
    let expected = json!({
        "contents": [{"role": "user", "parts": [{"text": "a prompt"}]}],
        "generationConfig": {
            "responseModalities": ["IMAGE"],
            "imageConfig": {"aspectRatio": "1:1", "imageSize": "1K"},
        },
    });
    assert_eq!(request.body, expected);
}

fn candidates(candidates: &Value) -> Reply {
    Reply::json(200, &json!({"candidates": candidates}))
}

#[tokio::test]
async fn the_last_picture_that_is_not_a_thought_is_returned() {
    let thought = |bytes| {
        let mut part = inline_data(bytes);
        part["thought"] = json!(true);
        part
    };
    let url_safe = "_9j_4ABvZg";
    let cases = [
        (
            "one part",
            json!([inline_data(PNG)]),
            PictureFormat::Png,
            PNG,
        ),
        (
            "a JPEG",
            json!([inline_data(JPEG)]),
            PictureFormat::Jpeg,
            JPEG,
        ),
        (
            "a WebP",
            json!([inline_data(WEBP)]),
            PictureFormat::WebP,
            WEBP,
        ),
        (
            "text first",
            json!([{"text": "Here it is."}, inline_data(PNG)]),
            PictureFormat::Png,
            PNG,
        ),
        (
            "text last",
            json!([inline_data(PNG), {"text": "Do you like it?"}]),
            PictureFormat::Png,
            PNG,
        ),
        (
            "two pictures",
            json!([inline_data(PNG), inline_data(JPEG)]),
            PictureFormat::Jpeg,
            JPEG,
        ),
        (
            "a thought last",
            json!([inline_data(PNG), thought(JPEG)]),
            PictureFormat::Png,
            PNG,
        ),
        (
            "a thought first",
            json!([thought(JPEG), inline_data(PNG)]),
            PictureFormat::Png,
            PNG,
        ),
        (
            "not a picture last",
            json!([inline_data(PNG), inline_data(b"%PDF-1.7")]),
            PictureFormat::Png,
            PNG,
        ),
        (
            "not base64 last",
            json!([inline_data(PNG), {"inlineData": {"data": "?!"}}]),
            PictureFormat::Png,
            PNG,
        ),
        (
            "no data last",
            json!([inline_data(PNG), {"inlineData": {"mimeType": "image/png"}}]),
            PictureFormat::Png,
            PNG,
        ),
        (
            "snake case",
            json!([{"inline_data": inline_data(PNG)["inlineData"]}]),
            PictureFormat::Png,
            PNG,
        ),
        (
            "URL-safe base64 without padding",
            json!([{"inlineData": {"data": url_safe}}]),
            PictureFormat::Jpeg,
            b"\xff\xd8\xff\xe0\0of",
        ),
        (
            "null fields",
            json!([{"text": null, "thought": null, "inlineData": inline_data(PNG)["inlineData"]}]),
            PictureFormat::Png,
            PNG,
        ),
    ];
    for (name, parts, format, bytes) in cases {
        let setup = Setup::new(move |_| Reply::candidate(&parts, "STOP")).await;
        let picture = setup
            .picture()
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            (picture.format, picture.bytes.as_slice()),
            (format, bytes),
            "{name}"
        );
    }
}

#[tokio::test]
async fn all_candidates_are_searched_for_a_picture() {
    let with = |bytes, reason: &str| json!({"content": {"parts": [inline_data(bytes)]}, "finishReason": reason});
    let empty = json!({"finishReason": "NO_IMAGE"});
    let cases = [
        (
            "the last of two",
            json!([with(JPEG, "STOP"), with(PNG, "STOP")]),
        ),
        (
            "an empty candidate first",
            json!([empty, with(PNG, "STOP")]),
        ),
        ("an empty candidate last", json!([with(PNG, "STOP"), empty])),
        (
            "an unknown finish reason",
            json!([with(PNG, "A_REASON_OF_NEXT_YEAR")]),
        ),
        (
            "a filtered candidate last",
            json!([with(PNG, "STOP"), with(JPEG, "IMAGE_SAFETY")]),
        ),
    ];
    for (name, body) in cases {
        let setup = Setup::new(move |_| candidates(&body)).await;
        let picture = setup
            .picture()
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(picture.bytes, PNG, "{name}");
    }
}

#[tokio::test]
async fn a_response_without_a_picture_is_an_ordinary_error() {
    let cases: [(NamedReply, Option<&str>); 7] = [
        (
            ("text only", || {
                Reply::candidate(&json!([{"text": "No."}]), "STOP")
            }),
            Some("STOP"),
        ),
        (("empty candidates", || candidates(&json!([]))), None),
        (("no candidates", || Reply::json(200, &json!({}))), None),
        (("null candidates", || candidates(&Value::Null)), None),
        (("no content", || Reply::finished("STOP")), Some("STOP")),
        (
            ("no parts", || {
                candidates(&json!([{"content": {"role": "model"}}]))
            }),
            None,
        ),
        (
            ("an unknown finish reason", || Reply::finished("NEW_REASON")),
            Some("NEW_REASON"),
        ),
    ];
    for ((name, reply), expected) in cases {
        let setup = Setup::new(move |_| reply()).await;
        match setup.picture().await {
            Err(Error::NoPicture { finish_reason }) => {
                assert_eq!(finish_reason.as_deref(), expected, "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(setup.request_count(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_filtered_request_is_not_repeated() {
    let finish_reasons = [
        "SAFETY",
        "PROHIBITED_CONTENT",
        "BLOCKLIST",
        "SPII",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
    ];
    let block_reasons = ["SAFETY", "OTHER", "A_REASON_OF_NEXT_YEAR"];
    let finished = finish_reasons.map(|reason| (reason, Reply::finished as fn(&str) -> Reply));
    let blocked = block_reasons.map(|reason| (reason, Reply::blocked as fn(&str) -> Reply));
    for (expected, reply) in finished.into_iter().chain(blocked) {
        let setup = Setup::new(move |_| reply(expected)).await;
        let of_picture = setup.picture().await.unwrap_err();
        let of_text = setup.mood().await.unwrap_err();
        for error in [of_picture, of_text] {
            let Error::Filtered { reason } = error else {
                panic!("{expected}: {error:?}");
            };
            assert_eq!(reason, expected);
        }
        assert_eq!(setup.request_count(), 2, "{expected}");
    }
}

#[tokio::test]
async fn an_answer_is_joined_from_the_parts_that_are_not_thoughts() {
    let parts = json!([
        {"text": "The user seems happy.", "thought": true},
        {"text": "{\"mood\":"},
        {"text": " \"happy\"}", "thoughtSignature": "c2lnbmF0dXJl"},
    ]);
    let setup = Setup::new(move |_| Reply::candidate(&parts, "STOP")).await;
    assert_eq!(setup.mood().await.unwrap().mood, "happy");
}

#[tokio::test]
async fn the_first_candidate_that_fits_is_the_answer() {
    let with = |text: &str| json!({"content": {"parts": [{"text": text}]}});
    let body = json!([
        with("no JSON"),
        with(r#"{"mood": "happy"}"#),
        with(r#"{"mood": "sad"}"#)
    ]);
    let setup = Setup::new(move |_| candidates(&body)).await;
    assert_eq!(setup.mood().await.unwrap().mood, "happy");
}

#[tokio::test]
async fn an_attempt_reports_what_the_provider_bills() {
    let setup = Setup::new(|request| match request.number {
        0 => Reply::picture(PNG),
        1 => Reply::candidate(&json!([{"text": "not JSON"}]), "STOP"),
        2 => happy(),
        _ => Reply::model(),
    })
    .await;
    setup.picture().await.unwrap();
    setup.mood().await.unwrap();
    let deadline = tokio::time::Instant::now() + crate::support::seconds(5.0);
    setup.client.check_model(deadline).await.unwrap();
    let tokens = Usage {
        prompt_tokens: 11,
        answer_tokens: 22,
        thought_tokens: 3,
        pictures: 0,
    };
    let picture = Usage {
        pictures: 1,
        ..tokens
    };
    let unfit = "the answer does not fit (finish reason STOP)".to_owned();
    let expected = [
        (Operation::Picture, picture, None),
        (Operation::Json, tokens, Some(unfit)),
        (Operation::Json, tokens, None),
        (Operation::CheckModel, Usage::default(), None),
    ];
    let attempts = setup.attempts.all();
    let seen: Vec<_> = attempts
        .into_iter()
        .map(|a| (a.operation, a.usage, a.error))
        .collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn the_retirement_of_a_model_is_known_after_an_answer() {
    let setup = Setup::new(|_| {
        let status = json!({"modelStage": "STABLE", "retirementTime": "2027-01-31T00:00:00Z"});
        Reply::json(200, &json!({"candidates": [], "modelStatus": status}))
    })
    .await;
    assert_eq!(setup.client.retirement_time(), None);
    setup.picture().await.unwrap_err();
    let time = setup.client.retirement_time().unwrap();
    assert_eq!(time.to_rfc3339(), "2027-01-31T00:00:00+00:00");
}

#[tokio::test]
async fn a_retirement_time_that_cannot_be_read_is_ignored() {
    let setup = Setup::new(|_| {
        let answer = json!([{"content": {"parts": [{"text": "{\"mood\":\"happy\"}"}]}}]);
        let status = json!({"retirementTime": "soon"});
        Reply::json(200, &json!({"candidates": answer, "modelStatus": status}))
    })
    .await;
    setup.mood().await.unwrap();
    assert_eq!(setup.client.retirement_time(), None);
}
