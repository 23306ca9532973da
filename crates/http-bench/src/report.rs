use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// What came of a load.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// How long requests were counted, in seconds.
    pub seconds: f64,
    /// Answers with a status of 200 to 299.
    pub answered: u64,
    /// `answered` a second.
    pub per_second: f64,
    /// How long those took.
    pub latency: Latency,
    /// How often what else happened: another status by its number, `closed` (by the server, before the answer was
    /// complete), `malformed`, `refused` (a reconnection).
    pub failures: BTreeMap<String, u64>,
}

/// From the first byte written to the last byte read, in milliseconds. Each connection waits for its answer before it
/// asks again, so a server that stalls is asked less meanwhile.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Latency {
    /// Half of the answers took no longer.
    pub p50_ms: f64,
    /// 90 of 100 took no longer.
    pub p90_ms: f64,
    /// 99 of 100 took no longer.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
}

/// What one connection, or all of them, saw.
#[derive(Debug)]
pub(crate) struct Tally {
    micros: Histogram<u64>,
    failures: BTreeMap<String, u64>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        const LONGEST_MICROS: u64 = 600_000_000;
        let micros = Histogram::new_with_max(LONGEST_MICROS, 3)
            .expect("1 to 600,000,000 with three digits is a valid range");
        Self {
            micros,
            failures: BTreeMap::new(),
        }
    }

    pub(crate) fn answered(&mut self, took: Duration) {
        self.micros
            .saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn failed(&mut self, how: impl Into<String>) {
        *self.failures.entry(how.into()).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.micros
            .add(other.micros)
            .expect("histograms of one range add up");
        for (how, count) in other.failures {
            *self.failures.entry(how).or_default() += count;
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "counts and microseconds stay far below 2^52"
    )]
    pub(crate) fn report(self, counted: Duration) -> Report {
        let ms = |micros: u64| micros as f64 / 1000.0;
        let at = |quantile| ms(self.micros.value_at_quantile(quantile));
        let latency = Latency {
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            max_ms: ms(self.micros.max()),
        };
        let (seconds, answered) = (counted.as_secs_f64(), self.micros.len());
        Report {
            seconds,
            answered,
            per_second: answered as f64 / seconds,
            latency,
            failures: self.failures,
        }
    }
}
