//! The circuit breaker: calls fail at once while the provider is known to fail.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Cause, Error, OpenCircuit};

/// So many calls in a row open the circuit if they fail.
const FAILURES_TO_OPEN: u32 = 3;
/// The circuit stays open for this long, if the provider does not state a time.
pub(crate) const COOL_DOWN: Duration = Duration::from_secs(60);
/// A time-out after a shorter wait does not count: the caller had little time left.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed {
        failures: u32,
    },
    /// Without a time: permanently.
    Open {
        cause: Cause,
        until: Option<Instant>,
    },
    /// One call is under way and decides. `cause` is why the circuit was open.
    Probing {
        cause: Cause,
    },
}

/// What the end of a call says about the provider.
#[derive(Clone, Copy)]
enum Verdict {
    Works,
    Fails,
    /// The provider refuses calls for this long, or permanently.
    Refuses(Cause, Option<Duration>),
    Unknown,
}

impl Verdict {
    fn of<T>(result: &Result<T, Error>) -> Self {
        match result {
            Ok(_) | Err(Error::Filtered { .. } | Error::NoPicture { .. } | Error::Unfit { .. }) => {
                Self::Works
            }
            Err(Error::Quota { retry_after }) => Self::Refuses(Cause::Quota, *retry_after),
            Err(Error::BadKey) => Self::Refuses(Cause::BadKey, Some(COOL_DOWN)),
            Err(Error::RetiredModel) => Self::Refuses(Cause::RetiredModel, Some(COOL_DOWN)),
            // The fault is in this request.
            Err(Error::Status { status, .. }) if (400..500).contains(status) && *status != 408 => {
                Self::Works
            }
            Err(Error::TimedOut { waited }) if *waited < PATIENCE => Self::Unknown,
            Err(Error::CircuitOpen(_)) => Self::Unknown,
            Err(
                Error::TimedOut { .. }
                | Error::Unreachable(_)
                | Error::Interrupted(_)
                | Error::TooLarge { .. }
                | Error::InvalidResponse
                | Error::Status { .. },
            ) => Self::Fails,
        }
    }
}

impl State {
    fn cause(self) -> Option<Cause> {
        match self {
            Self::Closed { .. } => None,
            Self::Open { cause, .. } | Self::Probing { cause } => Some(cause),
        }
    }

    /// Returns why a call fails now.
    fn open_circuit(self, now: Instant) -> Option<OpenCircuit> {
        let cause = self.cause()?;
        let retry_after = match self {
            Self::Open { until, .. } => until.map(|until| until.saturating_duration_since(now)),
            Self::Closed { .. } | Self::Probing { .. } => Some(Duration::ZERO),
        };
        let is_due = matches!(self, Self::Open { .. }) && retry_after == Some(Duration::ZERO);
        (!is_due).then_some(OpenCircuit { cause, retry_after })
    }

    /// Returns the state after a call. A call that is not the probe says nothing new while the circuit is open, except that the
    /// provider refuses calls.
    fn after(self, verdict: Verdict, is_probe: bool, now: Instant) -> Self {
        let open = |cause, wait: Option<Duration>| Self::Open {
            cause,
            until: wait.and_then(|wait| now.checked_add(wait)),
        };
        match (self, verdict) {
            (_, Verdict::Refuses(cause, wait)) => open(cause, wait),
            (Self::Closed { failures }, Verdict::Fails) if failures + 1 < FAILURES_TO_OPEN => {
                Self::Closed {
                    failures: failures + 1,
                }
            }
            (Self::Closed { .. }, Verdict::Fails) => open(Cause::Failures, Some(COOL_DOWN)),
            (Self::Closed { .. }, Verdict::Works) => Self::Closed { failures: 0 },
            (Self::Probing { .. }, Verdict::Works) if is_probe => Self::Closed { failures: 0 },
            (Self::Probing { .. }, Verdict::Fails) if is_probe => {
                open(Cause::Failures, Some(COOL_DOWN))
            }
            // The next call probes again.
            (Self::Probing { cause }, Verdict::Unknown) if is_probe => {
                open(cause, Some(Duration::ZERO))
            }
            (state, _) => state,
        }
    }
}

pub(crate) struct Breaker {
    model: String,
    state: Mutex<State>,
}

impl Breaker {
    pub(crate) fn new(model: String) -> Self {
        Self {
            model,
            state: Mutex::new(State::Closed { failures: 0 }),
        }
    }

