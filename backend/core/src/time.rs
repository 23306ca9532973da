//! Times as text: RFC 3339 in UTC with a `Z`, always with the same number of digits.

use std::fmt::Write;
use std::ops::Range;

use chrono::{DateTime, Datelike, SecondsFormat, Timelike, Utc};
use serde::Serializer;

/// Now, with milliseconds: for logs and what an answer says of itself.
pub fn now() -> String {
    let mut text = String::with_capacity(24);
    write(&mut text, Utc::now(), 3);
    text
}

/// Serialises a time with microseconds, as exact as PostgreSQL stores it: for `#[serde(serialize_with = …)]`. A page of entries has a
/// hundred of them, and chrono's own way, through its general formatter, takes longer than all the rest of the page.
///
/// # Errors
/// The serializer's.
pub fn serialize<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut text = String::with_capacity(27);
    write(&mut text, *time, 6);
    serializer.serialize_str(&text)
}

fn write(text: &mut String, time: DateTime<Utc>, fraction_digits: usize) {
    let (date, clock) = (time.date_naive(), time.time());
    let Ok(year @ 0..=9999) = u32::try_from(date.year()) else {
        // Beyond what RFC 3339 has years for. Writing to a String cannot fail.
        let _ = write!(
            text,
            "{}",
            time.to_rfc3339_opts(SecondsFormat::Micros, true)
        );
        return;
    };
    let mut bytes = *b"0000-00-00T00:00:00.000000Z";
    // The last digit first: only divisions by ten, which are multiplications to the processor.
    let mut put = |place: Range<usize>, mut number: u32| {
        for digit in bytes[place].iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
    };
    put(0..4, year);
    put(5..7, date.month());
    put(8..10, date.day());
    put(11..13, clock.hour());
    put(14..16, clock.minute());
    put(17..19, clock.second());
    // A leap second has more than 10^9 nanoseconds.
    put(20..26, clock.nanosecond().min(999_999_999) / 1000);
    let end = 20 + fraction_digits;
    bytes[end] = b'Z';
    text.push_str(std::str::from_utf8(&bytes[..=end]).expect("they are ASCII"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_chrono_writes_it() {
        for micros in [
            0,
            1,
            999_999,
            1_764_000_000_123_456,
            -1,
            -62_135_596_800_000_000,
            253_402_300_799_999_999,
            951_782_400_000_000,
        ] {
            let time = DateTime::from_timestamp_micros(micros).unwrap();
            for (digits, format) in [(3, SecondsFormat::Millis), (6, SecondsFormat::Micros)] {
                let mut text = String::new();
                write(&mut text, time, digits);
                assert_eq!(text, time.to_rfc3339_opts(format, true));
            }
        }
        let mut far = String::new();
        write(&mut far, DateTime::<Utc>::MAX_UTC, 6);
        assert!(far.ends_with('Z') && now().len() == 24);
    }
}
