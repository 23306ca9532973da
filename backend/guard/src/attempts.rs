use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use emotionviz_core::ApiError;

use crate::guard::Guard;
use crate::limiter::Subject;

/// An attempt to log in or register, of which an address has ten a minute.
#[derive(Clone, Copy, Debug)]
pub struct LoginAttempt;

impl<S> FromRequestParts<S> for LoginAttempt
where
    S: Send + Sync,
    Arc<Guard>: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let guard = Arc::<Guard>::from_ref(state);
        guard.admit_client(parts, Subject::login)?;
        Ok(Self)
    }
}

/// A request for a picture that the service paints itself, of which an address has sixty a minute.
#[derive(Clone, Copy, Debug)]
pub struct PictureRequest {
    /// The client's address.
    pub address: IpAddr,
}

impl<S> FromRequestParts<S> for PictureRequest
where
    S: Send + Sync,
    Arc<Guard>: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let guard = Arc::<Guard>::from_ref(state);
        let address = guard.admit_client(parts, Subject::picture)?;
        Ok(Self { address })
    }
}
