use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use emotionviz_core::{ApiError, ErrorCode, request};
use emotionviz_db as db;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::guard::Guard;
use crate::limiter::Subject;
use crate::tokens::Claims;

/// The user who makes the request: has a valid token that was not revoked, an active account, and requests left.
#[derive(Clone, Copy, Debug)]
pub struct CurrentUser {
    pub id: Uuid,
    claims: Claims,
}

impl CurrentUser {
    /// Returns the generation of the token, by which an update notices that the password was changed since.
    pub fn generation(&self) -> i32 {
        self.claims.generation
    }
}

impl<S> FromRequestParts<S> for CurrentUser
where
    S: Send + Sync,
    Arc<Guard>: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let guard = Arc::<Guard>::from_ref(state);
        let claims = bearer(parts)
            .and_then(|token| guard.tokens.read(token))
            .ok_or(ErrorCode::Unauthorized)?;
        request::set_user(claims.sub);
        match guard.pool.run(async |c| is_active(c, claims).await).await? {
            None => return Err(ErrorCode::Unauthorized.into()),
            Some(false) => {
                return Err(ApiError::new(
                    ErrorCode::Forbidden,
                    "This account is inactive.",
                ));
            }
            Some(true) => {}
        }
        guard.admit(Subject::User(claims.sub))?;
        Ok(Self {
            id: claims.sub,
            claims,
        })
    }
}

/// Returns the token of `Authorization: Bearer …` (RFC 6750, 2.1).
fn bearer(parts: &Parts) -> Option<&str> {
    let (scheme, token) = parts
        .headers
        .get(AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Returns whether the account of a token is active. Returns `None` if the token was revoked, the password changed after the token was
/// issued, or the account was deleted.
async fn is_active(connection: &mut PgConnection, claims: Claims) -> db::Result<Option<bool>> {
    Ok(sqlx::query_scalar(
        "SELECT coalesce(is_active, false) FROM users WHERE id = $1 AND token_generation = $2
         AND NOT EXISTS (SELECT FROM revoked_tokens WHERE jti = $3)",
    )
    .bind(claims.sub)
    .bind(claims.generation)
    .bind(claims.jti)
    .fetch_optional(connection)
    .await?)
}

impl Guard {
    /// Makes all replicas refuse the token of this request.
    pub async fn revoke_token(&self, user: &CurrentUser) -> db::Result<()> {
        let expires_at =
            DateTime::<Utc>::from_timestamp(user.claims.exp, 0).unwrap_or(DateTime::<Utc>::MAX_UTC);
        self.pool
            .run(async |connection| {
                sqlx::query(
                    "INSERT INTO revoked_tokens (jti, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                )
                .bind(user.claims.jti)
                .bind(expires_at)
                .execute(connection)
                .await?;
                Ok(())
            })
            .await
    }
}
