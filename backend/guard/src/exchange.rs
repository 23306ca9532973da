use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use emotionviz_db as db;
use sqlx::PgConnection;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::guard::Guard;
use crate::limiter::Share;

const EVERY: Duration = Duration::from_secs(1);
/// The number of exchanges between two deletions of old rows.
const SWEEP_EVERY: u32 = 60;

/// The background task that shares the counts with other replicas, in the table `rate_limits`.
///
/// It runs one statement a second, or none if no request was counted. It also deletes ended windows and revoked tokens that have expired.
pub struct Exchange {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Exchange {
    pub fn start(guard: Arc<Guard>) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self {
            stop,
            task: tokio::spawn(run(guard, stopped)),
        }
    }

    /// Stops the task after a last exchange.
    pub async fn stop(self) {
        // The task ends early only if it panics, which is logged.
        self.stop.send(()).ok();
        self.task.await.ok();
    }
}

async fn run(guard: Arc<Guard>, mut stopped: oneshot::Receiver<()>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut connected = true;
    for tick in 0_u32.. {
        let last = tokio::select! {
            _ = ticks.tick() => false,
            _ = &mut stopped => true,
        };
        let mut outcome = guard.exchange().await;
        if outcome.is_ok() && tick % SWEEP_EVERY == SWEEP_EVERY - 1 {
            outcome = guard.pool.run(sweep).await;
        }
        // Only changes are logged: requests that fail without a database have lines of their own.
        let was_connected = std::mem::replace(&mut connected, outcome.is_ok());
        match (outcome, was_connected) {
            (Err(cause), true) => {
                tracing::warn!(%cause, "rate limits are counted by this replica alone")
            }
            (Ok(()), false) => tracing::info!("rate limits are shared again"),
            (Err(_), false) | (Ok(()), true) => {}
        }
        if last {
            return;
        }
    }
}

impl Guard {
    /// Sends what this replica admitted to the others, and receives what they admitted.
    pub async fn exchange(&self) -> db::Result<()> {
        let mut shares: Vec<(String, Share)> = self
            .limiter
            .unsent(self.clock.now().timestamp())
            .into_iter()
            .map(|share| (share.subject.to_string(), share))
            .collect();
        if shares.is_empty() {
            return Ok(());
        }
        // All replicas lock the rows in the same order.
        shares.sort_unstable_by(|(a, x), (b, y)| (a, x.rule).cmp(&(b, y.rule)));
        let known = match self.pool.run(async |c| add(c, &shares).await).await {
            Ok(known) => known,
            Err(error) => {
                shares
                    .iter()
                    .for_each(|(_, share)| self.limiter.roll_back(*share));
                return Err(error);
            }
        };
        let known: HashMap<(String, i32), i32> = known
            .into_iter()
            .map(|(subject, period, count)| ((subject, period), count))
            .collect();
        for (subject, share) in shares {
            if let Some(count) = known.get(&(subject, period_of(&share))) {
                self.limiter
                    .commit(share, u32::try_from(*count).unwrap_or(u32::MAX));
            }
        }
        Ok(())
    }
}

fn period_of(share: &Share) -> i32 {
    i32::try_from(share.subject.rules()[share.rule].period).unwrap_or(i32::MAX)
}

/// Adds the shares to the table, and returns the sum of all replicas for each.
async fn add(
    connection: &mut PgConnection,
    shares: &[(String, Share)],
) -> db::Result<Vec<(String, i32, i32)>> {
    let subjects: Vec<&str> = shares.iter().map(|(subject, _)| subject.as_str()).collect();
    let periods: Vec<i32> = shares.iter().map(|(_, share)| period_of(share)).collect();
    let starts: Vec<DateTime<Utc>> = shares
        .iter()
        .map(|(_, share)| DateTime::from_timestamp(share.start, 0).unwrap_or_default())
        .collect();
    let counts: Vec<i32> = shares
        .iter()
        .map(|(_, share)| i32::try_from(share.count).unwrap_or(i32::MAX))
        .collect();
    let known = sqlx::query_as(
        "INSERT INTO rate_limits AS r (subject, period, window_start, count)
         SELECT * FROM unnest($1::text[], $2::int[], $3::timestamptz[], $4::int[])
         ON CONFLICT (subject, period, window_start) DO UPDATE SET count = r.count + excluded.count
         RETURNING subject, period, count",
    )
    .bind(subjects)
    .bind(periods)
    .bind(starts)
    .bind(counts)
    .fetch_all(connection)
    .await?;
    Ok(known)
}

async fn sweep(connection: &mut PgConnection) -> db::Result<()> {
    sqlx::query("DELETE FROM rate_limits WHERE window_start < now() - interval '1 hour'")
        .execute(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM revoked_tokens WHERE expires_at < now()")
        .execute(connection)
        .await?;
    Ok(())
}
