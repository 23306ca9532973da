//! A client, its server, and a clock that only the test moves.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use gemini_client::mock::{MockServer, Reply, Request};
use gemini_client::{
    Attempt, Client, Config, Error, Observer, Operation, Picture, Question, ThinkingLevel, Usage,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub(crate) const KEY: &str = "key-of-the-test";
pub(crate) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n of the test";
pub(crate) const JPEG: &[u8] = b"\xff\xd8\xff\xe0 of the test";
pub(crate) const WEBP: &[u8] = b"RIFF\x10\0\0\0WEBPVP8 of the test";

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mood {
    pub(crate) mood: String,
}

/// A case of a table.
pub(crate) type NamedReply = (&'static str, fn() -> Reply);

pub(crate) fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// What the observer was told about one attempt.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) operation: Operation,
    pub(crate) usage: Usage,
    pub(crate) error: Option<String>,
}

pub(crate) struct Attempts(watch::Sender<Vec<Seen>>);

impl Observer for Attempts {
    fn on_attempt(&self, attempt: &Attempt<'_>) {
        let seen = Seen {
            operation: attempt.operation,
            usage: attempt.usage,
            error: attempt.error.map(Error::to_string),
        };
        self.0.send_modify(|all| all.push(seen));
    }
}

impl Attempts {
    pub(crate) fn all(&self) -> Vec<Seen> {
        self.0.borrow().clone()
    }

    /// Waits until so many attempts have ended. If one is to be repeated, its delay has begun.
    pub(crate) async fn until(&self, count: usize) {
        let mut attempts = self.0.subscribe();
        let enough = attempts.wait_for(|all| all.len() >= count);
        let enough = tokio::time::timeout(seconds(60.0), enough).await;
        enough.expect("the attempts end in time").unwrap();
    }
}

pub(crate) fn config(base_url: String) -> Config {
    Config {
        base_url,
        api_key: KEY.into(),
        model: "a-model-1.5".into(),
        concurrency: NonZeroUsize::new(4).unwrap(),
        observer: Arc::new(()),
    }
}

pub(crate) struct Setup {
    pub(crate) server: MockServer,
    pub(crate) client: Arc<Client>,
    pub(crate) attempts: Arc<Attempts>,
}

impl Setup {
    pub(crate) async fn new(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::with_concurrency(4, reply).await
    }

    pub(crate) async fn with_concurrency(
        concurrency: usize,
        reply: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let server = MockServer::start(reply).await;
        let attempts = Arc::new(Attempts(watch::Sender::new(Vec::new())));
        let client = Client::new(Config {
            concurrency: NonZeroUsize::new(concurrency).unwrap(),
            observer: Arc::clone(&attempts) as Arc<dyn Observer>,
            ..config(server.base_url())
        });
        Self {
            server,
            client: Arc::new(client.unwrap()),
            attempts,
        }
    }

    /// Answers the first requests with these replies, and further ones with the last reply.
    pub(crate) async fn with_replies(replies: &'static [fn() -> Reply]) -> Self {
        Self::new(move |request| replies[request.number.min(replies.len() - 1)]()).await
    }

    pub(crate) async fn picture(&self) -> Result<Picture, Error> {
        self.picture_within(50.0).await.await.unwrap()
    }

    pub(crate) async fn mood(&self) -> Result<Mood, Error> {
        self.mood_within(50.0).await.await.unwrap()
    }

    /// Starts a call that runs while the test goes on.
    pub(crate) async fn picture_within(&self, limit: f64) -> JoinHandle<Result<Picture, Error>> {
        let client = Arc::clone(&self.client);
        let deadline = Instant::now() + seconds(limit);
        started(async move { client.picture("a prompt", deadline).await }).await
    }

    /// Starts a call that runs while the test goes on.
    pub(crate) async fn mood_within(&self, limit: f64) -> JoinHandle<Result<Mood, Error>> {
        let client = Arc::clone(&self.client);
        let deadline = Instant::now() + seconds(limit);
        started(async move {
            let schema = schema();
            client.json(&question(&schema), deadline).await
        })
        .await
    }

    pub(crate) fn request_count(&self) -> usize {
        self.server.requests().len()
    }
}

/// Spawns a future and returns after it was polled for the first time.
async fn started<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    let task = tokio::spawn(future);
    tokio::task::yield_now().await;
    task
}

pub(crate) fn schema() -> Value {
    json!({"type": "object", "properties": {"mood": {"type": "string"}}, "required": ["mood"]})
}

pub(crate) fn question(schema: &Value) -> Question<'_> {
    Question {
        instruction: "Name the mood.",
        parts: &["first part", "second part"],
        schema,
        thinking: ThinkingLevel::Low,
    }
}

pub(crate) fn happy() -> Reply {
    Reply::answer(&json!({"mood": "happy"}))
}

/// Tokio's clock, which stands still until the test moves it, although sockets work.
pub(crate) struct Clock {
    // tokio moves a paused clock by itself while nothing but sockets is awaited, except while a blocking task runs.
    _blocking_task: mpsc::Sender<()>,
}

impl Clock {
    pub(crate) fn pause() -> Self {
        tokio::time::pause();
        let (sender, receiver) = mpsc::channel();
        // The runtime waits for this task, also if the test has failed. Afterwards tokio moves the clock to the time limits.
        tokio::task::spawn_blocking(move || receiver.recv_timeout(seconds(20.0)));
        Self {
            _blocking_task: sender,
        }
    }

    pub(crate) async fn advance(&self, by: f64) {
        // Timers fire at whole milliseconds, and the clock stands between two of them.
        tokio::time::advance(seconds(by) + Duration::from_millis(1)).await;
    }
}

/// Gives the client and the server the time in which they would do what the test forbids.
pub(crate) async fn real_milliseconds() {
    let pause = || std::thread::sleep(Duration::from_millis(20));
    tokio::task::spawn_blocking(pause).await.unwrap();
}

/// A reply that the test can replace.
#[derive(Clone)]
pub(crate) struct Current(Arc<Mutex<fn() -> Reply>>);

impl Current {
    pub(crate) fn new(reply: fn() -> Reply) -> Self {
        Self(Arc::new(Mutex::new(reply)))
    }

    pub(crate) fn set(&self, reply: fn() -> Reply) {
        *self.0.lock().unwrap() = reply;
    }

    pub(crate) fn reply(&self) -> Reply {
        let reply = *self.0.lock().unwrap();
        reply()
    }
}
