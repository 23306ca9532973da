//! Whether another connection can be opened. Connections that are open go on to work where a new one cannot be made, as after the server's
//! socket was removed.

use std::sync::PoisonError;
use std::time::Duration;

use deadpool::managed::Manager;
use sqlx::Connection;
use tokio::time::Instant;

use super::{Connector, Pool};
use crate::Result;

/// A connection that was opened within this time answers for the next one. Callers of a probe open no more than one in this time.
const TRUSTED: Duration = Duration::from_secs(1);

impl Pool {
    /// Opens a connection as a request does that finds all others in use, and closes it. Does nothing where one was opened just now, or
    /// where the pool has as many as it may have.
    ///
    /// # Errors
    /// No connection can be opened.
    pub async fn check_opening(&self) -> Result<()> {
        let usage = self.usage();
        if usage.open >= usage.most || self.0.manager().has_just_opened() {
            return Ok(());
        }
        let lent = self.0.manager().create().await?;
        // It was opened, which was the question.
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
