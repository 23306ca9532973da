//! Calls: their limits, their attempts, and the HTTP exchange of one attempt.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use chrono::{DateTime, Utc};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{RequestBuilder, Url, redirect};
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::breaker::Breaker;
use crate::error::{ConfigError, Error, OpenCircuit};
use crate::observer::{Attempt, Observer, Operation, Usage};
use crate::protocol::{self, Picture, Question, Response};

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// A picture usually takes 10 to 20 s.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(45);
/// The body of an error has a few kilobytes.
const LARGEST_ERROR: usize = 64 << 10;

/// What a [`Client`] needs to know.
pub struct Config {
    /// Where the API is, without the path: `https://generativelanguage.googleapis.com`.
    pub base_url: String,
    /// The API key.
    pub api_key: SecretString,
    /// The model's name, without `models/`.
    pub model: String,
    /// How many calls may run at the same time. Further calls wait.
    pub concurrency: NonZeroUsize,
    /// Receives a report of each attempt. `Arc::new(())` ignores it.
    pub observer: Arc<dyn Observer>,
}

/// A client for one model.
pub struct Client {
    http: reqwest::Client,
    model: String,
    model_url: Url,
    generate_url: Url,
    slots: Semaphore,
    breaker: Breaker,
    retirement_time: Mutex<Option<DateTime<Utc>>>,
    observer: Arc<dyn Observer>,
}

/// What to ask for. Without a body, it is a GET of the model.
struct Call {
    operation: Operation,
    body: Option<Value>,
    deadline: Instant,
}

impl Operation {
    fn largest_body(self) -> usize {
        match self {
            Self::Json | Self::CheckModel => 1 << 20,
            // A PNG of 1024² has at most 4 MB, and base64 adds a third.
            Self::Picture => 32 << 20,
        }
    }

    /// An attempt is not repeated if less time than this is left: its answer would be billed and come too late.
    fn shortest_attempt(self) -> Duration {
        match self {
            Self::Json | Self::CheckModel => Duration::from_secs(2),
            Self::Picture => Duration::from_secs(10),
        }
    }
}

