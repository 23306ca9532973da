use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{Reply, Service};

const FEELING: &str = "/api/v1/visualizations/feeling";
const MOODS: [&str; 11] = [
    "super_happy",
    "pumped",
    "cozy",
    "chill",
    "content",
    "fuming",
    "freaked_out",
    "mad_as_hell",
    "blah",
    "down",
    "bored_stiff",
];

/// Starts the service with the smaller pictures.
async fn start() -> Service {
    Service::with(&[("VISUALIZATION_IMAGE_SIZE", "512")]).await
}

async fn draw(s: &Service, category: &str, moods: &[&str]) -> Reply {
    let body = json!({"feeling_category": category, "selected_emotions": moods});
    s.server.post(FEELING, &body).await
}

/// Returns the width and the height of the PNG in an answer.
fn decoded_size(drawing: &Value) -> (u32, u32) {
    let png = STANDARD
        .decode(drawing["image_data"].as_str().unwrap())
        .unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(png))
        .read_info()
        .unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut pixels).unwrap();
    (frame.width, frame.height)
}

#[tokio::test]
async fn each_mood_is_drawn_in_its_colours() {
    let s = start().await;
    for mood in MOODS {
        let drawing = draw(&s, "not_sure", &[mood]).await.data(200);
        assert_eq!(decoded_size(&drawing), (512, 512), "{mood}");
        assert_eq!(drawing["image_size"], json!({"width": 512, "height": 512}));
        assert_eq!(drawing["image_format"], "png");
        assert_eq!(drawing["provider"], "built_in");
        assert!(drawing["generation_time_ms"].is_u64(), "{drawing}");
        assert!(drawing["image_data"].as_str().unwrap().len() <= 350_000 * 4 / 3 + 4);
        let prompt = drawing["prompt_used"].as_str().unwrap();
        assert!(prompt.starts_with("An abstract picture of"), "{prompt}");
        assert_eq!(drawing["dominant_colors"].as_array().unwrap().len(), 3);
    }
    let chill = draw(&s, "good", &["chill"]).await.data(200);
    assert_eq!(
        chill["dominant_colors"],
        json!(["#A8E6CF", "#9DC183", "#ADD8E6"])
    );
}

#[tokio::test]
async fn moods_of_any_category_are_combined_and_duplicates_ignored() {
    let s = start().await;
    let drawing = draw(&s, "good", &["down", "chill", "down"]).await.data(200);
    assert_eq!(
        drawing["dominant_colors"],
        json!(["#A0B8D4", "#A8E6CF", "#9FA8DA"])
    );
    let all = draw(&s, "bad", &MOODS).await.data(200);
    assert_eq!(all["dominant_colors"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_picture_has_the_size_of_the_setting() {
    let s = Service::start().await;
    let drawing = draw(&s, "good", &["cozy"]).await.data(200);
    assert_eq!(decoded_size(&drawing), (1024, 1024));
    assert!(drawing["image_data"].as_str().unwrap().len() <= 900_000 * 4 / 3 + 4);
}

#[tokio::test]
async fn a_later_request_gets_another_picture_and_a_simultaneous_one_the_same() {
    let s = start().await;
    let (one, other) = tokio::join!(draw(&s, "good", &["cozy"]), draw(&s, "good", &["cozy"]));
    let picture = |reply: &Reply| reply.data(200)["image_data"].as_str().unwrap().to_owned();
    assert_eq!(picture(&one), picture(&other));
    let later = draw(&s, "good", &["cozy"]).await;
    assert_ne!(picture(&one), picture(&later));
}

#[tokio::test]
async fn an_unknown_category_or_mood_is_reported_with_the_known_ones() {
    let s = start().await;
    let refused = draw(&s, "great", &["cozy"]).await;
    assert_eq!(
        refused.error(400, "INVALID_CATEGORY")["details"],
        json!({"invalid_values": ["great"], "valid_values": ["good", "bad", "not_sure"]})
    );
    let refused = draw(&s, "good", &["cozy", "joy", "Cozy"]).await;
    assert_eq!(
        refused.error(400, "INVALID_EMOTION")["details"],
        json!({"invalid_values": ["joy", "Cozy"], "valid_values": MOODS})
    );
    let refused = draw(&s, "good", &[]).await;
    assert_eq!(
        refused.rule("selected_emotions"),
        "must hold at least one mood"
    );
}

#[tokio::test]
async fn an_address_has_sixty_pictures_a_minute() {
    let s = Service::with(&[("RATE_LIMITS", "on")]).await;
    // A request that is refused for its content counts, too, and paints nothing.
    for left in (0..60).rev() {
        let reply = draw(&s, "good", &["joy"]).await;
        reply.error(400, "INVALID_EMOTION");
        assert_eq!(reply.header("x-ratelimit-remaining"), left.to_string());
    }
    draw(&s, "good", &["cozy"])
        .await
        .error(429, "RATE_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn the_moods_are_listed_by_category() {
    let s = start().await;
    let moods = s
        .server
        .get("/api/v1/visualizations/emotions")
        .await
        .data(200);
    assert_eq!(moods["all_emotions"], json!(MOODS));
    let ids =
        |list: &str| -> HashSet<String> { serde_json::from_value(moods[list].clone()).unwrap() };
    assert_eq!(ids("positive_emotions").len(), 5);
    assert_eq!(ids("negative_emotions").len(), 6);
    assert!(ids("positive_emotions").is_disjoint(&ids("negative_emotions")));
}
