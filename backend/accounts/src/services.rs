//! What can be done with accounts.

use emotionviz_db as db;
use emotionviz_guard::{PasswordError, Passwords, Verdict};
use secrecy::SecretString;
use uuid::Uuid;

use crate::models::{self, Account, Profile};

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The address has an account.
    #[error("the address has an account")]
    EmailTaken,
    /// Unknown address or wrong password: one answer for both.
    #[error("wrong credentials")]
    WrongCredentials,
    /// The account is inactive.
    #[error("the account is inactive")]
    Inactive,
    /// The token that asks counts no longer.
    #[error("the token counts no longer")]
    StaleToken,
    /// Hashing.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The database.
    #[error(transparent)]
    Database(#[from] db::Error),
}

pub(crate) async fn register(
    pool: &db::Pool,
    passwords: &Passwords,
    email: &str,
    password: SecretString,
    name: &str,
) -> Result<Account, Error> {
    let hash = passwords.hash(password).await?;
    pool.run(async |c| models::insert(c, email, &hash, name).await)
        .await?
        .ok_or(Error::EmailTaken)
}

pub(crate) async fn log_in(
    pool: &db::Pool,
    passwords: &Passwords,
    email: &str,
    password: SecretString,
) -> Result<Account, Error> {
    let credentials = pool
        .run(async |c| models::credentials_of(c, email).await)
        .await?;
    let stored = credentials.as_ref().map(|c| c.hashed_password.clone());
    let newer = match passwords.verify(password, stored).await? {
        Verdict::Right => None,
        Verdict::RightButOld(newer) => Some(newer),
        Verdict::Wrong => return Err(Error::WrongCredentials),
    };
    let credentials = credentials.ok_or(Error::WrongCredentials)?;
    if !credentials.is_active {
        return Err(Error::Inactive);
    }
    pool.run(async |c| {
        models::note_login(
            c,
            credentials.account.id,
            &credentials.hashed_password,
            newer,
        )
        .await
    })
    .await?;
    Ok(credentials.account)
}

pub(crate) async fn profile(pool: &db::Pool, user: Uuid) -> Result<Profile, Error> {
    // Deleted between the check of the token and now.
    pool.run(async |c| models::profile(c, user).await)
        .await?
        .ok_or(Error::StaleToken)
}

pub(crate) async fn change_password(
    pool: &db::Pool,
    passwords: &Passwords,
    user: Uuid,
    generation: i32,
    current: SecretString,
    new: SecretString,
) -> Result<(), Error> {
    check_password(pool, passwords, user, current).await?;
    let hash = passwords.hash(new).await?;
    if pool
        .run(async |c| models::change_password(c, user, generation, &hash).await)
        .await?
    {
        Ok(())
    } else {
        Err(Error::StaleToken)
    }
}

pub(crate) async fn delete(
    pool: &db::Pool,
    passwords: &Passwords,
    user: Uuid,
    password: SecretString,
) -> Result<(), Error> {
    check_password(pool, passwords, user, password).await?;
    Ok(pool.run(async |c| models::delete(c, user).await).await?)
}

async fn check_password(
    pool: &db::Pool,
    passwords: &Passwords,
    user: Uuid,
    password: SecretString,
) -> Result<(), Error> {
    let stored = pool.run(async |c| models::hash_of(c, user).await).await?;
    match passwords.verify(password, stored).await? {
        Verdict::Right | Verdict::RightButOld(_) => Ok(()),
        Verdict::Wrong => Err(Error::WrongCredentials),
    }
}