impl Client {
    /// Creates a client. It does not connect yet.
    ///
    /// # Errors
    ///
    /// Fails if a value cannot be used in a request, or if the system's trusted certificates cannot be read.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        if config.model.is_empty() || !config.model.chars().all(is_plain) {
            return Err(ConfigError::Model);
        }
        let base = config.base_url.trim_end_matches('/');
        let url = format!("{base}/v1beta/models/{}", config.model);
        let model_url = parse(&url)?;
        let generate_url = parse(&format!("{url}:generateContent"))?;
        Ok(Self {
            http: http_client(&config.api_key)?,
            model_url,
            generate_url,
            slots: Semaphore::new(config.concurrency.get()),
            breaker: Breaker::new(config.model.clone()),
            retirement_time: Mutex::new(None),
            observer: config.observer,
            model: config.model,
        })
    }

    /// Asks for JSON and returns it as `T`.
    ///
    /// `T` decides whether an answer fits: rules that a schema cannot express belong into its `Deserialize`, for example by
    /// `#[serde(try_from = "…")]`. An answer that does not fit is asked for once more.
    ///
    /// # Errors
    ///
    /// Fails if there is no answer that fits before `deadline`. See [`Error`].
    pub async fn json<T: DeserializeOwned>(
        &self,
        question: &Question<'_>,
        deadline: Instant,
    ) -> Result<T, Error> {
        let call = Call {
            operation: Operation::Json,
            body: Some(question.body()),
            deadline,
        };
        self.call(&call, |response| response.json()).await
    }

    /// Asks for a square picture of about 1024 × 1024 pixels.
    ///
    /// # Errors
    ///
    /// Fails if there is no picture before `deadline`. See [`Error`].
    pub async fn picture(&self, prompt: &str, deadline: Instant) -> Result<Picture, Error> {
        let call = Call {
            operation: Operation::Picture,
            body: Some(protocol::picture_body(prompt)),
            deadline,
        };
        self.call(&call, |response| response.picture()).await
    }

    /// Checks the key and the model, without generating anything.
    ///
    /// It sends one request, also if the circuit is open. A bad key or a retired model opens the circuit.
    ///
    /// # Errors
    ///
    /// Fails if the provider does not confirm the model before `deadline`. See [`Error`].
    pub async fn check_model(&self, deadline: Instant) -> Result<(), Error> {
        let call = Call {
            operation: Operation::CheckModel,
            body: None,
            deadline,
        };
        let result = self.attempt(&call, |_| Ok(())).await;
        self.breaker.note(&result);
        result
    }

    /// Returns why calls fail at once, if they do.
    pub fn open_circuit(&self) -> Option<OpenCircuit> {
        self.breaker.open_circuit()
    }

    /// Returns when the model will be retired, if the provider has stated it in an answer.
    pub fn retirement_time(&self) -> Option<DateTime<Utc>> {
        *self
            .retirement_time
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn call<T>(
        &self,
        call: &Call,
        read: impl Fn(&Response<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if let Some(open) = self.open_circuit() {
            return Err(open.into());
        }
        let waiting = timeout_at(call.deadline, self.slots.acquire());
        let no_slot = Error::TimedOut {
            waited: Duration::ZERO,
        };
        let _slot = waiting
            .await
            .map_err(|_| no_slot)?
            .expect("the semaphore is never closed");
        // The circuit may have opened during the wait.
        let pass = self.breaker.enter()?;

        let backoff = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(500))
            .with_max_times(3)
            .with_jitter();
        let mut has_asked_again = false;
        let result = (|| self.attempt(call, &read))
            .retry(backoff)
            .adjust(|error, planned| {
                let delay = if protocol::is_worth_asking_again(error) {
                    let is_first = !std::mem::replace(&mut has_asked_again, true);
                    is_first.then_some(Duration::ZERO)
                } else {
                    delay_before_retry(error, planned?)
                }?;
                let needed = delay.checked_add(call.operation.shortest_attempt())?;
                let left = call.deadline.saturating_duration_since(Instant::now());
                (needed <= left).then_some(delay)
            })
            .await;
        pass.report(&result);
        result
    }

    /// Sends one request and reads the response with `read`.
    async fn attempt<T>(
        &self,
        call: &Call,
        read: impl Fn(&Response<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let started = Instant::now();
        if call.deadline <= started {
            // `timeout_at` would send the request before it checks the time.
            let waited = Duration::ZERO;
            return Err(Error::TimedOut { waited });
        }
        let request = match &call.body {
            Some(body) => self.http.post(self.generate_url.clone()).json(body),
            None => self.http.get(self.model_url.clone()),
        };
        let exchange = exchange(request, call.operation.largest_body());
        let limit = call.deadline.min(started + LONGEST_ATTEMPT);
        let mut usage = Usage::default();
        let result = match timeout_at(limit, exchange).await {
            Err(_) => {
                let waited = started.elapsed();
                Err(Error::TimedOut { waited })
            }
            Ok(Err(error)) => Err(error),
            Ok(Ok(body)) => Response::parse(&body).and_then(|response| {
                usage = response.usage();
                self.note_retirement(&response);
                read(&response)
            }),
        };
        self.observer.on_attempt(&Attempt {
            operation: call.operation,
            elapsed: started.elapsed(),
            usage,
            error: result.as_ref().err(),
        });
        result
    }

    fn note_retirement(&self, response: &Response<'_>) {
        let Some(time) = response.retirement_time() else {
            return;
        };
        let mut known = self
            .retirement_time
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if known.replace(time) != Some(time) {
            tracing::warn!(model = self.model, %time, "the provider will retire the model");
        }
    }
}

fn parse(url: &str) -> Result<Url, ConfigError> {
    let url = Url::parse(url).map_err(|_| ConfigError::BaseUrl)?;
    let is_http = matches!(url.scheme(), "http" | "https");
    if is_http && url.query().is_none() && url.fragment().is_none() {
        Ok(url)
    } else {
        Err(ConfigError::BaseUrl)
    }
}

fn http_client(api_key: &SecretString) -> Result<reqwest::Client, ConfigError> {
    let mut key =
        HeaderValue::from_str(api_key.expose_secret()).map_err(|_| ConfigError::ApiKey)?;
    if key.is_empty() {
        return Err(ConfigError::ApiKey);
    }
    key.set_sensitive(true);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_platform_verifier())
        .map_err(ConfigError::Certificates)?
        .with_no_client_auth();
    reqwest::Client::builder()
        .default_headers(HeaderMap::from_iter([(
            HeaderName::from_static("x-goog-api-key"),
            key,
        )]))
        .connect_timeout(CONNECT_LIMIT)
        // A redirect would carry the key and the prompt to another host.
        .redirect(redirect::Policy::none())
        .tls_backend_preconfigured(tls)
        .build()
        .map_err(ConfigError::Http)
}

/// Returns the body of a successful response.
async fn exchange(request: RequestBuilder, largest_body: usize) -> Result<Vec<u8>, Error> {
    let response = request.send().await.map_err(|error| {
        let error = error.without_url();
        if error.is_connect() {
            Error::Unreachable(error)
        } else {
            Error::Interrupted(error)
        }
    })?;
    let status = response.status();
    if status.is_success() {
        return read_body(response, largest_body).await;
    }
    // The status is known, even if the body cannot be read.
    let body = read_body(response, LARGEST_ERROR).await.unwrap_or_default();
    Err(protocol::failure(status.as_u16(), &body))
}

async fn read_body(mut response: reqwest::Response, limit: usize) -> Result<Vec<u8>, Error> {
    let announced = response.content_length().unwrap_or_default();
    if announced > limit as u64 {
        return Err(Error::TooLarge { limit });
    }
    let mut body = Vec::with_capacity(announced as usize);
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| Error::Interrupted(error.without_url()))?
    {
        if body.len() + chunk.len() > limit {
            return Err(Error::TooLarge { limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Returns how long to wait before a repetition, if the attempt failed fast.
fn delay_before_retry(error: &Error, planned: Duration) -> Option<Duration> {
    match error {
        Error::Quota { retry_after } => retry_after.map(|delay| delay.max(planned)),
        Error::Unreachable(error) if !error.is_timeout() => Some(planned),
        Error::Status {
            status: 408 | 500 | 502 | 503 | 504,
            ..
        } => Some(planned),
        _ => None,
    }
}
