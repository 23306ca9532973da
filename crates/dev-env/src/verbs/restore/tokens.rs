//! The tokens of a statement, for [`super::rules`].

use super::lexer::{dollar_tag, find, is_name};

/// A part of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A key word or a name, in lower case.
    Word(String),
    /// A name in quotes, without them.
    Name(String),
    /// A string, without its quotes.
    Text(String),
    /// Any other token.
    Symbol(u8),
}

impl Token {
    /// Returns whether it is this key word.
    pub(super) fn is(&self, word: &str) -> bool {
        matches!(self, Self::Word(found) if found == word)
    }

    /// The name, quoted or not.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Word(name) | Self::Name(name) => Some(name),
            Self::Text(_) | Self::Symbol(_) => None,
        }
    }

    /// The value, quoted or not.
    pub(super) fn value(&self) -> Option<&str> {
        match self {
            Self::Word(text) | Self::Name(text) | Self::Text(text) => Some(text),
            Self::Symbol(_) => None,
        }
    }
}

/// The first tokens of a statement, without its comments and its semicolon.
pub(super) fn read(statement: &[u8], most: usize) -> Vec<Token> {
    let (mut tokens, mut at) = (Vec::new(), 0);
    while at < statement.len() && tokens.len() < most {
        let rest = &statement[at..];
        at += match rest[0] {
            byte if byte.is_ascii_whitespace() || byte == b';' => 1,
            _ if rest.starts_with(b"--") => rest
                .iter()
                .position(|byte| matches!(byte, b'\n' | b'\r'))
                .unwrap_or(rest.len()),
            _ if rest.starts_with(b"/*") => comment(rest),
            b'\'' => quoted(rest, 0, b'\'', &mut tokens, Token::Text),
            b'"' => quoted(rest, 0, b'"', &mut tokens, Token::Name),
            b'e' | b'E' if rest.get(1) == Some(&b'\'') => {
                quoted(rest, 1, b'\'', &mut tokens, Token::Text)
            }
            b'$' if dollar_tag(rest).is_some() => {
                let tag = dollar_tag(rest).unwrap_or_default();
                let body = &rest[tag.len()..];
                let end = find(body, tag).unwrap_or(body.len());
                tokens.push(Token::Text(
                    String::from_utf8_lossy(&body[..end]).into_owned(),
                ));
                (end + 2 * tag.len()).min(rest.len())
            }
            byte if byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80 => {
                let is_number = byte.is_ascii_digit();
                let length = rest
                    .iter()
                    .position(|byte| !is_name(*byte) || is_number && *byte == b'$')
                    .unwrap_or(rest.len());
                tokens.push(Token::Word(
                    String::from_utf8_lossy(&rest[..length]).to_lowercase(),
                ));
                length
            }
            byte => {
                tokens.push(Token::Symbol(byte));
                1
            }
        };
    }
    tokens
}

/// A quoted token that begins at `from`; the length of all of it.
fn quoted(
    rest: &[u8],
    from: usize,
    quote: u8,
    tokens: &mut Vec<Token>,
    make: fn(String) -> Token,
) -> usize {
    let (mut text, mut at) = (Vec::new(), from + 1);
    while at < rest.len() {
        match rest[at] {
            byte if byte == quote && rest.get(at + 1) == Some(&quote) => at += 1,
            byte if byte == quote => break,
            b'\\' if from > 0 && at + 1 < rest.len() => at += 1,
            _ => {}
        }
        text.push(rest[at]);
        at += 1;
    }
    tokens.push(make(String::from_utf8_lossy(&text).into_owned()));
    (at + 1).min(rest.len())
}

fn comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (1, 2);
    while at < rest.len() && depth > 0 {
        let step = match &rest[at..] {
            [b'*', b'/', ..] => {
                depth -= 1;
                2
            }
            [b'/', b'*', ..] => {
                depth += 1;
                2
            }
            _ => 1,
        };
        at += step;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_words_names_and_strings_are_separate_tokens() {
        let tokens = read(
            b"/* a /* b */ */ SET -- c\n \"A\"\"b\".x = E'it\\'s', 'it''s', $t$ $$ $t$;",
            99,
        );
        let text = |text: &str| Token::Text(text.to_owned());
        let comma = Token::Symbol(b',');
        let expected = [
            Token::Word("set".to_owned()),
            Token::Name("A\"b".to_owned()),
            Token::Symbol(b'.'),
            Token::Word("x".to_owned()),
            Token::Symbol(b'='),
            text("it's"),
            comma.clone(),
            text("it's"),
            comma,
            text(" $$ "),
        ];
        assert_eq!(tokens, expected);
        assert_eq!(read(b"a b c", 2).len(), 2);
        assert_eq!(
            read(b"1$$a$$ -- b\rc", 9),
            [
                Token::Word("1".to_owned()),
                text("a"),
                Token::Word("c".to_owned())
            ]
        );
    }
}
