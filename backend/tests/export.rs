use serde_json::json;

use crate::support::{Process, Service, entry};

#[tokio::test]
async fn everything_and_nobody_elses() {
    let s = Process::start().await;
    let (ann, bob) = (s.server.user().await, s.server.user().await);
    let empty = ann.get("/auth/me/export").await.data(200);
    assert_eq!(
        (
            &empty["entries"],
            &empty["visualizations"],
            &empty["intake_sessions"]
        ),
        (&json!([]), &json!([]), &json!([]))
    );
    bob.entry(&entry()).await;
    // More than a page in the middle of the document.
    s.database
        .execute(&format!(
            "INSERT INTO emotion_entries (user_id, situation, emotions, intensity) SELECT '{0}', 'day ' || n, ARRAY['joy'], 0.8 FROM generate_series(1, 250) n;
             INSERT INTO visualizations (entry_id, user_id, style, visual_elements)
                 SELECT id, '{0}', 'abstract', '[{{\"type\": \"shape\"}}]' FROM emotion_entries WHERE user_id = '{0}' LIMIT 1;
             INSERT INTO intake_sessions (user_id, initial_situation) VALUES ('{0}', 'rain')",
            ann.id
        ))
        .await;
    let reply = ann.get("/auth/me/export").await;
    assert_eq!(reply.header("transfer-encoding"), "chunked");
    let all = reply.data(200);
    assert_eq!(all["user"]["email"], json!(ann.email));
    let mut days: Vec<_> = all["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["situation"].as_str().unwrap())
        .collect();
    days.sort_unstable();
    days.dedup();
    assert_eq!(days.len(), 250);
    assert_eq!(
        (
            &all["entries"][0]["intensity"],
            &all["entries"][0]["source"]
        ),
        (&json!(0.8), &json!("manual"))
    );
    assert_eq!(
        all["visualizations"][0]["visual_elements"],
        json!([{"type": "shape"}])
    );
    assert_eq!(all["intake_sessions"][0]["initial_situation"], "rain");
    assert!(!reply.text.contains("argon2") && !reply.text.contains(&bob.email));
}

#[tokio::test]
async fn a_token_is_needed() {
    let s = Service::start().await;
    s.server
        .get("/api/v1/auth/me/export")
        .await
        .error(401, "UNAUTHORIZED");
}
