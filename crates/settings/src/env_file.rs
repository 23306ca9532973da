//! The text of a `.env` file.

use std::cell::Cell;

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// It does not have the form of a line.
    #[error(
        "line {line} is not NAME=value: a value with spaces, quotes, \"#\", \"$\" or \"\\\" goes between single quotes"
    )]
    Form {
        /// Its number, from 1.
        line: usize,
    },
    /// Its value refers to what nothing sets. That may be a part of a password, and is not said.
    #[error(
        "line {line} gives {name} a value with a $ that begins the name of no variable which is set, in the environment or above that \
         line\nto keep the $, type the value between single quotes: {name}='…'"
    )]
    RefersToNothing {
        /// Its number, from 1.
        line: usize,
        /// The name of what it sets.
        name: String,
    },
}

impl BadLine {
    /// Its number, from 1.
    pub fn line(&self) -> usize {
        let (Self::Form { line } | Self::RefersToNothing { line, .. }) = self;
        *line
    }
}

/// The names and values in the text of a `.env` file, each with the number of its line.
///
/// Every value is the one that Compose reads there
/// (<https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/#env-file-syntax>): ` #` begins a comment,
/// single quotes keep everything but `\'` as it is, and an unquoted or double-quoted `$NAME`, `${NAME}` or `${NAME:-default}` stands
/// for a variable of the process, or where there is none for an earlier value, or for nothing. What Compose's versions read in
/// different ways, or few would guess, is refused.
///
/// # Errors
/// The first line that cannot be read.
pub fn read(text: &str) -> Result<Vec<(String, String, usize)>, BadLine> {
    read_after(text, |_| None, |_| false)
}

/// The same after other files, which set what `before` says: for a reference that comes before the lines of this one, as to Compose. A
/// value may not refer to nothing where its name `counts`.
///
/// # Errors
/// The first line that cannot be read, or refers to nothing.
pub fn read_after(
    text: &str,
    before: impl Fn(&str) -> Option<String>,
    counts: impl Fn(&str) -> bool,
) -> Result<Vec<(String, String, usize)>, BadLine> {
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let mut values: Vec<(String, String, usize)> = Vec::new();
    let mut rest = text.as_str();
    loop {
        rest = rest.trim_start();
        let line = 1 + text[..text.len() - rest.len()].matches('\n').count();
        if rest.is_empty() {
            return Ok(values);
        }
        if rest.starts_with('#') {
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
            continue;
        }
        let known = Known {
            values: &values,
            before: &before,
            refers_to_nothing: Cell::new(false),
        };
        let (name, value, after) = statement(rest, &known).ok_or(BadLine::Form { line })?;
        if known.refers_to_nothing.get() && counts(name) {
            return Err(BadLine::RefersToNothing {
                line,
                name: name.to_owned(),
            });
        }
        values.push((name.to_owned(), value, line));
        rest = after;
    }
}

/// What a value may refer to.
struct Known<'a> {
    /// What earlier lines say.
    values: &'a [(String, String, usize)],
    /// What files that come first say.
    before: &'a dyn Fn(&str) -> Option<String>,
    /// Whether one did refer to something else.
    refers_to_nothing: Cell<bool>,
}

impl Known<'_> {
    fn find(&self, name: &str) -> Option<String> {
        // In the API's container each setting is a variable, an empty one where nobody sets it.
        let variable = std::env::var(name).ok().filter(|value| !value.is_empty());
        let earlier = || {
            self.values
                .iter()
                .rev()
                .find(|(known, ..)| known == name)
                .map(|(_, value, _)| value.clone())
        };
        variable.or_else(|| (self.before)(name)).or_else(earlier)
    }

    fn find_or_nothing(&self, name: &str) -> String {
        self.find(name).unwrap_or_else(|| {
            self.refers_to_nothing.set(true);
            String::new()
        })
    }
}

