//! What logs and errors never hold, and what is logged once.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use gemini_client::Question;
use gemini_client::mock::{Reply, Request};
use serde_json::json;
use tokio::time::Instant;
use tracing::Level;
use tracing::subscriber::DefaultGuard;

use crate::support::{Clock, KEY, Mood, PNG, Setup, seconds};

/// The log of this thread, where the whole test runs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn capture(level: Level) -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn lines_with(&self, text: &str) -> Vec<String> {
        let all = self.text();
        all.lines()
            .filter(|line| line.contains(text))
            .map(str::to_owned)
            .collect()
    }
}

const WORDS: [&str; 3] = ["INSTRUCTION", "STORY", "SCHEMA"];

/// Replies that hold the story wherever the provider could put it.
fn indiscreet(request: &Request) -> Reply {
    let story = "my STORY of today";
    let body = json!({
        "error": {"code": 400, "status": story, "message": story, "details": [{"reason": story}]},
    });
    match request.number % 10 {
        0 => Reply::answer(&json!({"mood": {"STORY": story}})),
        1 => Reply::candidate(&json!([{"text": story}]), "STOP"),
        2 => Reply::finished(story),
        3 => Reply::blocked(story),
        4 => Reply::json(400, &body),
        5 => Reply::json(200, &json!({"candidates": story})),
        6 => Reply::new(200, "text/html", story),
        7 => Reply::answer(&json!({"mood": story})).cut(),
        8 => Reply::redirect("http://127.0.0.1:9/STORY"),
        _ => Reply::quota(story),
    }
}

#[tokio::test]
async fn neither_logs_nor_errors_hold_text_or_key() {
    let (log, _guard) = Log::capture(Level::TRACE);
    let schema = json!({"type": "object", "description": "SCHEMA"});
    let question = Question {
        instruction: "the INSTRUCTION",
        parts: &["my STORY of today"],
        ..crate::support::question(&schema)
    };
    let mut errors = Vec::new();
    for first in 0..10 {
        // A client for each reply, as some open the circuit.
        let reply = move |request: &Request| {
            let number = request.number + first;
            indiscreet(&Request {
                number,
                ..request.clone()
            })
        };
        let setup = Setup::new(reply).await;
        let deadline = Instant::now() + seconds(50.0);
        let text = setup.client.json::<Mood>(&question, deadline).await;
        let picture = setup
            .client
            .picture("the STORY as a picture", deadline)
            .await;
        for error in [text.err(), picture.err()].into_iter().flatten() {
            let mut source: Option<&dyn std::error::Error> = Some(&error);
            while let Some(error) = source {
                errors.push(format!("{error}\n{error:?}"));
                source = error.source();
            }
        }
    }
    assert!(errors.len() >= 15, "{errors:?}");
    let log = log.text();
    assert!(
        log.contains("hyper"),
        "the log is captured at all levels:\n{log}"
    );
    for secret in WORDS.into_iter().chain([KEY]) {
        assert!(!log.contains(secret), "the log holds {secret}:\n{log}");
        let leak = errors.iter().find(|error| error.contains(secret));
        assert_eq!(leak, None, "an error holds {secret}");
    }
}

#[tokio::test]
async fn a_bad_key_is_one_line_of_the_log() {
    let (log, _guard) = Log::capture(Level::INFO);
    let clock = Clock::pause();
    let setup = Setup::new(|request| match request.number {
        0..6 => Reply::bad_key(),
        _ => Reply::answer(&json!({"mood": "happy"})),
    })
    .await;
    for _ in 0..3 {
        setup.mood().await.unwrap_err();
        setup
            .client
            .check_model(Instant::now() + seconds(5.0))
            .await
            .unwrap_err();
        clock.advance(60.0).await;
    }
    let lines = log.lines_with("WARN");
    assert_eq!(lines.len(), 1, "{lines:?}");
    let expected = "calls are suspended: the provider rejects the API key model=\"a-model-1.5\"";
    assert!(lines[0].contains(expected), "{lines:?}");
    setup.mood().await.unwrap();
    assert_eq!(log.lines_with("calls are resumed").len(), 1);
}

#[tokio::test]
async fn a_retirement_is_one_line_of_the_log() {
    let (log, _guard) = Log::capture(Level::INFO);
    let setup = Setup::new(|_| {
        let status = json!({"retirementTime": "2027-01-31T00:00:00Z"});
        Reply::json(200, &json!({"modelStatus": status}))
    })
    .await;
    for _ in 0..3 {
        setup.picture().await.unwrap_err();
    }
    let lines = log.lines_with("retire");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains("time=2027-01-31 00:00:00 UTC"),
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_picture_is_described_without_its_bytes() {
    let setup = Setup::new(|_| Reply::picture(PNG)).await;
    let picture = setup.picture().await.unwrap();
    assert_eq!(
        format!("{picture:?}"),
        format!("Picture(Png, {} bytes)", PNG.len())
    );
}
