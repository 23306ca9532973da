//! Comparison of e-mail addresses in different spellings.

use unicode_normalization::UnicodeNormalization;

/// Returns the key by which addresses are compared: trimmed, in lower case, in NFC, with the domain in ASCII form (UTS 46).
///
/// The key of an ASCII address equals `lower(trim(email))` in SQL.
pub fn key(email: &str) -> String {
    let email = email.trim();
    if email.is_ascii() {
        return email.to_ascii_lowercase();
    }
    match email.rsplit_once('@') {
        Some((local, domain)) => format!(
            "{}@{}",
            folded(local),
            ascii(domain).unwrap_or_else(|| folded(domain))
        ),
        None => folded(email),
    }
}

/// Returns the spellings under which the Python backend may have stored an address. It kept the case of the local part, and wrote the
/// domain in lower case, in either form.
pub fn spellings(email: &str) -> Vec<String> {
    let email = email.trim();
    let mut spellings = vec![email.to_owned()];
    if let Some((local, domain)) = email.rsplit_once('@') {
        let local: String = local.nfc().collect();
        let domains = [
            Some(folded(domain)),
            ascii(domain),
            Some(idna::domain_to_unicode(domain).0),
        ];
        spellings.extend(
            domains
                .into_iter()
                .flatten()
                .map(|domain| format!("{local}@{domain}")),
        );
    }
    spellings
}

/// Returns `None` if the domain is not valid.
fn ascii(domain: &str) -> Option<String> {
    idna::domain_to_ascii(domain).ok()
}

fn folded(text: &str) -> String {
    text.nfc()
        .collect::<String>()
        .to_lowercase()
        .nfc()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_have_one_key() {
        for (address, others) in [
            (
                "ann@example.com",
                &[" Ann@Example.COM\t", "ANN@example.com"][..],
            ),
            (
                "zoë@example.com",
                &[
                    "ZOË@example.com",
                    "zoe\u{308}@example.com",
                    "ZOE\u{308}@EXAMPLE.COM",
                    "\u{a0}zoë@example.com",
                ],
            ),
            (
                "ann@bücher.example",
                &[
                    "ann@BÜCHER.example",
                    "ann@bu\u{308}cher.example",
                    "Ann@xn--bcher-kva.example",
                    "ann@XN--BCHER-KVA.Example",
                ],
            ),
            ("ann@faß.example", &["ann@xn--fa-hia.example"]),
            ("山@例え.テスト", &["山@xn--r8jz45g.xn--zckzah"]),
        ] {
            for other in others {
                assert_eq!(key(other), key(address), "{other:?}");
            }
        }
        for (one, other) in [
            ("ann@example.com", "an n@example.com"),
            ("ann@example.com", "ann@example.org"),
            ("zoë@example.com", "zoe@example.com"),
        ] {
            assert_ne!(key(one), key(other));
        }
    }

    #[test]
    fn an_invalid_address_has_a_key() {
        for text in [
            "",
            "@",
            "ä",
            "ä@",
            "@ä",
            "a@b@ä",
            "ann@xn--\u{e4}",
            "ann@ä\u{200d}.example",
        ] {
            assert_eq!(key(text), key(&key(text)), "{text:?}");
        }
    }

    #[test]
    fn the_python_backends_spelling_of_an_address_is_looked_up() {
        for (typed, stored) in [
            (" Bob@EXAMPLE.com ", "Bob@example.com"),
            ("Bob@xn--bcher-kva.example", "Bob@bücher.example"),
            ("Bob@Bücher.example", "Bob@xn--bcher-kva.example"),
            ("Zoe\u{308}@example.com", "Zoë@example.com"),
        ] {
            assert!(
                spellings(typed).iter().any(|spelling| spelling == stored),
                "{typed} {:?}",
                spellings(typed)
            );
        }
    }
}
