//! A check whether a new connection can be opened. Open connections keep working when a new one cannot be opened, for example after the
//! server's socket was removed.

use std::sync::PoisonError;
use std::time::Duration;

use deadpool::managed::Manager;
use sqlx::Connection;
use tokio::time::Instant;

use super::{Connector, Pool};
use crate::error::Result;

/// How long an opened connection counts as proof. A login is expensive, mostly because of the password's hash.
const TRUSTED: Duration = Duration::from_secs(10);
/// SQLSTATE too_many_connections.
const FULL: &str = "53300";

impl Pool {
    /// Opens a connection and closes it again. Does nothing if one was opened just now, or if the pool is full. One caller at a time opens a
    /// connection. A server without a free slot counts as reachable while the pool has an open connection.
    ///
    /// # Errors
    /// No connection can be opened.
    pub async fn check_opening(&self) -> Result<()> {
        let connector = self.0.manager();
        let _alone = connector.checking.lock().await;
        let usage = self.usage();
        if usage.open >= usage.most || connector.has_just_opened() {
            return Ok(());
        }
        match connector.create().await {
            // The connection was opened, which is all that the check needs.
            Ok(lent) => drop(lent.connection.close().await),
            Err(sqlx::Error::Database(e))
                if e.code().as_deref() == Some(FULL) && usage.open > 0 =>
            {
                connector.note_opened()
            }
            Err(other) => return Err(other.into()),
        }
        Ok(())
    }
}

impl Connector {
    pub(super) fn note_opened(&self) {
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn has_just_opened(&self) -> bool {
        self.opened
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some_and(|at| at.elapsed() < TRUSTED)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use emotionviz_settings::{Database, DatabaseUrl};
    use sqlx::ConnectOptions;
    use tokio::net::TcpListener;

    use super::*;

    fn pool(url: DatabaseUrl) -> Pool {
        Pool::new(&Database {
            migration_url: url.clone(),
            url,
            connections: 9,
        })
    }

    #[tokio::test]
    async fn of_callers_at_once_one_opens_a_connection() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = pool(
            format!("postgres://ann@{}/journal", server.local_addr().unwrap())
                .parse()
                .unwrap(),
        );
        let check = || {
            let pool = pool.clone();
            tokio::spawn(async move { pool.check_opening().await })
        };
        let _callers: Vec<_> = (0..9).map(|_| check()).collect();
        // It never answers, so each that connects stays.
        let _first = server.accept().await.unwrap();
        assert!(
            tokio::time::timeout(Duration::from_millis(200), server.accept())
                .await
                .is_err(),
            "a second one connects"
        );
    }

    #[tokio::test]
    async fn a_full_server_counts_where_no_connection_is_open_alone() {
        let url = std::env::var("TEST_DATABASE_URL")
            .expect("TEST_DATABASE_URL is not set: run the tests with `cargo dev test`");
        let mut url: DatabaseUrl = url.parse().unwrap();
        let mut admin = crate::pool::connect_options(&url).connect().await.unwrap();
        let drop_role = "DROP ROLE IF EXISTS test_one_connection";
        for sql in [
            drop_role,
            "CREATE ROLE test_one_connection LOGIN PASSWORD 'x' CONNECTION LIMIT 1",
        ] {
            sqlx::raw_sql(sql).execute(&mut admin).await.unwrap();
        }
        url.user = "test_one_connection".to_owned();
        url.password = Some("x".to_owned().into());
        let pool = pool(url);
        pool.run(async |c| Ok(c.ping().await?)).await.unwrap();
        let forget = || *pool.0.manager().opened.lock().unwrap() = None;
        forget();
        pool.check_opening().await.unwrap();
        // Where nothing is open, nothing serves.
        pool.0.retain(|_, _| false);
        let connect = async {
            loop {
                if let Ok(other) = pool.0.manager().options.connect().await {
                    break other;
                }
            }
        };
        let other = tokio::time::timeout(Duration::from_secs(20), connect)
            .await
            .expect("the pool's connection ends");
        forget();
        pool.check_opening().await.unwrap_err();
        drop(other);
        pool.close();
        sqlx::raw_sql(drop_role).execute(&mut admin).await.unwrap();
    }
}
