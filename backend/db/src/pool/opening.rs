//! A check whether a new connection can be opened. Open connections keep working when a new one cannot be opened, for example after the
//! server's socket was removed.

use std::sync::PoisonError;
use std::time::Duration;

use deadpool::managed::Manager;
use sqlx::Connection;
use tokio::time::Instant;

use super::{Connector, Pool};
use crate::Result;

/// How long an opened connection counts as proof. Probes open at most one connection in this time.
const TRUSTED: Duration = Duration::from_secs(1);

impl Pool {
    /// Opens a connection and closes it again. Does nothing if one was opened just now, or if the pool is full.
    ///
    /// # Errors
    /// No connection can be opened.
    pub async fn check_opening(&self) -> Result<()> {
        let usage = self.usage();
        if usage.open >= usage.most || self.0.manager().has_just_opened() {
            return Ok(());
        }
        let lent = self.0.manager().create().await?;
        // The connection was opened, which is all that the check needs.
        lent.connection.close().await.ok();
        Ok(())
    }
}

impl Connector {
    pub(super) fn note_opened(&self) {
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn has_just_opened(&self) -> bool {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at.elapsed() < TRUSTED)
    }
}