/// The name and the value that a text begins with, and what follows.
fn statement<'a>(text: &'a str, known: &Known<'_>) -> Option<(&'a str, String, &'a str)> {
    let exported = text
        .strip_prefix("export")
        .filter(|rest| rest.starts_with([' ', '\t']));
    let (name, rest) = exported.unwrap_or(text).split_once('=')?;
    let name = name.trim_matches([' ', '\t']);
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    let rest = rest.trim_start_matches([' ', '\t']);
    let (value, after) = match rest.chars().next() {
        _ if !is_name => return None,
        Some(quote @ ('\'' | '"')) => {
            let (quoted, after) = quoted(&rest[1..], quote)?;
            let (left, after) = after.split_once('\n').unwrap_or((after, ""));
            let left = left.trim_start();
            if !left.is_empty() && !left.starts_with('#') {
                return None;
            }
            (
                if quote == '"' {
                    expanded(&quoted, true, known)?
                } else {
                    quoted
                },
                after,
            )
        }
        // A value to Compose, where most mean a comment.
        Some('#') => return None,
        _ => {
            let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
            let line = line
                .split_once(" #")
                .map_or(line, |(value, _)| value)
                .trim_end();
            (expanded(line, false, known)?, after)
        }
    };
    Some((name, value, after))
}

/// What stands before the closing quote, and what follows that.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut quoted = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            _ if c == quote => return Some((quoted, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                escaped if escaped == quote => quoted.push(quote),
                other => quoted.extend(['\\', other]),
            },
            _ => quoted.push(c),
        }
    }
    None
}

/// A value with what its references stand for, and where it has escapes with what those are.
fn expanded(text: &str, escapes: bool, known: &Known<'_>) -> Option<String> {
    let mut value = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['$', '\\']) {
        value += &rest[..at];
        let sign = &rest[at..=at];
        rest = &rest[at + 1..];
        let (stands_for, after) = match (sign, rest.chars().next()) {
            ("\\", Some(c)) if escapes => match c {
                'n' => ("\n".to_owned(), 1),
                'r' => ("\r".to_owned(), 1),
                't' => ("\t".to_owned(), 1),
                '\\' | '$' => (c.to_string(), 1),
                'a' | 'b' | 'c' | 'f' | 'v' | '0' => return None,
                _ => (sign.to_owned(), 0),
            },
            ("$", Some('$')) => ("$".to_owned(), 1),
            ("$", Some('{')) => {
                let (inside, _) = rest[1..].split_once('}')?;
                (braced(inside, known)?, inside.len() + 2)
            }
            ("$", _) => match name_at(rest) {
                "" => ("$".to_owned(), 0),
                name => (known.find_or_nothing(name), name.len()),
            },
            _ => (sign.to_owned(), 0),
        };
        value += &stands_for;
        rest = &rest[after..];
    }
    Some(value + rest)
}

/// What `${inside}` stands for.
fn braced(inside: &str, known: &Known<'_>) -> Option<String> {
    let name = name_at(inside);
    let modifier = &inside[name.len()..];
    if name.is_empty() || inside.contains('$') {
        None
    } else if modifier.is_empty() {
        Some(known.find_or_nothing(name))
    } else if let Some(default) = modifier.strip_prefix('-') {
        Some(known.find(name).unwrap_or_else(|| default.to_owned()))
    } else {
        let default = modifier.strip_prefix(":-")?;
        Some(
            known
                .find(name)
                .filter(|found| !found.is_empty())
                .unwrap_or_else(|| default.to_owned()),
        )
    }
}

/// The name of a variable that a text begins with; empty where it does not.
fn name_at(text: &str) -> &str {
    let text = if text.starts_with(|c: char| c.is_ascii_digit()) {
        ""
    } else {
        text
    };
    &text[..text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(text.len())]
}

