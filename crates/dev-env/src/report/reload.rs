//! A reload, as it is told to people and tools.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// As many files are named.
const NAMED: usize = 3;

/// An attempt to let changed code or settings go live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {
    /// When it ended, as RFC 3339 writes it.
    pub at: String,
    /// The files that had changed, relative to the checkout.
    pub changed: Vec<String>,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It answers.
    Live(Times),
    /// What ran before goes on.
    Failed {
        /// Why.
        reason: String,
        /// What the compiler said, where it is that which failed.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        compiler: String,
    },
}

/// How long it took, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// From the change to the new code's first accepted connection.
    pub total_ms: u64,
    /// Who compiled; none where nothing had to be built.
    pub builder: Option<Builder>,
    /// Its part.
    pub compile_ms: Option<u64>,
    /// The migrations' part, where there were any.
    pub migrate_ms: Option<u64>,
    /// From the start of the new process to its word that it is ready.
    pub start_ms: u64,
    /// From that word until the old process has been told to take leave.
    pub switch_ms: u64,
    /// Requests that were answered meanwhile, by the old process: those that have a line in the log.
    pub requests: u64,
}

/// Who compiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Builder {
    /// The compiler alone, for the crates that were edited.
    Fast,
    /// Cargo.
    Cargo,
}

/// How changes are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Watching {
    /// The system tells.
    Events,
    /// The files are looked at again and again.
    Polling {
        /// How often, in milliseconds.
        every_ms: u64,
    },
}

impl Reload {
    /// Whether what ran before goes on.
    pub fn failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed { .. })
    }

    /// What the compiler said, where it failed.
    pub fn compiler(&self) -> &str {
        match &self.outcome {
            Outcome::Failed { compiler, .. } => compiler,
            Outcome::Live(_) => "",
        }
    }

    fn files(&self) -> String {
        let named = self
            .changed
            .iter()
            .take(NAMED)
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ");
        match self.changed.len().saturating_sub(NAMED) {
            0 => named,
            more => format!("{named} and {more} more"),
        }
    }
}

impl fmt::Display for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Live(times) => write!(f, "reloaded {}: {times}", self.files()),
            Outcome::Failed { reason, .. } => write!(
                f,
                "not reloaded, and what ran before goes on: {}\n{reason}",
                self.files()
            ),
        }
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |ms: u64| Duration::from_millis(ms).as_secs_f32();
        write!(f, "live in {:.2} s (", seconds(self.total_ms))?;
        let builder = if self.builder == Some(Builder::Fast) {
            "fast"
        } else {
            "cargo"
        };
        for (what, ms) in [(builder, self.compile_ms), ("migrations", self.migrate_ms)] {
            if let Some(ms) = ms {
                write!(f, "{what} {:.2}, ", seconds(ms))?;
            }
        }
        write!(
            f,
            "start {:.2}, switch {:.2})",
            seconds(self.start_ms),
            seconds(self.switch_ms)
        )?;
        match self.requests {
            0 => Ok(()),
            requests => write!(f, "; {requests} requests answered meanwhile"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reload(changed: &[&str], outcome: Outcome) -> String {
        let changed = changed.iter().map(|path| (*path).to_owned()).collect();
        Reload {
            at: String::new(),
            changed,
            outcome,
        }
        .to_string()
    }

    #[test]
    fn a_reload_is_reported_in_one_line() {
        let builder = Some(Builder::Cargo);
        let mut times = Times {
            total_ms: 1430,
            builder,
            compile_ms: Some(1320),
            migrate_ms: None,
            start_ms: 58,
            switch_ms: 9,
            requests: 0,
        };
        assert_eq!(
            reload(&["a.rs"], Outcome::Live(times)),
            "reloaded a.rs: live in 1.43 s (cargo 1.32, start 0.06, switch 0.01)"
        );
        times.builder = Some(Builder::Fast);
        assert_eq!(
            reload(&["a.rs"], Outcome::Live(times)),
            "reloaded a.rs: live in 1.43 s (fast 1.32, start 0.06, switch 0.01)"
        );
        (times.compile_ms, times.migrate_ms, times.requests) = (None, Some(100), 57);
        assert_eq!(
            reload(&["1", "2", "3", "4", "5"], Outcome::Live(times)),
            "reloaded 1, 2, 3 and 2 more: live in 1.43 s (migrations 0.10, start 0.06, switch 0.01); 57 requests answered meanwhile"
        );
        let failed = Outcome::Failed {
            reason: "it does not compile".to_owned(),
            compiler: "error".to_owned(),
        };
        assert_eq!(
            reload(&["a.rs"], failed),
            "not reloaded, and what ran before goes on: a.rs\nit does not compile"
        );
    }
}
