//! The schema's migrations: reversible, embedded in the binary, applied one at a time under a lock.
//!
//! sqlx applies and records each one in a transaction. What is added here: waiters poll the lock instead of waiting in it,
//! a failed migration outside a transaction leaves no invalid index behind, a newer schema is served unless it says that it
//! breaks older binaries, `migrate down` pauses automatic migration, and the Python backend's databases are adopted.
//!
//! A migration whose file begins with `-- no-transaction` runs outside a transaction and holds one statement. One with a line
//! `-- breaking` tells older binaries not to serve on it. One that holds comments and blanks alone is not written yet, and waits; later
//! ones do not wait for it, as whatever is not applied is applied in the order of the versions, whenever it comes.

mod adoption;
mod embedded;
mod empty;
mod error;
mod identity;
mod kept;
mod line_ends;
mod lock;
mod odd_rows;
mod owner;
mod pause;
mod records;
mod status;
mod step;

use sqlx::migrate::Migrate;
use sqlx::{Connection, PgConnection};

pub use adoption::Adoption;
pub(crate) use embedded::ups;
use embedded::{MIGRATIONS, is_reversible, undo};
pub(crate) use empty::is_empty;
pub use error::Error;
use identity::Identity;
pub(crate) use line_ends::crlf_checksum;
pub use owner::connect;
use records::{APPLIED, prepare};
pub use status::{Entry, State, Status};
pub use step::Step;

/// Why `up` is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Somebody asked for it: a pause ends.
    Asked,
    /// The environment does it by itself: a pause is kept.
    Automatic,
}

/// What `up` did.
#[derive(Debug)]
pub enum Up {
    /// These were applied; none when the schema was up to date.
    Applied {
        /// The migrations, in order.
        steps: Vec<Step>,
        /// These were left, since nothing is written into them.
        empty: Vec<Entry>,
        /// What was found in a database of the Python backend, when this was the first `up` on it.
        adoption: Option<Adoption>,
    },
    /// Automatic migration is paused since the last `down` or `to`.
    Paused,
}

/// Applies every pending migration; those that are not written yet are left.
///
/// # Errors
/// Nothing of the migration that failed is applied; those before it are.
pub async fn up(conn: &mut PgConnection, cause: Cause) -> Result<Up, Error> {
    lock::acquire(conn).await?;
    let done = up_locked(conn, cause, i64::MAX).await;
    lock::release(conn).await;
    done
}

async fn up_locked(conn: &mut PgConnection, cause: Cause, target: i64) -> Result<Up, Error> {
    // The check of the database and the first migrations are one transaction.
    let mut first = conn.begin().await?;
    let identity = identity::recognise(&mut first).await?;
    if cause == Cause::Automatic && pause::is_on(&mut first).await? {
        first.rollback().await?;
        if identity == Identity::Ours {
            grant(conn).await?;
        }
        return Ok(Up::Paused);
    }
    let aside = if identity == Identity::Python {
        tracing::info!("adopting a database of the Python backend");
        let aside = kept::put_aside_first(&mut first).await?;
        odd_rows::refuse_inconsistent(&mut first).await?;
        Some(aside)
    } else {
        None
    };
    prepare(&mut first).await?;
    let now = status::status(&mut first).await?;
    if let Some(edited) = now.entries.iter().find(|e| e.state == State::Edited) {
        return Err(Error::Edited {
            version: edited.version,
            description: edited.description.clone(),
        });
    }
    adoption::key_addresses_again(&mut first).await?;
    let mut pending = ups()
        .filter(|m| m.version <= target && now.is_pending(m.version))
        .peekable();
    let (mut steps, mut adoption) = (Vec::new(), None);
    while let Some(migration) =
        pending.next_if(|m| m.version <= adoption::LAST || aside.is_some() && !m.no_tx)
    {
        if migration.version == adoption::LAST {
            let (step, adopted) = adoption::apply(&mut first, migration).await?;
            steps.push(step);
            adoption = (identity == Identity::Python).then_some(adopted);
        } else {
            steps.push(step::apply(&mut first, migration).await?);
        }
    }
    if let Some(aside) = aside {
        grant(&mut first).await?;
        aside.put_back(&mut first).await?;
    }
    first.commit().await?;
    let are_granted = identity == Identity::Python && pending.peek().is_none();
    for migration in pending {
        steps.push(step::apply(conn, migration).await?);
    }
    if !are_granted {
        grant(conn).await?;
    }
    pause::end(conn).await?;
    let empty = now
        .entries
        .into_iter()
        .filter(|e| e.state == State::Empty && e.version <= target)
        .collect();
    Ok(Up::Applied {
        steps,
        empty,
        adoption,
    })
}

/// Reverts the newest `count` migrations, and pauses automatic migration.
///
/// # Errors
/// Nothing of the migration that failed is reverted; those after it are. Nothing is reverted when this binary lacks one of them, or what
/// undoes one that is written is not.
pub async fn down(conn: &mut PgConnection, count: usize) -> Result<Vec<Step>, Error> {
    lock::acquire(conn).await?;
    let done = down_locked(conn, |applied| applied.len().saturating_sub(count)).await;
    lock::release(conn).await;
    done
}

