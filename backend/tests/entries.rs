use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Service, User, entry};

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap()
}

#[tokio::test]
async fn what_is_stored_comes_back() {
    let s = Service::start().await;
    let ann = s.server.user().await;
    let stored = ann.entry(&entry()).await;
    let keys: Vec<_> = stored
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        [
            "created_at",
            "emotions",
            "has_visualization",
            "id",
            "intensity",
            "notes",
            "situation",
            "updated_at",
            "visualization_id"
        ]
    );
    assert_eq!(stored["situation"], "It rained, and I sang.");
    assert_eq!(stored["emotions"], json!(["joy", "surprise"]));
    assert_eq!(stored["notes"], "in D major");
    assert_eq!(
        (&stored["has_visualization"], &stored["visualization_id"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(stored["created_at"], stored["updated_at"]);
    assert!(text(&stored, "created_at").ends_with('Z'));
    let id = text(&stored, "id");
    assert_eq!(ann.get(&format!("/entries/{id}")).await.data(200), stored);
    assert_eq!(
        ann.get("/entries").await.data(200),
        json!({"entries": [stored], "total": 1, "limit": 50, "offset": 0})
    );
    assert_eq!(
        s.database
            .count("SELECT count(*) FROM emotion_entries WHERE source = 'manual'")
            .await,
        1
    );
}

#[tokio::test]
async fn numbers_are_numbers_of_two_decimals() {
    let s = Service::start().await;
    let ann = s.server.user().await;
    for (sent, kept) in [
        ("0", "0.0"),
        ("1", "1.0"),
        ("0.8", "0.8"),
        ("0.123", "0.12"),
        ("0.125", "0.13"),
        ("0.999", "1.0"),
        ("7e-1", "0.7"),
    ] {
        let mut body = entry();
        body["intensity"] = serde_json::from_str(sent).unwrap();
        let reply = ann.post("/entries", &body).await;
        reply.data(201);
        assert!(
            reply.text.contains(&format!("\"intensity\":{kept},")),
            "{sent}: {}",
            reply.text
        );
    }
}

#[tokio::test]
async fn texts_of_every_kind_come_back() {
    let s = Service::start().await;
    let ann = s.server.user().await;
    for situation in [
        "😀".repeat(5000).as_str(),
        "'; DROP TABLE users; --",
        "\u{1}\u{7f}\u{2028}\u{fffe}",
        "a\r\nb\tc\"\\",
        "日本語 עברית",
    ] {
        let mut body = entry();
        body["situation"] = json!(situation);
        assert_eq!(ann.entry(&body).await["situation"], situation);
    }
    let mut body = entry();
    body["notes"] = json!("\u{10ffff}".repeat(10_000));
    body["situation"] = json!("\u{1}".repeat(5000));
    assert_eq!(
        ann.entry(&body).await["notes"],
        body["notes"],
        "the longest there is"
    );
}

#[tokio::test]
async fn notes_may_be_left_out_and_other_fields_are_passed_over() {
    let s = Service::start().await;
    let ann = s.server.user().await;
    let stored =
        ann.entry(&json!({"situation": "x", "emotions": ["fear"], "intensity": 1, "id": "mine", "user_id": 7, "mood": null})).await;
    assert_eq!(stored["notes"], "");
    assert_ne!(stored["id"], "mine");
}

#[tokio::test]
async fn what_an_entry_must_be() {
    let s = Service::start().await;
    let ann = s.server.user().await;
    let stored = ann.entry(&entry()).await;
    let id = text(&stored, "id");
    let ten_and_one: Vec<_> = (0..11).map(|i| i.to_string()).collect();
    for (field, value, rule) in [
        ("situation", json!(""), "must have 1 to 5000 characters"),
        (
            "situation",
            json!("x".repeat(5001)),
            "must have 1 to 5000 characters",
        ),
        ("situation", json!("a\u{0}b"), "must not contain U+0000"),
        ("situation", json!(["x"]), "must be a string"),
        ("situation", json!(null), "must be a string"),
        ("emotions", json!([]), "must have 1 to 10 items"),
        ("emotions", json!(ten_and_one), "must have 1 to 10 items"),
        (
            "emotions",
            json!(["joy", "joy"]),
            "must not name an emotion twice",
        ),
        ("emotions", json!("joy"), "must be a list"),
        ("emotions", json!(null), "must be a list"),
        ("intensity", json!(-0.01), "must be between 0 and 1"),
        ("intensity", json!(1.01), "must be between 0 and 1"),
        ("intensity", json!("0.7"), "must be a number"),
        ("intensity", json!(null), "must be a number"),
        ("intensity", json!(true), "must be a number"),
        (
            "notes",
            json!("x".repeat(10_001)),
            "must have at most 10000 characters",
        ),
        ("notes", json!("\u{0}"), "must not contain U+0000"),
        ("notes", json!(null), "must be a string"),
    ] {
        let mut body = entry();
        body[field] = value.clone();
        assert_eq!(ann.post("/entries", &body).await.rule(field), rule);
        assert_eq!(
            ann.put(&format!("/entries/{id}"), &json!({field: value}))
                .await
                .rule(field),
            rule
        );
    }
    for field in ["situation", "emotions", "intensity"] {
        let mut body = entry();
        body.as_object_mut().unwrap().remove(field);
        assert_eq!(ann.post("/entries", &body).await.rule(field), "is required");
    }
    assert_eq!(
        ann.post(
            "/entries",
            &json!({"situation": "x", "emotions": ["joy", 7], "intensity": 0})
        )
        .await
        .rule("emotions[1]"),
        "must be a string"
    );
    assert_eq!(
        ann.post("/entries", &json!([]))
            .await
            .error(400, "VALIDATION_ERROR")["details"]["fields"]
            .as_object()
            .unwrap()
            .len(),
        1
    );
    let several = ann
        .post(
            "/entries",
            &json!({"situation": "", "emotions": [], "intensity": 2}),
        )
        .await
        .error(400, "VALIDATION_ERROR");
    assert_eq!(several["details"]["fields"].as_object().unwrap().len(), 3);
    assert_eq!(
        ann.get("/entries").await.data(200)["entries"],
        json!([stored]),
        "nothing was stored or changed"
    );
}

#[tokio::test]
async fn unknown_emotions_are_named() {
    let s = Service::start().await;
    let ann = s.server.user().await;
    let mut body = entry();
    body["emotions"] = json!(["joy", "Joy", "hunger"]);
    let error = ann
        .post("/entries", &body)
        .await
        .error(400, "INVALID_EMOTION");
    assert_eq!(error["details"]["invalid_values"], json!(["Joy", "hunger"]));
    assert_eq!(
        error["details"]["valid_values"].as_array().unwrap().len(),
        10
    );
    let stored = ann.entry(&entry()).await;
    ann.put(
        &format!("/entries/{}", text(&stored, "id")),
        &json!({"emotions": ["hunger"]}),
    )
    .await
    .error(400, "INVALID_EMOTION");
    ann.get("/entries?emotion=hunger")
        .await
        .error(400, "INVALID_EMOTION");
}

#[tokio::test]
async fn a_change_touches_what_it_names() {
    let s = Service::start().await;
    let ann = s.server.user().await;
    let before = ann.entry(&entry()).await;
    let path = format!("/entries/{}", text(&before, "id"));
    assert_eq!(ann.put(&path, &json!({})).await.data(200), before);
    assert_eq!(
        ann.put(&path, &json!({"unknown": 1})).await.data(200),
        before
    );
    for (field, value) in [
        ("situation", json!("It stopped.")),
        ("emotions", json!(["contentment"])),
        ("intensity", json!(0.25)),
        ("notes", json!("")),
    ] {
        let before = ann.get(&path).await.data(200);
        let mut after = ann.put(&path, &json!({field: value})).await.data(200);
        assert_eq!(after[field], value);
        assert!(text(&after, "updated_at") > text(&before, "updated_at"));
        after[field] = before[field].clone();
        after["updated_at"] = before["updated_at"].clone();
        assert_eq!(after, before);
    }
}

#[tokio::test]
async fn entries_of_others() {
    let s = Service::start().await;
    let (ann, bob) = (s.server.user().await, s.server.user().await);
    let stored = ann.entry(&entry()).await;
    let path = format!("/entries/{}", text(&stored, "id"));
    bob.get(&path).await.error(403, "FORBIDDEN");
    bob.put(&path, &json!({"notes": "mine"}))
        .await
        .error(403, "FORBIDDEN");
    bob.put(&path, &json!({})).await.error(403, "FORBIDDEN");
    bob.delete(&path).await.error(403, "FORBIDDEN");
    assert_eq!(bob.get("/entries").await.data(200)["total"], 0);
    let nowhere = format!("/entries/{}", Uuid::new_v4());
    bob.get(&nowhere).await.error(404, "NOT_FOUND");
    bob.put(&nowhere, &json!({"notes": "x"}))
        .await
        .error(404, "NOT_FOUND");
    bob.delete(&nowhere).await.error(404, "NOT_FOUND");
    let simple = text(&stored, "id").replace('-', "");
    for id in [
        "7",
        "not-a-uuid",
        simple.as_str(),
        "%7B",
        "%FF",
        "%00",
        "00000000-0000-0000-0000-00000000000g",
    ] {
        let path = format!("/entries/{id}");
        assert_eq!(bob.get(&path).await.rule("id"), "must be a UUID");
        assert_eq!(
            bob.put(&path, &json!({})).await.rule("id"),
            "must be a UUID"
        );
        assert_eq!(bob.delete(&path).await.rule("id"), "must be a UUID");
    }
    for path in ["/entries", &path] {
        s.server
            .get(&format!("/api/v1{path}"))
            .await
            .error(401, "UNAUTHORIZED");
    }
    assert_eq!(ann.get(&path).await.data(200), stored);
}

#[tokio::test]
async fn a_deleted_entry_takes_its_picture_along() {
    let s = Service::start().await;
    let ann = s.server.user().await;
    let id = text(&ann.entry(&entry()).await, "id").to_owned();
    let path = format!("/entries/{id}");
    s.database.execute(&format!("INSERT INTO visualizations (entry_id, user_id, style) VALUES ('{id}', '{}', 'abstract')", ann.id)).await;
    let with = ann.get(&path).await.data(200);
    assert_eq!(with["has_visualization"], true);
    assert!(with["visualization_id"].is_string());
    assert_eq!(
        ann.get("/entries").await.data(200)["entries"],
        json!([with])
    );
    assert_eq!(
        ann.put(&path, &json!({"notes": "x"})).await.data(200)["visualization_id"],
        with["visualization_id"]
    );
    ann.delete(&path).await.empty();
    ann.get(&path).await.error(404, "NOT_FOUND");
    ann.delete(&path).await.error(404, "NOT_FOUND");
    assert_eq!(
        s.database
            .count("SELECT count(*) FROM visualizations")
            .await,
        0
    );
}

async fn situations(user: &User<'_>, query: &str) -> Vec<String> {
    let page = user.get(&format!("/entries{query}")).await.data(200);
    page["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| text(e, "situation").to_owned())
        .collect()
}

/// Three entries: created a, b, c; intensity c, a, b; changed b, c, a.
async fn three(s: &Service, user: &User<'_>) {
    for (situation, emotion, intensity) in
        [("a", "joy", 0.5), ("b", "fear", 0.9), ("c", "joy", 0.1)]
    {
        user.entry(&json!({"situation": situation, "emotions": [emotion, "anger"], "intensity": intensity})).await;
    }
    for (situation, created, updated) in [
        ("a", "2026-01-01", "'2026-03-03'"),
        ("b", "2026-01-02", "NULL"),
        ("c", "2026-01-03", "'2026-02-02'"),
    ] {
        s.database
            .execute(&format!(
                "UPDATE emotion_entries SET created_at = '{created}Z', updated_at = {updated} WHERE situation = '{situation}'"
            ))
            .await;
    }
}

#[tokio::test]
async fn lists_in_every_order() {
    let s = Service::start().await;
    let ann = s.server.user().await;
    three(&s, &ann).await;
    for (sort, expected) in [
        ("", "c b a"),
        ("?sort=created_at", "a b c"),
        ("?sort=-created_at", "c b a"),
        ("?sort=intensity", "c a b"),
        ("?sort=-intensity", "b a c"),
        ("?sort=updated_at", "b c a"),
        ("?sort=-updated_at", "a c b"),
        ("?limit=1&offset=1", "b"),
        ("?limit=2&offset=2&sort=intensity", "b"),
        ("?emotion=joy", "c a"),
        ("?emotion=sadness", ""),
        ("?from=2026-01-02T00:00:00Z", "c b"),
        ("?to=2026-01-02T00:00:00Z", "a"),
        (
            "?from=2026-01-01T01:00:00%2B01:00&to=2026-01-03T00:00:00Z&emotion=joy&sort=created_at",
            "a",
        ),
    ] {
        assert_eq!(situations(&ann, sort).await.join(" "), expected, "{sort}");
    }
    let page = ann.get("/entries?limit=1&emotion=joy").await.data(200);
    assert_eq!(
        (&page["total"], &page["limit"], &page["offset"]),
        (&json!(2), &json!(1), &json!(0))
    );
    let beyond = ann.get("/entries?offset=100&emotion=anger").await.data(200);
    assert_eq!(
        (&beyond["entries"], &beyond["total"], &beyond["offset"]),
        (&json!([]), &json!(3), &json!(100))
    );
}

#[tokio::test]
async fn pages_do_not_overlap_when_all_is_equal() {
    let s = Service::start().await;
    let ann = s.server.user().await;
    for _ in 0..7 {
        ann.entry(&entry()).await;
    }
    s.database
        .execute("UPDATE emotion_entries SET created_at = '2026-01-01Z', updated_at = NULL")
        .await;
    for sort in [
        "created_at",
        "-created_at",
        "intensity",
        "-intensity",
        "updated_at",
        "-updated_at",
    ] {
        let mut ids = Vec::new();
        for offset in (0..7).step_by(2) {
            let page = ann
                .get(&format!("/entries?limit=2&offset={offset}&sort={sort}"))
                .await
                .data(200);
            ids.extend(
                page["entries"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|e| text(e, "id").to_owned()),
            );
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 7, "{sort}");
    }
}

#[tokio::test]
async fn what_a_list_refuses() {
    let s = Service::start().await;
    let ann = s.server.user().await;
    for (query, field, rule) in [
        ("limit=0", "limit", "must be between 1 and 100"),
        ("limit=101", "limit", "must be between 1 and 100"),
        ("limit=x", "limit", "must be a whole number"),
        ("limit=", "limit", "must be a whole number"),
        ("limit=1&limit=2", "limit", "must be there once"),
        (
            "offset=-1",
            "offset",
            "must be between 0 and 9223372036854775807",
        ),
        (
            "offset=9223372036854775808",
            "offset",
            "must be a whole number",
        ),
        (
            "sort=name",
            "sort",
            "must be one of created_at, -created_at, intensity, -intensity, updated_at, -updated_at",
        ),
        ("from=yesterday", "from", "is not valid"),
        ("to=2026-13-01T00:00:00Z", "to", "is not valid"),
    ] {
        assert_eq!(
            ann.get(&format!("/entries?{query}")).await.rule(field),
            rule,
            "{query}"
        );
    }
    ann.get("/entries?emotion=%00")
        .await
        .error(400, "INVALID_EMOTION");
    ann.get("/entries?emotion=%FF")
        .await
        .error(400, "INVALID_EMOTION");
    ann.get("/entries?offset=9223372036854775807&unknown=1")
        .await
        .data(200);
}

/// A row as the older backend may have left it.
#[tokio::test]
async fn odd_rows_are_read_and_edited() {
    let s = Service::start().await;
    let ann = s.server.user().await;
    let id = Uuid::new_v4();
    s.database
        .execute(&format!(
            "INSERT INTO emotion_entries (id, user_id, situation, emotions, intensity, notes, source, updated_at, adopted_as_is)
             VALUES ('{id}', '{}', '', ARRAY['Hope', NULL], 3.15, NULL, NULL, NULL, true)",
            ann.id
        ))
        .await;
    let odd = ann.get(&format!("/entries/{id}")).await.data(200);
    assert_eq!(
        (
            &odd["situation"],
            &odd["emotions"],
            &odd["intensity"],
            &odd["notes"]
        ),
        (&json!(""), &json!(["Hope"]), &json!(3.15), &json!(""))
    );
    assert_eq!(odd["updated_at"], odd["created_at"]);
    assert_eq!(ann.get("/entries").await.data(200)["entries"], json!([odd]));
    let edited = ann
        .put(&format!("/entries/{id}"), &json!({"situation": "better"}))
        .await
        .data(200);
    assert_eq!(
        (&edited["situation"], &edited["emotions"]),
        (&json!("better"), &json!(["Hope"]))
    );
    assert_eq!(
        s.database.count("SELECT count(*) FROM emotion_entries WHERE emotions = ARRAY['Hope', NULL] AND intensity = 3.15 AND notes IS NULL AND source IS NULL").await,
        1,
        "what was not named stays to the byte"
    );
    s.database
        .execute("UPDATE emotion_entries SET emotions = '{}'")
        .await;
    assert_eq!(
        ann.get(&format!("/entries/{id}")).await.data(200)["emotions"],
        json!([])
    );
}

#[tokio::test]
async fn the_emotions() {
    let s = Service::start().await;
    let data = s.server.get("/api/v1/emotions").await.data(200);
    let ids: Vec<_> = data["emotions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| text(e, "id"))
        .collect();
    assert_eq!(
        ids.join(" "),
        "joy sadness anger fear disgust surprise anxiety contentment frustration excitement"
    );
    for emotion in data["emotions"].as_array().unwrap() {
        assert!(text(emotion, "color").len() == 7 && text(emotion, "color").starts_with('#'));
        assert!(
            !text(emotion, "name").is_empty()
                && !text(emotion, "description").is_empty()
                && !text(emotion, "icon").is_empty()
        );
    }
}
