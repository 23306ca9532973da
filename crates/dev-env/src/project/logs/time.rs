//! Times in log lines, and as people write them.

use std::time::{Duration, SystemTime};

use serde::Deserialize;

use crate::Error;

/// `10m`, `2h`, or a time of RFC 3339.
///
/// # Errors
/// It is neither.
pub fn since(text: &str, now: SystemTime) -> Result<SystemTime, Error> {
    let bad = || {
        Error::hinted(
            format!("\"{text}\" is not a time"),
            "write 30s, 10m, 2h, 3d, or a time such as 2026-11-24T09:30:00Z",
        )
    };
    match humantime::parse_duration(text) {
        Ok(ago) => now.checked_sub(ago).ok_or_else(bad),
        Err(_) => leading(text)
            .filter(|(_, rest)| rest.is_empty())
            .map(|(at, _)| at)
            .ok_or_else(bad),
    }
}

/// The time of a line: at its beginning, or in a JSON object's `timestamp`.
pub(super) fn of_line(line: &str) -> Option<SystemTime> {
    #[derive(Deserialize)]
    struct Stamped {
        timestamp: String,
    }
    if line.starts_with('{') {
        return serde_json::from_str(line)
            .ok()
            .and_then(|stamped: Stamped| leading(&stamped.timestamp).map(|(at, _)| at));
    }
    leading(line).map(|(at, _)| at)
}

/// The time that a text begins with, and what follows it: RFC 3339, or PostgreSQL's `2026-11-24 10:00:00.123 UTC`.
fn leading(text: &str) -> Option<(SystemTime, &str)> {
    const TO_SECONDS: usize = "2026-11-24T10:00:00".len();
    let fraction = text.get(TO_SECONDS..)?;
    let end = TO_SECONDS
        + fraction
            .find(|c: char| c != '.' && !c.is_ascii_digit())
            .unwrap_or(fraction.len());
    let at = humantime::parse_rfc3339_weak(text.get(..end)?).ok()?;
    let zone = &text[end..];
    if let Some(rest) = zone.strip_prefix('Z').or_else(|| zone.strip_prefix(" UTC")) {
        return Some((at, rest));
    }
    match (zone.get(..1), zone.get(1..6)) {
        (Some("+"), Some(offset)) => {
            Some((at.checked_sub(hours_and_minutes(offset)?)?, &zone[6..]))
        }
        (Some("-"), Some(offset)) => {
            Some((at.checked_add(hours_and_minutes(offset)?)?, &zone[6..]))
        }
        _ => Some((at, zone)),
    }
}

fn hours_and_minutes(text: &str) -> Option<Duration> {
    let (hours, minutes) = text.split_once(':')?;
    Some(Duration::from_secs(
        60 * (60 * hours.parse::<u64>().ok()? + minutes.parse::<u64>().ok()?),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_times_in_all_formats_are_equal() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_514_400_250);
        for line in [
            "2026-11-24T10:00:00.25Z  INFO hello",
            "2026-11-24T12:00:00.250000+02:00 hello",
            "2026-11-24T06:30:00.250-03:30 hello",
            "2026-11-24 10:00:00.250 UTC [12] LOG:  hello",
            "{\"timestamp\":\"2026-11-24T10:00:00.250Z\",\"level\":\"INFO\"}",
        ] {
            assert_eq!(of_line(line), Some(at), "{line}");
        }
        for line in [
            "",
            "hello",
            "\tat line 3",
            "{\"level\":1}",
            "{",
            "2026-11-24",
            "ääääääääääääää 2026",
        ] {
            assert_eq!(of_line(line), None, "{line}");
        }
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_514_400);
        assert_eq!(since("10m", now).unwrap(), now - Duration::from_secs(600));
        assert_eq!(since("2h", now).unwrap(), now - Duration::from_secs(7200));
        assert_eq!(since("2026-11-24T11:00:00+01:00", now).unwrap(), now);
        for bad in ["yesterday", "", "10", "2026-11-24T10:00:00Zulu"] {
            assert!(
                since(bad, now)
                    .unwrap_err()
                    .to_string()
                    .contains("is not a time"),
                "{bad}"
            );
        }
    }
}