    /// Returns why a call would fail now.
    pub(crate) fn open_circuit(&self) -> Option<OpenCircuit> {
        self.state().open_circuit(Instant::now())
    }

    /// Lets a call through, or returns why not. The first call after the time of an open circuit is the probe.
    pub(crate) fn enter(&self) -> Result<Pass<'_>, OpenCircuit> {
        let mut state = self.state();
        if let Some(open) = state.open_circuit(Instant::now()) {
            return Err(open);
        }
        let cause = state.cause();
        if let Some(cause) = cause {
            *state = State::Probing { cause };
        }
        Ok(Pass {
            breaker: self,
            is_probe: cause.is_some(),
            verdict: Verdict::Unknown,
        })
    }

    /// Opens the circuit if a request that had no pass shows that no call can succeed.
    pub(crate) fn note<T>(&self, result: &Result<T, Error>) {
        if let Err(Error::BadKey | Error::RetiredModel) = result {
            self.settle(Verdict::of(result), false);
        }
    }

    /// Changes the state and logs the change, once for each cause.
    fn settle(&self, verdict: Verdict, is_probe: bool) {
        let mut state = self.state();
        let before = *state;
        *state = before.after(verdict, is_probe, Instant::now());
        match (before.cause(), state.cause()) {
            (before, Some(cause)) if before != Some(cause) => {
                tracing::warn!(model = self.model, "calls are suspended: {cause}");
            }
            (Some(_), None) => tracing::info!(model = self.model, "calls are resumed"),
            _ => {}
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The permission for one call. Dropped without a report, it says nothing about the provider.
pub(crate) struct Pass<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
    verdict: Verdict,
}

impl Pass<'_> {
    pub(crate) fn report<T>(mut self, result: &Result<T, Error>) {
        self.verdict = Verdict::of(result);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.breaker.settle(self.verdict, self.is_probe);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn after(verdicts: &[Verdict], now: Instant) -> State {
        let closed = State::Closed { failures: 0 };
        let next = |state: State, verdict: &Verdict| state.after(*verdict, false, now);
        verdicts.iter().fold(closed, next)
    }

    #[test]
    fn three_failures_in_a_row_open_the_circuit_for_a_minute() {
        let now = Instant::now();
        let two = after(&[Verdict::Fails, Verdict::Fails], now);
        assert_eq!(two.open_circuit(now), None);
        let three = two.after(Verdict::Fails, false, now);
        let open = three.open_circuit(now).unwrap();
        assert_eq!(open.cause, Cause::Failures);
        assert_eq!(open.retry_after, Some(COOL_DOWN));
        assert_eq!(three.open_circuit(now + COOL_DOWN), None);
    }

    #[test]
    fn a_success_between_failures_keeps_the_circuit_closed() {
        use Verdict::{Fails, Unknown, Works};
        let state = after(
            &[Fails, Fails, Works, Fails, Unknown, Fails],
            Instant::now(),
        );
        assert_eq!(state, State::Closed { failures: 2 });
    }

    #[test]
    fn a_quota_that_never_comes_back_keeps_the_circuit_open() {
        let now = Instant::now();
        for wait in [None, Some(Duration::MAX)] {
            let state = after(&[Verdict::Refuses(Cause::Quota, wait)], now);
            let open = state.open_circuit(now + 10_000 * HOUR).unwrap();
            assert_eq!((open.cause, open.retry_after), (Cause::Quota, None));
        }
    }

    #[test]
    fn a_call_that_began_before_the_circuit_opened_does_not_close_it() {
        let now = Instant::now();
        let open = after(&[Verdict::Refuses(Cause::Quota, Some(HOUR))], now);
        assert_eq!(open.after(Verdict::Works, false, now), open);
        assert_eq!(open.after(Verdict::Fails, false, now), open);
        let probing = State::Probing {
            cause: Cause::Quota,
        };
        assert_eq!(probing.after(Verdict::Works, false, now), probing);
    }

    #[test]
    fn the_probe_decides() {
        let now = Instant::now();
        let probing = State::Probing {
            cause: Cause::BadKey,
        };
        let is_open = |state: State| state.open_circuit(now).is_some();
        assert!(is_open(probing));
        assert!(!is_open(probing.after(Verdict::Works, true, now)));
        let failed = probing.after(Verdict::Fails, true, now);
        assert!(is_open(failed) && failed.open_circuit(now + COOL_DOWN).is_none());
        let unknown = probing.after(Verdict::Unknown, true, now);
        assert!(!is_open(unknown) && unknown.cause() == Some(Cause::BadKey));
    }
}
