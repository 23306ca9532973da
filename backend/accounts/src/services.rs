//! What can be done with accounts.

use std::sync::Arc;

use emotionviz_db as db;
use emotionviz_guard::{Guard, PasswordError, Passwords, Verdict};
use secrecy::SecretString;
use uuid::Uuid;

use crate::models::{self, Account, Profile};

/// What the calls on accounts need.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) pool: db::Pool,
    pub(crate) guard: Arc<Guard>,
    pub(crate) passwords: Passwords,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the address has an account")]
    EmailTaken,
    /// An unknown address or a wrong password: clients cannot tell which.
    #[error("wrong credentials")]
    WrongCredentials,
    #[error("the account is inactive")]
    Inactive,
    #[error("the token is no longer valid")]
    StaleToken,
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Database(#[from] db::Error),
}

pub(crate) async fn register(
    state: &State,
    email: &str,
    password: SecretString,
    name: &str,
) -> Result<Account, Error> {
    let hash = state.passwords.hash(password).await?;
    state
        .pool
        .run(async |c| models::insert(c, email, &hash, name).await)
        .await?
        .ok_or(Error::EmailTaken)
}

pub(crate) async fn log_in(
    state: &State,
    email: &str,
    password: SecretString,
) -> Result<Account, Error> {
    let credentials = state
        .pool
        .run(async |c| models::credentials_of(c, email).await)
        .await?;
    let stored = credentials.as_ref().map(|c| c.hashed_password.clone());
    let newer = match state.passwords.verify(password, stored).await? {
        Verdict::Right => None,
        Verdict::RightButOld(newer) => Some(newer),
        Verdict::Wrong => return Err(Error::WrongCredentials),
    };
    let credentials = credentials.ok_or(Error::WrongCredentials)?;
    if !credentials.is_active {
        return Err(Error::Inactive);
    }
    state
        .pool
        .run(async |c| {
            models::record_login(
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

pub(crate) async fn profile(state: &State, user: Uuid) -> Result<Profile, Error> {
    // The account may have been deleted since the token was checked.
    state
        .pool
        .run(async |c| models::profile(c, user).await)
        .await?
        .ok_or(Error::StaleToken)
}

pub(crate) async fn change_password(
    state: &State,
    user: Uuid,
    generation: i32,
    current: SecretString,
    new: SecretString,
) -> Result<(), Error> {
    check_password(state, user, current).await?;
    let hash = state.passwords.hash(new).await?;
    if state
        .pool
        .run(async |c| models::change_password(c, user, generation, &hash).await)
        .await?
    {
        Ok(())
    } else {
        Err(Error::StaleToken)
    }
}

pub(crate) async fn delete(state: &State, user: Uuid, password: SecretString) -> Result<(), Error> {
    check_password(state, user, password).await?;
    Ok(state
        .pool
        .run(async |c| models::delete(c, user).await)
        .await?)
}

async fn check_password(state: &State, user: Uuid, password: SecretString) -> Result<(), Error> {
    let stored = state
        .pool
        .run(async |c| models::hash_of(c, user).await)
        .await?;
    match state.passwords.verify(password, stored).await? {
        Verdict::Right | Verdict::RightButOld(_) => Ok(()),
        Verdict::Wrong => Err(Error::WrongCredentials),
    }
}
