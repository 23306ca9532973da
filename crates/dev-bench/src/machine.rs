//! Whether this machine has anything else to do.

use std::time::Duration;

/// More of other people's work than this, of all cores' time, and figures say little.
const NOTICEABLE: f64 = 0.1;
const LOOK: Duration = Duration::from_millis(500);

/// What to say of the work that goes on beside a benchmark which has not begun yet; nothing when there is little, or when this
/// system does not tell.
pub(super) async fn disturbance() -> Option<String> {
    let before = Time::now()?;
    tokio::time::sleep(LOOK).await;
    let share = Time::now()?.share_since(&before);
    (share > NOTICEABLE).then(|| {
        let percent = share * 100.0;
        format!("other programs take {percent:.0} % of this machine's time, and the figures are so much worse for it\nagain when it is quiet: cargo dev bench")
    })
}

/// The processor time that a process has taken so far, in seconds; nothing when it does not run, or when this system does not tell.
pub(super) fn seconds_of(pid: u32) -> Option<f64> {
    // proc_pid_stat(5): after the name, which may hold anything, the 12th and 13th field are its ticks, 100 a second.
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks: Vec<f64> = fields
        .split(' ')
        .skip(11)
        .take(2)
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    Some(ticks.iter().sum::<f64>() / TICKS)
}

/// Processor time of all cores since the machine started, in ticks.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Time {
    idle: f64,
    all: f64,
}

impl Time {
    fn now() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/stat").ok()?)
    }

    /// proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal; guests' time is in the first two.
    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<f64> = line
            .split_whitespace()
            .take(8)
            .map(str::parse)
            .collect::<Result<_, _>>()
            .ok()?;
        Some(Self {
            idle: ticks.get(3)? + ticks.get(4)?,
            all: ticks.iter().sum(),
        })
    }

    fn share_since(&self, before: &Self) -> f64 {
        let all = self.all - before.all;
        if all > 0.0 {
            1.0 - (self.idle - before.idle) / all
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_other_programs_is_computed() {
        let before = Time::parse("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3\n").unwrap();
        assert_eq!(
            before,
            Time {
                idle: 850.0,
                all: 1000.0
            }
        );
        let after = Time::parse("cpu  130 0 70 840 60 0 0 0 0 0\n").unwrap();
        assert_eq!(after.share_since(&before), 0.5);
        assert_eq!(after.share_since(&after), 0.0);
        assert_eq!(Time::parse("intr 1 2 3\n"), None);
    }
}
