//! Times as text: RFC 3339 in UTC with a `Z`, always with the same number of digits.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serializer;

/// Returns the current time with milliseconds.
pub fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Serialises a time with the microseconds that PostgreSQL stores.
pub fn serialize<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Micros, true))
}
