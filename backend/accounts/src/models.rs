//! The queries of accounts.

use chrono::{DateTime, Utc};
use emotionviz_core::email;
use emotionviz_db as db;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

#[derive(FromRow)]
pub(crate) struct Account {
    pub(crate) id: Uuid,
    pub(crate) email: String,
    pub(crate) name: String,
    #[sqlx(try_from = "db::Time")]
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) token_generation: i32,
}

#[derive(FromRow)]
pub(crate) struct Credentials {
    #[sqlx(flatten)]
    pub(crate) account: Account,
    pub(crate) hashed_password: String,
    pub(crate) is_active: bool,
}

#[derive(FromRow)]
pub(crate) struct Profile {
    #[sqlx(flatten)]
    pub(crate) account: Account,
    pub(crate) entry_count: i64,
    pub(crate) visualization_count: i64,
}

/// The columns of an [`Account`]. Accounts of the Python backend may have no name.
macro_rules! columns {
    () => {
        "id, email, coalesce(name, '') AS name, created_at, token_generation"
    };
}

/// Stores a new account. Returns `None` if the address has one.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    email: &str,
    hashed_password: &str,
    name: &str,
) -> db::Result<Option<Account>> {
    let account = sqlx::query_as(concat!(
        "INSERT INTO users (email, email_key, hashed_password, name, last_login_at) VALUES ($1, $2, $3, $4, now())
         ON CONFLICT DO NOTHING RETURNING ",
        columns!()
    ))
    .bind(email)
    .bind(email::key(email))
    .bind(hashed_password)
    .bind(name)
    .fetch_optional(connection)
    .await?;
    Ok(account)
}

/// Returns the credentials of an address. An account with the exact spelling comes first, then a spelling that the Python backend stored,
/// then the account with the same key. Keys of an earlier version of this backend are the address in lower case (ASCII).
pub(crate) async fn credentials_of(
    connection: &mut PgConnection,
    email: &str,
) -> db::Result<Option<Credentials>> {
    let credentials = sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        ", hashed_password, coalesce(is_active, false) AS is_active
         FROM users WHERE email = ANY ($1::text[]) OR email_key = ANY ($2::text[])
         ORDER BY array_position($1::text[], email::text), array_position($2::text[], email_key) LIMIT 1"
    ))
    .bind(email::spellings(email))
    .bind([email::key(email), email.to_ascii_lowercase()])
    .fetch_optional(connection)
    .await?;
    Ok(credentials)
}

pub(crate) async fn hash_of(
    connection: &mut PgConnection,
    user: Uuid,
) -> db::Result<Option<String>> {
    Ok(
        sqlx::query_scalar("SELECT hashed_password FROM users WHERE id = $1")
            .bind(user)
            .fetch_optional(connection)
            .await?,
    )
}

/// Records a login. Replaces the old hash by a newer one of the same password, if there is one.
pub(crate) async fn record_login(
    connection: &mut PgConnection,
    user: Uuid,
    old: &str,
    new: Option<String>,
) -> db::Result<()> {
    // The password may have been changed since it was read.
    sqlx::query(
        "UPDATE users SET last_login_at = now(), hashed_password = CASE WHEN hashed_password = $2 THEN coalesce($3, $2) ELSE hashed_password END
         WHERE id = $1",
    )
    .bind(user)
    .bind(old)
    .bind(new)
    .execute(connection)
    .await?;
    Ok(())
}

/// Stores a new password, which ends every token. Returns false if tokens of this generation have ended already.
pub(crate) async fn change_password(
    connection: &mut PgConnection,
    user: Uuid,
    generation: i32,
    hashed_password: &str,
) -> db::Result<bool> {
    let done = sqlx::query(
        "UPDATE users SET hashed_password = $3, token_generation = token_generation + 1, updated_at = now()
         WHERE id = $1 AND token_generation = $2",
    )
    .bind(user)
    .bind(generation)
    .bind(hashed_password)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

pub(crate) async fn profile(
    connection: &mut PgConnection,
    user: Uuid,
) -> db::Result<Option<Profile>> {
    let profile = sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        ", (SELECT count(*) FROM emotion_entries WHERE user_id = $1) AS entry_count,
         (SELECT count(*) FROM visualizations WHERE user_id = $1) AS visualization_count
         FROM users WHERE id = $1"
    ))
    .bind(user)
    .fetch_optional(connection)
    .await?;
    Ok(profile)
}

/// Deletes an account with everything that belongs to it.
pub(crate) async fn delete(connection: &mut PgConnection, user: Uuid) -> db::Result<()> {
    sqlx::query("DELETE FROM users WHERE id = $1")
        .bind(user)
        .execute(connection)
        .await?;
    Ok(())
}
