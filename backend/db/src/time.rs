//! Times as they are stored and as they can be served.

use chrono::{DateTime, Utc};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueRef};
use sqlx::{Decode, Postgres, Type};

/// From PostgreSQL's epoch, 2000-01-01, to 1970.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
/// 0001-01-01T00:00:00Z and the last microsecond of 9999: the range of RFC 3339 and of client libraries.
const SERVED_MICROS: [i64; 2] = [-62_135_596_800_000_000, 253_402_300_799_999_999];

/// A `timestamptz`. A time outside RFC 3339 (`infinity`, before year 1, after 9999) is read as the nearest valid time; chrono would
/// panic on most of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Time(DateTime<Utc>);

impl Time {
    /// Returns the time of PostgreSQL's number: microseconds since 2000, the least and greatest number for `-infinity` and `infinity`.
    fn from_postgres(micros: i64) -> Self {
        let micros = micros
            .saturating_add(EPOCH_MICROS)
            .clamp(SERVED_MICROS[0], SERVED_MICROS[1]);
        Self(DateTime::from_timestamp_micros(micros).expect("these years are within chrono's"))
    }
}

impl From<Time> for DateTime<Utc> {
    fn from(time: Time) -> Self {
        time.0
    }
}

impl Type<Postgres> for Time {
    fn type_info() -> PgTypeInfo {
        <DateTime<Utc> as Type<Postgres>>::type_info()
    }
}

impl<'r> Decode<'r, Postgres> for Time {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        i64::decode(value).map(Self::from_postgres)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_outside_rfc_3339_are_read_as_the_nearest_valid_time() {
        for (micros, served) in [
            (0, "2000-01-01T00:00:00Z"),
            (-1, "1999-12-31T23:59:59.999999Z"),
            (i64::MAX, "9999-12-31T23:59:59.999999Z"),
            (i64::MIN, "0001-01-01T00:00:00Z"),
            // 4714-11-24 BC, PostgreSQL's first, and 294276-12-31, its last.
            (-211_813_488_000_000_000, "0001-01-01T00:00:00Z"),
            (9_223_371_331_199_999_999, "9999-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(
                serde_json::to_value(Time::from_postgres(micros)).unwrap(),
                served
            );
        }
    }
}