async fn down_locked(
    conn: &mut PgConnection,
    keep: impl FnOnce(&[i64]) -> usize,
) -> Result<Vec<Step>, Error> {
    if identity::recognise(conn).await? != Identity::Ours {
        return Ok(Vec::new());
    }
    prepare(conn).await?;
    let applied: Vec<i64> = conn
        .list_applied_migrations(APPLIED)
        .await?
        .iter()
        .map(|m| m.version)
        .collect();
    let reverted = &applied[keep(&applied)..];
    // Its row alone would go, and what it made would be in the way of the next `up`.
    if let Some(version) = reverted.iter().find(|v| !is_reversible(**v)) {
        let up = ups().find(|up| up.version == *version);
        return Err(up.map_or(Error::Unknown(*version), |up| Error::NoUndo {
            version: up.version,
            description: up.description.to_string(),
        }));
    }
    let mut steps = Vec::new();
    for migration in reverted.iter().rev().filter_map(|v| undo(*v)) {
        pause::begin(conn).await?;
        steps.push(step::revert(conn, migration).await?);
    }
    Ok(steps)
}

/// What `to` did.
#[derive(Debug)]
pub enum To {
    /// It went up.
    Up(Up),
    /// It went down.
    Down(Vec<Step>),
}

/// Applies or reverts migrations until `version` is the newest applied one; 0 reverts all of them. Where that is not the newest
/// one there is, automatic migration pauses.
///
/// # Errors
/// As [`up`] and [`down`], and when there is no such version.
pub async fn to(conn: &mut PgConnection, version: i64) -> Result<To, Error> {
    if version != 0 && MIGRATIONS.iter().all(|m| m.version != version) {
        return Err(Error::Unknown(version));
    }
    lock::acquire(conn).await?;
    let done = to_locked(conn, version).await;
    lock::release(conn).await;
    done
}

async fn to_locked(conn: &mut PgConnection, version: i64) -> Result<To, Error> {
    let before = status(conn).await?;
    if version == 0 || before.revision.is_some_and(|newest| newest > version) {
        return down_locked(conn, |applied| applied.partition_point(|v| *v <= version))
            .await
            .map(To::Down);
    }
    let done = up_locked(conn, Cause::Asked, version).await?;
    if before
        .entries
        .iter()
        .any(|e| e.version > version && e.state == State::Pending)
    {
        pause::begin(conn).await?;
    }
    Ok(To::Up(done))
}

/// Checks whether migrations may be applied to this database. Changes nothing in it.
pub(crate) async fn recognise(conn: &mut PgConnection) -> Result<(), Error> {
    identity::recognise(conn).await.map(drop)
}

/// Returns the state of every migration. Changes nothing in the database.
///
/// # Errors
/// The database does not answer, or belongs to another application.
pub async fn status(conn: &mut PgConnection) -> Result<Status, Error> {
    identity::recognise(conn).await?;
    status::status(conn).await
}

/// The SQL of the migrations that `up` would apply, in order, with their versions and descriptions.
///
/// # Errors
/// As [`status`].
pub async fn pending(conn: &mut PgConnection) -> Result<Vec<(i64, String, &'static str)>, Error> {
    let now = status(conn).await?;
    Ok(ups()
        .filter(|m| now.is_pending(m.version))
        .map(|m| (m.version, m.description.to_string(), m.sql.as_str()))
        .collect())
}

/// Lets the service's role connect, and read and write rows, also with row-level security, and nothing else. Without that role, the service
/// connects as the owner.
async fn grant(conn: &mut PgConnection) -> Result<(), Error> {
    sqlx::raw_sql(
        "DO $$
         DECLARE
             secured regclass;
         BEGIN
             IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'emotionviz_api') AND current_user <> 'emotionviz_api' THEN
                 IF pg_has_role((SELECT datdba FROM pg_database WHERE datname = current_database()), 'USAGE') THEN
                     EXECUTE format('GRANT CONNECT ON DATABASE %I TO emotionviz_api', current_database());
                 END IF;
                 GRANT USAGE ON SCHEMA public TO emotionviz_api;
                 GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO emotionviz_api;
                 GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO emotionviz_api;
                 REVOKE INSERT, UPDATE, DELETE ON _sqlx_migrations, _migrations_paused, _migrations_breaking FROM emotionviz_api;
                 FOR secured IN
                     SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relrowsecurity
                         AND relname IN ('users', 'intake_sessions', 'emotion_entries', 'visualizations')
                         AND NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = pg_class.oid AND polname = 'emotionviz_api')
                 LOOP
                     EXECUTE format('CREATE POLICY emotionviz_api ON %s TO emotionviz_api USING (true)', secured);
                 END LOOP;
             END IF;
         END
         $$",
    )
    .execute(conn)
    .await?;
    Ok(())
}
