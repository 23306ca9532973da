//! Request and response bodies.

use chrono::{DateTime, Utc};
use emotionviz_core::{rules, time};
use garde::Validate;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A new account.
#[derive(Deserialize, ToSchema, Validate)]
pub(crate) struct Registration {
    /// White space around it is trimmed. Comparison ignores case, Unicode normalization and the form of the domain.
    #[garde(custom(rules::email))]
    #[serde(deserialize_with = "trimmed")]
    #[schema(format = Email, max_length = 254, example = "ann@example.com")]
    pub(crate) email: String,
    /// 8 to 128 characters, at least one letter and one character that is not a letter.
    #[garde(custom(is_new_password))]
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 128, pattern = r"^(?=.*\p{L})(?=.*\P{L})", example = "correct horse 1")]
    pub(crate) password: SecretString,
    #[garde(custom(rules::text(1, 255)))]
    #[schema(
        min_length = 1,
        max_length = 255,
        pattern = r"^[^\x00]*$",
        example = "Ann"
    )]
    pub(crate) name: String,
}

/// Credentials.
#[derive(Deserialize, ToSchema, Validate)]
pub(crate) struct Login {
    /// Matched exactly first, then by the comparison of registration.
    #[garde(custom(rules::text(1, 255)))]
    #[serde(deserialize_with = "trimmed")]
    #[schema(
        min_length = 1,
        max_length = 255,
        pattern = r"^[^\x00]*$",
        example = "ann@example.com"
    )]
    pub(crate) email: String,
    #[garde(skip)]
    #[schema(value_type = String, format = Password, example = "correct horse 1")]
    pub(crate) password: SecretString,
}

/// A password and the one that is to replace it.
#[derive(Deserialize, ToSchema, Validate)]
pub(crate) struct PasswordChange {
    #[garde(skip)]
    #[schema(value_type = String, format = Password)]
    pub(crate) current_password: SecretString,
    /// 8 to 128 characters, at least one letter and one character that is not a letter.
    #[garde(custom(is_new_password))]
    #[schema(value_type = String, format = Password, min_length = 8, max_length = 128, pattern = r"^(?=.*\p{L})(?=.*\P{L})")]
    pub(crate) new_password: SecretString,
}

/// The password, once more, for what cannot be undone.
#[derive(Deserialize, ToSchema, Validate)]
pub(crate) struct Confirmation {
    #[garde(skip)]
    #[schema(value_type = String, format = Password)]
    pub(crate) password: SecretString,
}

fn trimmed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(text.trim().to_owned())
}

fn is_new_password(password: &SecretString, _: &()) -> garde::Result {
    let password = password.expose_secret();
    if !(8..=128).contains(&password.chars().count()) {
        return Err(garde::Error::new("must have 8 to 128 characters"));
    }
    if !password.contains(char::is_alphabetic) || password.chars().all(char::is_alphabetic) {
        return Err(garde::Error::new(
            "must have at least one letter and one character that is not a letter",
        ));
    }
    Ok(())
}

/// An account.
#[derive(Serialize, ToSchema)]
pub(crate) struct User {
    pub(crate) id: Uuid,
    pub(crate) email: String,
    pub(crate) name: String,
    #[serde(serialize_with = "time::serialize")]
    pub(crate) created_at: DateTime<Utc>,
}

/// An account, and a token for it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Session {
    pub(crate) user: User,
    #[serde(flatten)]
    pub(crate) token: Token,
}

/// A token.
#[derive(Serialize, ToSchema)]
pub(crate) struct Token {
    pub(crate) access_token: String,
    #[schema(example = "bearer")]
    pub(crate) token_type: &'static str,
    /// How long it is valid, in seconds.
    #[schema(example = 3600)]
    pub(crate) expires_in: i64,
}

/// An account and how much it holds.
#[derive(Serialize, ToSchema)]
pub(crate) struct Profile {
    #[serde(flatten)]
    pub(crate) user: User,
    pub(crate) entry_count: i64,
    pub(crate) visualization_count: i64,
}