/// `NAME=value` as a line that [`read`] and Compose give the same value back for.
pub fn line(name: &str, value: &str) -> String {
    if value
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_./:,@%+=*".contains(c))
    {
        return format!("{name}={value}");
    }
    // A closing quote after a backslash closes nothing.
    if !value.contains('\'') && !value.ends_with('\\') {
        return format!("{name}='{value}'");
    }
    let escaped = value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('$', "\\$");
    format!("{name}=\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn env_files_have_values_comments_and_quotes() {
        let text = "# a comment\nA=1 # one\r\n\nexport B='it$ \"2\" #'\nC=\"x y\"\nD=\nE=http://localhost:*,capacitor://localhost\n";
        let read = read(text).unwrap();
        let plain: Vec<_> = read
            .iter()
            .map(|(n, v, l)| (n.as_str(), v.as_str(), *l))
            .collect();
        assert_eq!(
            plain,
            [
                ("A", "1", 2),
                ("B", "it$ \"2\" #", 4),
                ("C", "x y", 5),
                ("D", "", 6),
                ("E", "http://localhost:*,capacitor://localhost", 7)
            ]
        );
    }

    /// `tests/docker/settings.rs` in dev-cli asks Compose about such lines.
    #[test]
    fn references_in_env_files_are_expanded() {
        for (text, value) in [
            ("X=pa$$word", "pa$word"),
            ("X=a$", "a$"),
            ("X=$1", "$1"),
            ("Y_1=y\nX=a${Y_1}b$Y_1", "ayby"),
            ("Y=\nX=${Y:-d}${Y-e}${Z_OF_THIS_TEST-f}", "df"),
            ("X=a$Z_OF_THIS_TEST", "a"),
            ("X=a b #c", "a b"),
            ("X=a\"b'c\\d#e", "a\"b'c\\d#e"),
            ("X='it\\'s $Y' # c", "it's $Y"),
            (r#"X="\"a\" \$b \\ \n\q""#, "\"a\" $b \\ \n\\q"),
            ("Y=y\nX=\"\\\\$Y\"", "\\y"),
        ] {
            let read = read(text).unwrap();
            assert_eq!(read.last().unwrap().1, value, "{text}");
        }
        for text in [
            "X='a\\'",
            "X='a'b",
            "X= # c",
            "X: v",
            "X",
            "X=${Y",
            "X=${Y:?}",
            "X=${Y:-$Z}",
            "1X=a",
            "X Y=a",
            "X=\"\\a\"",
        ] {
            assert_eq!(read(text), Err(BadLine::Form { line: 1 }), "{text}");
        }
    }

    #[test]
    fn a_malformed_line_is_reported_with_its_number() {
        assert_eq!(
            read("A=1\n\nthis is no setting\nB=2\n"),
            Err(BadLine::Form { line: 3 })
        );
        assert_eq!(read("A=1\nB='open\n"), Err(BadLine::Form { line: 2 }));
    }

    #[test]
    fn references_to_unset_variables_are_reported() {
        let before =
            |name: &str| (name == "BEFORE_THIS_TEST").then(|| "of another file".to_owned());
        let text = |value: &str| format!("A_1=x\nY=$OF_NOBODY\nX={value}\n");
        for value in ["pa$word_of_nobody", "${OF_NOBODY}", "\"a$OF_NOBODY\"", "$X"] {
            let bad = read_after(&text(value), before, |name| name == "X").unwrap_err();
            assert_eq!(
                bad,
                BadLine::RefersToNothing {
                    line: 3,
                    name: "X".to_owned()
                },
                "{value}"
            );
        }
        for value in [
            "'pa$word_of_nobody'",
            "pa$$word",
            "${OF_NOBODY:-x}",
            "${OF_NOBODY-x}",
            "$A_1",
            "$BEFORE_THIS_TEST",
        ] {
            read_after(&text(value), before, |name| name == "X").unwrap();
        }
        let read = read_after(
            "BEFORE_THIS_TEST=later\nX=$BEFORE_THIS_TEST",
            before,
            |_| true,
        )
        .unwrap();
        assert_eq!(read[1].1, "of another file");
    }

    #[test]
    fn any_value_survives_quoting_in_an_env_file() {
        for value in [
            "plain",
            "p@ss w#rd",
            "$HOME",
            "a'b",
            "a'b$c\"d\\e",
            "a\"b\\c",
            "ä",
            "a\\",
            "it's \\",
            "two\nlines'",
            "$$",
        ] {
            assert_eq!(read(&line("X", value)).unwrap()[0].1, value, "{value}");
        }
    }
}
