//! Decoders for three column types that read PostgreSQL's binary form directly, because a page has fifty values of each.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use emotionviz_db as db;

use crate::emotions;

/// The sign of NaN.
const NAN: u16 = 0xC000;

/// What is no value of its column's type.
#[derive(Debug, thiserror::Error)]
#[error("the column is not what it was declared as")]
pub(crate) struct Malformed;

/// A `numeric(3, 2)` (`numeric_send` in PostgreSQL's numeric.c): the number of digits, the weight of the first one, the sign and the
/// scale, then the digits, of base 10,000. NaN, for which JSON has no number and which an older backend may have left, is 0.
pub(crate) fn hundredths(bytes: &[u8]) -> Result<f64, Malformed> {
    let (words, _) = bytes.as_chunks();
    let [_, weight, sign, _, digits @ ..] = words else {
        return Err(Malformed);
    };
    let (whole, fraction) = match (i16::from_be_bytes(*weight), digits) {
        (_, []) => {
            return if matches!(u16::from_be_bytes(*sign), 0 | NAN) {
                Ok(0.0)
            } else {
                Err(Malformed)
            };
        }
        (0, [whole]) => (*whole, [0; 2]),
        (0, [whole, fraction]) => (*whole, *fraction),
        (-1, [fraction]) => ([0; 2], *fraction),
        _ => return Err(Malformed),
    };
    // A single division gives the number that is nearest to the decimal one.
    let value = f64::from(
        u32::from(u16::from_be_bytes(whole)) * 10_000 + u32::from(u16::from_be_bytes(fraction)),
    ) / 10_000.0;
    match u16::from_be_bytes(*sign) {
        0 => Ok(value),
        0x4000 => Ok(-value),
        _ => Err(Malformed),
    }
}

/// Decodes a `timestamptz` into a time that can be served.
pub(crate) fn time(bytes: &[u8]) -> Result<DateTime<Utc>, Malformed> {
    Ok(db::Time::from_binary(bytes.try_into().map_err(|_| Malformed)?).into())
}

/// A `text[]` of emotions (`array_send` in PostgreSQL's arrayfuncs.c): the number of dimensions, a flag and the type of the elements,
/// the length and the first index of each dimension, then each element after its length; -1 is NULL, which an older backend may
/// have left and which is passed over. Known emotions need no memory.
pub(crate) fn emotions(bytes: &[u8]) -> Result<Vec<Cow<'static, str>>, Malformed> {
    let mut rest = bytes;
    let mut number = || {
        let (first, after) = rest.split_first_chunk().ok_or(Malformed)?;
        rest = after;
        Ok(i32::from_be_bytes(*first))
    };
    let (dimensions, _, _) = (number()?, number()?, number()?);
    let mut count = i32::from(dimensions > 0);
    for _ in 0..dimensions {
        count = count.checked_mul(number()?).ok_or(Malformed)?;
        number()?;
    }
    let mut found = Vec::new();
    for _ in 0..count {
        let (length, after) = rest.split_first_chunk().ok_or(Malformed)?;
        rest = after;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            continue;
        };
        let (text, after) = rest.split_at_checked(length).ok_or(Malformed)?;
        rest = after;
        let text = std::str::from_utf8(text).map_err(|_| Malformed)?;
        found
            .push(emotions::known(text).map_or_else(|| Cow::Owned(text.to_owned()), Cow::Borrowed));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(weight: i16, sign: u16, digits: &[u16]) -> Vec<u8> {
        let words = [
            u16::try_from(digits.len()).unwrap(),
            weight.cast_unsigned(),
            sign,
            2,
        ]
        .into_iter()
        .chain(digits.iter().copied());
        words.flat_map(u16::to_be_bytes).collect()
    }

    #[test]
    fn numbers() {
        for (bytes, value) in [
            (numeric(0, 0, &[]), 0.0),
            (numeric(0, NAN, &[]), 0.0),
            (numeric(0, 0, &[1]), 1.0),
            (numeric(-1, 0, &[7000]), 0.7),
            (numeric(-1, 0, &[100]), 0.01),
            (numeric(0, 0, &[3, 1500]), 3.15),
            (numeric(0, 0x4000, &[9, 9900]), -9.99),
        ] {
            assert_eq!(hundredths(&bytes).unwrap(), value);
        }
        for bytes in [
            vec![],
            numeric(0, 0xD000, &[]),
            numeric(1, 0, &[1, 2]),
            vec![0; 7],
        ] {
            assert!(hundredths(&bytes).is_err(), "{bytes:?}");
        }
    }

    fn array(header: &[i32], elements: &[Option<&str>]) -> Vec<u8> {
        let mut bytes: Vec<u8> = header.iter().flat_map(|n| n.to_be_bytes()).collect();
        for element in elements {
            bytes.extend(
                element
                    .map_or(-1, |text| i32::try_from(text.len()).unwrap())
                    .to_be_bytes(),
            );
            bytes.extend(element.unwrap_or_default().bytes());
        }
        bytes
    }

    #[test]
    fn arrays() {
        assert_eq!(
            emotions(&array(&[0, 0, 25], &[])).unwrap(),
            Vec::<&str>::new()
        );
        let found = emotions(&array(
            &[1, 1, 25, 3, 1],
            &[Some("joy"), None, Some("Hope ä")],
        ))
        .unwrap();
        assert_eq!(found, ["joy", "Hope ä"]);
        assert!(matches!(
            found.as_slice(),
            [Cow::Borrowed(_), Cow::Owned(_)]
        ));
        assert_eq!(
            emotions(&array(
                &[2, 0, 25, 1, 1, 2, 1],
                &[Some("joy"), Some("fear")]
            ))
            .unwrap()
            .len(),
            2
        );
        for bytes in [
            vec![],
            array(&[1, 0, 25, 2, 1], &[Some("joy")]),
            array(&[1, 0, 25, i32::MAX, 1], &[]),
            array(&[2, 0, 25, i32::MAX, 1, i32::MAX, 1], &[]),
        ] {
            assert!(emotions(&bytes).is_err(), "{bytes:?}");
        }
    }
}
