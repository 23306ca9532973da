//! Rules for what clients send, for `#[garde(custom(…))]`. Messages never repeat what was sent.

use garde::{Error, Result};

/// Accepts a text of `least` to `most` characters (Unicode scalar values). PostgreSQL's texts cannot hold U+0000.
pub fn text<T: AsRef<str>>(least: usize, most: usize) -> impl Fn(&T, &()) -> Result {
    move |text, ()| {
        let text = text.as_ref();
        // A character has one to four bytes, so most texts need no counting.
        let count = if text.len() <= most && text.len() >= 4 * least {
            least
        } else {
            text.chars().count()
        };
        if text.contains('\0') {
            Err(Error::new("must not contain U+0000"))
        } else if count < least || count > most {
            Err(Error::new(if least == 0 {
                format!("must have at most {most} characters")
            } else {
                format!("must have {least} to {most} characters")
            }))
        } else {
            Ok(())
        }
    }
}

/// Applies a rule to a field that may be left out.
pub fn optional<T>(rule: impl Fn(&T, &()) -> Result) -> impl Fn(&Option<T>, &()) -> Result {
    move |value, context| value.as_ref().map_or(Ok(()), |value| rule(value, context))
}

pub fn between<T: PartialOrd + std::fmt::Display>(least: T, most: T) -> impl Fn(&T, &()) -> Result {
    move |number, ()| {
        if (&least..=&most).contains(&number) {
            Ok(())
        } else {
            Err(Error::new(format!("must be between {least} and {most}")))
        }
    }
}

/// Accepts an e-mail address: one `@`, a local part, a domain of labels, and no spaces or control characters.
pub fn email<T: AsRef<str>>(email: &T, _: &()) -> Result {
    let email = email.as_ref();
    let looks_right = email.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && domain.contains('.')
            && domain.split('.').all(|label| {
                !label.is_empty()
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && !label.contains(|c: char| c.is_ascii_punctuation() && c != '-')
            })
    });
    // RFC 5321, 4.5.3.1.3 leaves 254 characters.
    if !looks_right
        || email.chars().count() > 254
        || email.contains(|c: char| c.is_whitespace() || c.is_control())
    {
        return Err(Error::new("must be an e-mail address"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_measured_in_characters() {
        let rule = text::<String>(1, 3);
        for (sample, fits) in [
            ("", false),
            ("a", true),
            ("äöü", true),
            ("😀😀😀", true),
            ("abcd", false),
            ("a\0", false),
        ] {
            assert_eq!(rule(&sample.to_owned(), &()).is_ok(), fits, "{sample:?}");
        }
    }

    #[test]
    fn numbers() {
        let rule = between(0.0, 1.0);
        assert!(rule(&0.0, &()).is_ok() && rule(&1.0, &()).is_ok());
        assert_eq!(
            rule(&1.01, &()).unwrap_err().message(),
            "must be between 0 and 1"
        );
        assert!(rule(&f64::NAN, &()).is_err());
    }

    #[test]
    fn emails() {
        for good in [
            "a@b.example",
            "A.b+c@x-y.example",
            "ä@ü.example",
            "o'neil@b.example",
        ] {
            assert!(email(&good, &()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "@b.example",
            "a@",
            "a@b",
            "a@@b.example",
            "a b@c.example",
            "a@b..example",
            "a@b.example\0",
            "a@-b.example",
            "a@b,c.example",
        ] {
            assert!(email(&bad, &()).is_err(), "{bad}");
        }
    }
}
