//! The source of the time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

/// The system's clock, or one for tests that stands still until it is advanced.
#[derive(Clone, Default)]
pub struct Clock(Option<Arc<Mutex<Time>>>);

#[derive(Clone, Copy)]
struct Time {
    now: DateTime<Utc>,
    instant: Instant,
}

impl Clock {
    pub fn stopped() -> Self {
        let time = Time {
            now: Utc::now(),
            instant: Instant::now(),
        };
        Self(Some(Arc::new(Mutex::new(time))))
    }

    pub fn advance(&self, by: Duration) {
        if let Some(mut time) = self.stopped_time() {
            time.now += by;
            time.instant += by;
        }
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.stopped_time().map_or_else(Utc::now, |time| time.now)
    }

    pub fn instant(&self) -> Instant {
        self.stopped_time()
            .map_or_else(Instant::now, |time| time.instant)
    }

    fn stopped_time(&self) -> Option<MutexGuard<'_, Time>> {
        self.0
            .as_ref()
            .map(|time| time.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
