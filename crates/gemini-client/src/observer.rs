//! What a caller can measure.

use std::time::Duration;

use crate::error::Error;

/// Receives a report of each attempt, for metrics of errors, latency and costs.
///
/// An attempt whose caller dropped the call is not reported.
pub trait Observer: Send + Sync + 'static {
    /// Receives one attempt that has ended. It runs within the call, so it must not block.
    fn on_attempt(&self, attempt: &Attempt<'_>);
}

/// Ignores all attempts.
impl Observer for () {
    fn on_attempt(&self, _: &Attempt<'_>) {}
}

/// One HTTP request that has ended.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// What was asked for.
    pub operation: Operation,
    /// The time from sending the request to the complete response or the failure.
    pub elapsed: Duration,
    /// What the provider bills, as far as the response states it.
    pub usage: Usage,
    /// Why there is no usable answer.
    pub error: Option<&'a Error>,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// [`Client::json`](crate::Client::json).
    Json,
    /// [`Client::picture`](crate::Client::picture).
    Picture,
    /// [`Client::check_model`](crate::Client::check_model).
    CheckModel,
}

/// What the provider bills for one attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the answer, pictures included.
    pub answer_tokens: u64,
    /// Tokens of the thoughts that precede the answer.
    pub thought_tokens: u64,
    /// Pictures in the answer.
    pub pictures: u64,
}
