//! Extractors whose failures have the error envelope and never repeat what the client sent.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use garde::Validate;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::error::{ApiError, ErrorCode};

/// A JSON object (RFC 8259) that its type accepts.
pub struct Json<T>(pub T);

impl<S, T> FromRequest<S> for Json<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Validate<Context = ()>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ErrorCode::UnsupportedMediaType.into());
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(ApiError::internal)?;
        // serde would read a list as a struct's fields in their order.
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            return Err(ApiError::fields([("body", "must be a JSON object")]));
        }
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        let value: T = serde_path_to_error::deserialize(&mut json).map_err(|e| {
            match e.inner().classify() {
                serde_json::error::Category::Data => {
                    wrong_field(&e.path().to_string(), &e.inner().to_string(), "body")
                }
                _ => ApiError::fields([("body", "must be a JSON object")]),
            }
        })?;
        json.end()
            .map_err(|_| ApiError::fields([("body", "must be one JSON object")]))?;
        valid(value).map(Self)
    }
}

/// Returns whether the type is `application/json`, or ends in `+json` (RFC 6839).
fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers.get(CONTENT_TYPE).map(|v| v.to_str()) else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        || essence.split_once('/').is_some_and(|(kind, sub)| {
            kind.eq_ignore_ascii_case("application")
                && sub.len() > 5
                && sub[sub.len() - 5..].eq_ignore_ascii_case("+json")
        })
}

/// A query string that its type accepts.
pub struct Query<T>(pub T);

impl<S, T> FromRequestParts<S> for Query<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Validate<Context = ()>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
        let value: T = serde_path_to_error::deserialize(pairs)
            .map_err(|e| wrong_field(&e.path().to_string(), &e.inner().to_string(), "query"))?;
        valid(value).map(Self)
    }
}

/// The `{id}` of a path: a UUID as RFC 9562 writes it.
pub struct Id(pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = Path::<String>::from_request_parts(parts, state).await.ok();
        // The parser accepts other forms, which have other lengths.
        text.filter(|Path(text)| text.len() == 36)
            .and_then(|Path(text)| Uuid::parse_str(&text).ok())
            .map(Self)
            .ok_or_else(|| ApiError::fields([("id", "must be a UUID")]))
    }
}

fn valid<T: Validate<Context = ()>>(value: T) -> Result<T, ApiError> {
    match value.validate() {
        Ok(()) => Ok(value),
        Err(report) => {
            let rules = report
                .into_inner()
                .into_iter()
                .map(|(path, error)| (path.to_string(), error.message().to_owned()));
            Err(ApiError::fields(rules))
        }
    }
}

/// Takes the field and the rule from serde's message, without the value that is in it.
fn wrong_field(path: &str, said: &str, whole: &str) -> ApiError {
    let quoted = || said.split('`').nth(1).unwrap_or_default();
    let inside = |name: &str| {
        if path == "." || path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    if said.starts_with("missing field") {
        return ApiError::fields([(inside(quoted()), "is required")]);
    }
    if said.starts_with("duplicate field") {
        return ApiError::fields([(inside(quoted()), "must be there once")]);
    }
    let name = if path == "." || path.is_empty() {
        whole
    } else {
        path
    };
    // After the last "expected" comes the name of a type, and nothing of the request.
    let expected = said
        .rsplit_once(", expected ")
        .map(|(_, expected)| expected.split(" at line ").next().unwrap_or(expected));
    let rule = match expected {
        Some("f64" | "f32") => "must be a number".to_owned(),
        Some("u32" | "u64" | "i64" | "usize") => "must be a whole number".to_owned(),
        Some("a sequence") => "must be a list".to_owned(),
        Some(expected) if expected.starts_with("struct ") => "must be an object".to_owned(),
        Some(expected) => format!("must be {}", expected.replace('`', "")),
        None if said.contains("digit") || said.contains("number") || said.contains("integer") => {
            "must be a whole number".to_owned()
        }
        None => "is not valid".to_owned(),
    };
    ApiError::fields([(name, rule)])
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn content_types() {
        let is = |text: &str| {
            is_json(&HeaderMap::from_iter([(
                CONTENT_TYPE,
                HeaderValue::from_str(text).unwrap(),
            )]))
        };
        assert!(
            is("application/json")
                && is("Application/JSON; charset=utf-8")
                && is("application/problem+json")
        );
        assert!(
            !is("text/plain")
                && !is("application/+json")
                && !is("text/x+json")
                && !is("application/é+jsö")
        );
        assert!(!is_json(&HeaderMap::new()));
    }
}
