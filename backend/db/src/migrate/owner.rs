//! The role that migrates a database which `cargo dev restore` made of a file of others.
//!
//! Such a file may hold code: triggers, functions, expressions in constraints and indexes. The code runs with the rights of the role that
//! migrates, so a superuser must not migrate. `SET ROLE` is not enough, because the code can reset it. The role connects itself.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

/// The comment on the role (crates/dev-env, postgres/roles.rs).
const MARK: &str =
    "cargo dev made this role: it owns databases that were restored from files of others";
/// Another process may set another password in between.
const TRIES: u32 = 20;
const AGAIN: Duration = Duration::from_millis(50);

/// Connects. If a superuser connects to a database of the marked role, returns a connection of that role.
///
/// # Errors
/// The server does not answer, or refuses.
pub async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let mut conn = options.connect().await?;
    let owner: Option<(String, String, String)> = sqlx::query_as(
        "SELECT owner.rolname::text, password, format('ALTER ROLE %I LOGIN PASSWORD %L', owner.rolname, password)
         FROM pg_database JOIN pg_roles AS owner ON owner.oid = datdba
         JOIN pg_roles AS self ON self.rolname = session_user AND self.rolsuper
         CROSS JOIN concat(gen_random_uuid(), gen_random_uuid()) AS password
         WHERE datname = current_database() AND NOT owner.rolsuper AND shobj_description(owner.oid, 'pg_authid') = $1",
    )
    .bind(MARK)
    .fetch_optional(&mut conn)
    .await?;
    let Some((owner, password, set)) = owner else {
        return Ok(conn);
    };
    // The server's log is not the place for a password.
    let set = format!(
        "SET log_statement = 'none'; SET log_min_duration_statement = -1; SET log_min_error_statement = panic; {set}"
    );
    let options = options.clone().username(&owner).password(&password);
    let mut tries = 1;
    loop {
        let connected = match sqlx::raw_sql(AssertSqlSafe(set.as_str()))
            .execute(&mut conn)
            .await
        {
            Ok(_) => options.connect().await,
            Err(error) => Err(error),
        };
        match connected {
            // invalid_password; internal_error: the row was updated concurrently.
            Err(sqlx::Error::Database(error))
                if tries < TRIES && matches!(error.code().as_deref(), Some("28P01" | "XX000")) =>
            {
                tries += 1;
                tokio::time::sleep(AGAIN).await;
            }
            connected => {
                conn.close().await?;
                return connected;
            }
        }
    }
}
