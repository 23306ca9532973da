use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use emotionviz_core::token::Claims;
use emotionviz_core::{ApiError, request};
use emotionviz_db as db;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::limiter::Subject;
use crate::{Claimant, Guard};

/// The user who makes the request: has a token that we issued and nobody revoked, an active account, and requests left.
#[derive(Clone, Copy, Debug)]
pub struct CurrentUser {
    /// The user's id.
    pub id: Uuid,
    claims: Claims,
}

impl CurrentUser {
    pub(crate) fn of(claims: Claims) -> Self {
        Self {
            id: claims.sub,
            claims,
        }
    }

    /// The generation of the token; an update that depends on it fails when the password changed meanwhile.
    pub fn generation(&self) -> i32 {
        self.claims.generation
    }

    /// Makes all replicas refuse the token of this request.
    ///
    /// # Errors
    /// The database gave no answer.
    pub async fn revoke_token(&self, connection: &mut PgConnection) -> db::Result<()> {
        let expires_at =
            DateTime::<Utc>::from_timestamp(self.claims.exp, 0).unwrap_or(DateTime::<Utc>::MAX_UTC);
        sqlx::query(
            "INSERT INTO revoked_tokens (jti, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        )
        .bind(self.claims.jti)
        .bind(expires_at)
        .execute(connection)
        .await?;
        Ok(())
    }
}

impl<S> FromRequestParts<S> for CurrentUser
where
    S: Send + Sync,
    Arc<Guard>: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let claimant = Claimant::from_request_parts(parts, state).await?;
        Ok(Arc::<Guard>::from_ref(state)
            .pool
            .run(async |c| claimant.confirm(c).await)
            .await??)
    }
}

impl Guard {
    /// Counts a request, and refuses it when the subject has none left.
    pub(crate) fn admit(&self, subject: Subject) -> Result<(), ApiError> {
        let now = Utc::now().timestamp();
        let Some(outcome) = self.limiter.take(subject, now) else {
            return Ok(());
        };
        let (Ok(left) | Err(left)) = outcome;
        request::set_rate_limit(left);
        outcome.map(drop).map_err(|left| {
            ApiError::rate_limited(u64::try_from(left.reset - now).unwrap_or(0).max(1))
        })
    }
}
