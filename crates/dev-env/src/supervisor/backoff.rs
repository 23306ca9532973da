//! Waiting longer before each restart of a service that keeps ending.

use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(10);
/// A service that ran this long did not end because of its start.
const RAN_WELL: Duration = Duration::from_secs(30);

/// The delays between the restarts of one service.
#[derive(Debug, Default)]
pub(super) struct RestartBackoff {
    last: Option<Duration>,
    started: Option<Instant>,
}

impl RestartBackoff {
    /// Returns the delay before the next start.
    pub(super) fn next_delay(&mut self, now: Instant) -> Duration {
        let ran_well = self
            .started
            .take()
            .is_some_and(|started| now.duration_since(started) >= RAN_WELL);
        let delay = match self.last {
            Some(last) if !ran_well => (last * 2).min(LONGEST),
            _ => FIRST,
        };
        self.last = Some(delay);
        delay
    }

    /// Records that the service was started.
    pub(super) fn started(&mut self, now: Instant) {
        self.started = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(backoff: &mut RestartBackoff, now: Instant, count: usize) -> Vec<u128> {
        (0..count)
            .map(|_| backoff.next_delay(now).as_millis())
            .collect()
    }

    #[test]
    fn each_delay_is_twice_the_last_one_up_to_ten_seconds() {
        let mut backoff = RestartBackoff::default();
        assert_eq!(
            delays(&mut backoff, Instant::now(), 8),
            [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]
        );
    }

    #[test]
    fn a_service_that_ran_for_thirty_seconds_is_restarted_at_once() {
        let mut backoff = RestartBackoff::default();
        let now = Instant::now();
        delays(&mut backoff, now, 8);
        backoff.started(now);
        let almost = RAN_WELL - Duration::from_millis(1);
        assert_eq!(backoff.next_delay(now + almost), LONGEST);
        backoff.started(now);
        assert_eq!(backoff.next_delay(now + RAN_WELL), FIRST);
    }
}
