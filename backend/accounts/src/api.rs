//! Accounts over HTTP.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::FromRef;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use emotionviz_core::openapi::{Always, WithBody, WithToken};
use emotionviz_core::{ApiError, Data, ErrorCode, Failure, Json, Meta, request};
use emotionviz_guard::{CurrentUser, Guard, Issued, LoginAttempt};
use futures_util::TryStreamExt;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::export::{self, Export};
use crate::models::Account;
use crate::schemas::{
    Confirmation, Login, PasswordChange, Profile, Registration, Session, Token, User,
};
use crate::services::{self, Error, State};

impl FromRef<State> for Arc<Guard> {
    fn from_ref(state: &State) -> Self {
        state.guard.clone()
    }
}

pub(crate) fn router(state: State) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(login))
        .routes(routes!(refresh))
        .routes(routes!(me, delete))
        .routes(routes!(logout))
        .routes(routes!(change_password))
        .routes(routes!(export_all))
        .with_state(state)
}

type Call = axum::extract::State<State>;

/// Makes an account.
#[utoipa::path(post, path = "/auth/register", tag = "accounts", request_body = Registration, responses(
    (status = 201, body = Data<Session>, description = "The account and a token for it"),
    (status = 409, body = Failure, description = "The address has an account"),
    (status = 429, body = Failure, description = "More than ten attempts a minute"),
    WithBody, Always,
))]
async fn register(
    call: Call,
    _: LoginAttempt,
    Json(new): Json<Registration>,
) -> Result<(StatusCode, Data<Session>), ApiError> {
    let account = services::register(&call, &new.email, new.password, &new.name).await?;
    Ok((StatusCode::CREATED, Data::new(session(&call, account))))
}

/// Logs in.
#[utoipa::path(post, path = "/auth/login", tag = "accounts", request_body = Login, responses(
    (status = 200, body = Data<Session>, description = "The account and a token for it"),
    (status = 401, body = Failure, description = "Wrong credentials"),
    (status = 403, body = Failure, description = "The account is inactive"),
    (status = 429, body = Failure, description = "More than ten attempts a minute"),
    WithBody, Always,
))]
async fn login(
    call: Call,
    _: LoginAttempt,
    Json(login): Json<Login>,
) -> Result<Data<Session>, ApiError> {
    let account = services::log_in(&call, &login.email, login.password).await?;
    Ok(Data::new(session(&call, account)))
}

/// A new token. The one that asks for it stays valid for its time.
#[utoipa::path(post, path = "/auth/refresh", tag = "accounts", security(("bearer" = [])), responses(
    (status = 200, body = Data<Token>, description = "The token"),
    WithToken, Always,
))]
async fn refresh(call: Call, user: CurrentUser) -> Data<Token> {
    Data::new(call.guard.tokens().issue(user.id, user.generation()).into())
}

/// The account of the token.
#[utoipa::path(get, path = "/auth/me", operation_id = "get_account", tag = "accounts", security(("bearer" = [])), responses(
    (status = 200, body = Data<Profile>, description = "The account"),
    WithToken, Always,
))]
async fn me(call: Call, user: CurrentUser) -> Result<Data<Profile>, ApiError> {
    let profile = services::profile(&call, user.id).await?;
    let (entry_count, visualization_count) = (profile.entry_count, profile.visualization_count);
    Ok(Data::new(Profile {
        user: profile.account.into(),
        entry_count,
        visualization_count,
    }))
}

/// Ends the token, on every replica.
#[utoipa::path(post, path = "/auth/logout", tag = "accounts", security(("bearer" = [])), responses(
    (status = 204, description = "It counts no longer"),
    WithToken, Always,
))]
async fn logout(call: Call, user: CurrentUser) -> Result<StatusCode, ApiError> {
    call.guard.revoke_token(&user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Changes the password, and ends every token.
#[utoipa::path(put, path = "/auth/password", tag = "accounts", request_body = PasswordChange, security(("bearer" = [])), responses(
    (status = 204, description = "It is changed"),
    WithBody, WithToken, Always,
))]
async fn change_password(
    call: Call,
    user: CurrentUser,
    Json(change): Json<PasswordChange>,
) -> Result<StatusCode, ApiError> {
    let (current, new) = (change.current_password, change.new_password);
    services::change_password(&call, user.id, user.generation(), current, new).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Everything that is stored about the user, streamed.
#[utoipa::path(get, path = "/auth/me/export", operation_id = "export_account", tag = "accounts", security(("bearer" = [])), responses(
    (status = 200, body = Data<Export>, description = "Everything"),
    WithToken, Always,
))]
async fn export_all(call: Call, user: CurrentUser) -> Response {
    let request_id = request::id();
    let document =
        export::document(call.pool.clone(), user.id, Meta::now()).inspect_err(move |cause| {
            // The status is sent already: the connection breaks, and the client sees that the document is not whole.
            let request_id = request_id.as_ref().and_then(|id| id.to_str().ok());
            tracing::error!(%cause, request_id, "an export broke off");
        });
    let json = HeaderValue::from_static("application/json");
    let attachment =
        HeaderValue::from_static("attachment; filename=\"emotionvisualizer-export.json\"");
    (
        [
            (header::CONTENT_TYPE, json),
            (header::CONTENT_DISPOSITION, attachment),
        ],
        Body::from_stream(document),
    )
        .into_response()
}

/// Deletes the account and everything that belongs to it.
#[utoipa::path(delete, path = "/auth/me", operation_id = "delete_account", tag = "accounts", request_body = Confirmation, security(("bearer" = [])), responses(
    (status = 204, description = "It is gone"),
    WithBody, WithToken, Always,
))]
async fn delete(
    call: Call,
    user: CurrentUser,
    Json(confirmation): Json<Confirmation>,
) -> Result<StatusCode, ApiError> {
    services::delete(&call, user.id, confirmation.password).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn session(call: &State, account: Account) -> Session {
    request::set_user(account.id);
    let token = call
        .guard
        .tokens()
        .issue(account.id, account.token_generation)
        .into();
    Session {
        user: account.into(),
        token,
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match error {
            Error::EmailTaken => {
                Self::new(ErrorCode::Conflict, "This e-mail address has an account.")
            }
            Error::WrongCredentials => Self::new(
                ErrorCode::Unauthorized,
                "The e-mail address or the password is wrong.",
            ),
            Error::Inactive => Self::new(ErrorCode::Forbidden, "This account is inactive."),
            Error::StaleToken => ErrorCode::Unauthorized.into(),
            Error::Password(cause) => Self::internal(cause),
            Error::Database(error) => error.into(),
        }
    }
}

impl From<Account> for User {
    fn from(account: Account) -> Self {
        Self {
            id: account.id,
            email: account.email,
            name: account.name,
            created_at: account.created_at,
        }
    }
}

impl From<Issued> for Token {
    fn from(issued: Issued) -> Self {
        Self {
            access_token: issued.token,
            token_type: "bearer",
            expires_in: issued.expires_in,
        }
    }
}
