use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use emotionviz_core::token::Claims;
use emotionviz_core::{ApiError, ErrorCode, request};
use emotionviz_db as db;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres};

use crate::limiter::Subject;
use crate::{CurrentUser, Guard};

/// Whom a token that we issued names, with requests left. Whether it still counts, the statement says that does the work: a round trip
/// less than [`CurrentUser`] takes, for the calls that are made most. Such a statement finds nothing for who is to be refused; then
/// [`Claimant::confirm`] says why. There is no other way to the user's id: who forgets to ask has none.
pub struct Claimant(Claims);

/// Why a token does not count.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum Refusal {
    /// It was revoked, the password changed after it was issued, or the account is gone.
    #[error("the token counts no longer")]
    Void,
    /// The account is inactive.
    #[error("the account is inactive")]
    Inactive,
}

impl Claimant {
    /// A table of one column `id` and one row, or none for who is to be refused; as a value, the id or NULL. Its parameters are the first
    /// [`Self::PARAMETERS`] of its statement, bound by [`Self::bind`]; `$1` is the id.
    pub const SQL: &str =
        "(SELECT id FROM users WHERE id = $1 AND token_generation = $2 AND is_active
         AND NOT EXISTS (SELECT FROM revoked_tokens WHERE jti = $3))";
    /// How many parameters that has.
    pub const PARAMETERS: usize = 3;

    /// Binds the parameters of [`Self::SQL`].
    pub fn bind<'q>(
        &self,
        query: Query<'q, Postgres, PgArguments>,
    ) -> Query<'q, Postgres, PgArguments> {
        query
            .bind(self.0.sub)
            .bind(self.0.generation)
            .bind(self.0.jti)
    }

    /// The user, or why there is none.
    ///
    /// # Errors
    /// The database gave no answer.
    pub async fn confirm(
        &self,
        connection: &mut PgConnection,
    ) -> db::Result<Result<CurrentUser, Refusal>> {
        let found = sqlx::query_as(
            "SELECT coalesce(is_active, false), EXISTS (SELECT FROM revoked_tokens WHERE jti = $3)
             FROM users WHERE id = $1 AND token_generation = $2",
        )
        .bind(self.0.sub)
        .bind(self.0.generation)
        .bind(self.0.jti)
        .fetch_optional(connection)
        .await?;
        Ok(match found {
            Some((true, false)) => Ok(CurrentUser::of(self.0)),
            Some((false, false)) => Err(Refusal::Inactive),
            Some((_, true)) | None => Err(Refusal::Void),
        })
    }
}

impl<S> FromRequestParts<S> for Claimant
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
        guard.admit(Subject::User(claims.sub))?;
        Ok(Self(claims))
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750, 2.1).
fn bearer(parts: &Parts) -> Option<&str> {
    let (scheme, token) = parts
        .headers
        .get(AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Void => ErrorCode::Unauthorized.into(),
            Refusal::Inactive => Self::new(ErrorCode::Forbidden, "This account is inactive."),
        }
    }
}
