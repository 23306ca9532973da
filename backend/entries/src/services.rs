//! What can be done with journal entries.

use emotionviz_db as db;
use emotionviz_db::JOURNAL_EMOTIONS;
use uuid::Uuid;

use crate::models::{self, Draft, Entry, Filter, Page};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("unknown emotions")]
    UnknownEmotions(Vec<String>),
    #[error("another user's entry")]
    NotYours,
    #[error("no such entry")]
    Missing,
    #[error(transparent)]
    Database(#[from] db::Error),
}

fn check_emotions(ids: &[String]) -> Result<(), Error> {
    let unknown: Vec<String> = ids
        .iter()
        .filter(|id| !JOURNAL_EMOTIONS.contains(&id.as_str()))
        .cloned()
        .collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(Error::UnknownEmotions(unknown))
    }
}

pub(crate) async fn list(
    pool: &db::Pool,
    user: Uuid,
    filter: Filter,
    page: Page,
) -> Result<(Vec<Entry>, i64), Error> {
    check_emotions(filter.emotion.as_slice())?;
    Ok(pool
        .run(async |c| models::list(c, user, &filter, page).await)
        .await?)
}

pub(crate) async fn create(pool: &db::Pool, user: Uuid, draft: Draft) -> Result<Entry, Error> {
    check_emotions(draft.emotions.as_deref().unwrap_or_default())?;
    Ok(pool
        .run(async |c| models::insert(c, user, draft).await)
        .await?)
}

pub(crate) async fn get(pool: &db::Pool, user: Uuid, id: Uuid) -> Result<Entry, Error> {
    let entry = pool
        .run(async |c| models::find(c, id).await)
        .await?
        .ok_or(Error::Missing)?;
    if entry.user_id == user {
        Ok(entry)
    } else {
        Err(Error::NotYours)
    }
}

/// Changes the fields that the draft has. An empty draft changes nothing, not even `updated_at`.
pub(crate) async fn update(
    pool: &db::Pool,
    user: Uuid,
    id: Uuid,
    draft: Draft,
) -> Result<Entry, Error> {
    check_emotions(draft.emotions.as_deref().unwrap_or_default())?;
    if draft.is_empty() {
        return get(pool, user, id).await;
    }
    match pool
        .run(async |c| models::update(c, user, id, draft).await)
        .await?
    {
        Some(entry) => Ok(entry),
        None => Err(reason(pool, id).await?),
    }
}

pub(crate) async fn delete(pool: &db::Pool, user: Uuid, id: Uuid) -> Result<(), Error> {
    if pool
        .run(async |c| models::delete(c, user, id).await)
        .await?
    {
        Ok(())
    } else {
        Err(reason(pool, id).await?)
    }
}

/// Returns why a user's change found no entry.
async fn reason(pool: &db::Pool, id: Uuid) -> Result<Error, db::Error> {
    Ok(
        if pool
            .run(async |c| models::owner(c, id).await)
            .await?
            .is_some()
        {
            Error::NotYours
        } else {
            Error::Missing
        },
    )
}
