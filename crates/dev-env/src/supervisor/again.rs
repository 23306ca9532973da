//! When to start a service again that died: soon at first, less and less often while it keeps dying.

use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(10);
/// What ran this long did not die of its start.
const WELL: Duration = Duration::from_secs(30);

/// The next start of one service.
#[derive(Debug, Default)]
pub(super) struct Again {
    due: Option<Instant>,
    delay: Option<Duration>,
    since: Option<Instant>,
}

impl Again {
    /// Plans the next start, and says how long until then.
    pub(super) fn schedule(&mut self) -> Duration {
        let ran_well = self
            .since
            .take()
            .is_some_and(|since| since.elapsed() >= WELL);
        let delay = match self.delay {
            Some(delay) if !ran_well => (delay * 2).min(LONGEST),
            _ => FIRST,
        };
        self.delay = Some(delay);
        self.due = Some(Instant::now() + delay);
        delay
    }

    /// It was started.
    pub(super) fn started(&mut self) {
        (self.due, self.since) = (None, Some(Instant::now()));
    }

    /// Waits until it is to be started; for ever when it is not.
    pub(super) async fn due(&self) {
        match self.due {
            Some(due) => tokio::time::sleep_until(due).await,
            None => super::never().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_and_less_often() {
        let mut again = Again::default();
        let delays: Vec<_> = (0..8).map(|_| again.schedule().as_millis()).collect();
        assert_eq!(delays, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        again.since = Instant::now().checked_sub(WELL);
        assert_eq!(again.schedule(), FIRST);
    }
}
