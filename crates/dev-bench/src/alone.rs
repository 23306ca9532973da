//! What PostgreSQL does in a second by itself: the most that any service before it could.

use std::time::Duration;

use super::BenchError;
use super::database::{Database, READER};
use local_postgres::psql::literal;
use process::{Configuration, capture};

/// Its own load generator, with the connections that a service would have.
const ARGS: [&str; 5] = [
    "--no-vacuum",
    "--protocol=prepared",
    "--client=8",
    "--time=2",
    "--file=-",
];
/// What that may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The two statements of the service that are measured, without the service.
pub(super) struct Alone {
    pgbench: Configuration,
    list: String,
    create: String,
}

impl Alone {
    /// On one of the databases, whose reader has entries. Nothing when `pgbench` is not among PostgreSQL's programs.
    pub(super) async fn new(database: &Database, name: &str) -> Result<Option<Self>, BenchError> {
        let Some(pgbench) = database.pgbench(name) else {
            return Ok(None);
        };
        let reader = database
            .run(
                name,
                &format!("SELECT id FROM users WHERE email = {}", literal(READER)),
            )
            .await?;
        let another = "INSERT INTO users (email, email_key, hashed_password, name) VALUES ('alone', 'alone', '', '') RETURNING id";
        let writer = database.run(name, another).await?;
        let list = format!(
            "SELECT e.id, e.user_id, e.situation, e.emotions, e.intensity, e.notes, e.created_at, e.updated_at, v.id
             FROM emotion_entries e LEFT JOIN visualizations v ON v.entry_id = e.id
             WHERE e.user_id = {} ORDER BY e.created_at DESC, e.id DESC LIMIT 50;",
            literal(&reader)
        );
        let create = format!(
            "INSERT INTO emotion_entries (user_id, situation, emotions, intensity, notes)
             VALUES ({}, 'The meeting ran late again, and nobody had read what I had sent them the day before.',
                     '{{anger,frustration}}', 0.7, 'I went for a walk and it got better.') RETURNING id;",
            literal(&writer)
        );
        Ok(Some(Self {
            pgbench,
            list,
            create,
        }))
    }

    /// How many pages of fifty entries it reads in a second.
    pub(super) async fn list(&self) -> Result<f64, BenchError> {
        self.per_second(&self.list).await
    }

    /// How many entries it stores in a second, each on the disk.
    pub(super) async fn create(&self) -> Result<f64, BenchError> {
        self.per_second(&self.create).await
    }

    async fn per_second(&self, statement: &str) -> Result<f64, BenchError> {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let pgbench = self
            .pgbench
            .clone()
            .args(ARGS)
            .args([format!("--jobs={threads}")]);
        let program = pgbench.program.clone();
        let output = capture(pgbench, statement.as_bytes(), PATIENCE).await?;
        rate(&String::from_utf8_lossy(&output.stdout)).ok_or(BenchError::NoReport {
            program,
            reason: output.stderr.trim().to_owned(),
        })
    }
}

/// The number of `tps = 12472.1 (without initial connection time)`.
fn rate(printed: &str) -> Option<f64> {
    printed
        .lines()
        .find_map(|line| line.strip_prefix("tps = "))?
        .split(' ')
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_pgbench_are_parsed() {
        assert_eq!(
            rate("latency average = 0.6 ms\ntps = 12472.1 (without initial connection time)\n"),
            Some(12472.1)
        );
        assert_eq!(rate("pgbench: error\n"), None);
    }
}
