//! Finds the ends of SQL statements as psql does: a semicolon in a string, quoted name, dollar quote, comment or parenthesis ends nothing.
//!
//! psql's rules are in `src/fe_utils/psqlscan.l`. Two settings would change them, `standard_conforming_strings` and some client encodings:
//! [`super::rules`] refuses both.

/// The next element of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The end of the line.
    EndOfLine,
    /// A semicolon that ends a statement; the offset after it.
    Semicolon(usize),
    /// A backslash, which begins a psql command, and its offset.
    Backslash(usize),
    /// A zero byte, which is never part of text.
    Nul,
    /// A quote that versions of psql read differently: `1e'…'`, `1_0$$…$$`, `E'a'`, a carriage return and another quote.
    Unclear,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Mode {
    Plain,
    /// In a string; `E'…'` has backslash escapes.
    Text {
        escapes: bool,
    },
    Name,
    /// In a dollar quote, with its tag including both dollar signs.
    Dollar(Vec<u8>),
    LineComment,
    /// In a block comment, which may be nested.
    BlockComment {
        depth: u32,
    },
}

/// Reads statements line by line.
#[derive(Debug)]
pub(super) struct Lexer {
    mode: Mode,
    parentheses: u32,
    /// Whether a string with escapes has ended on this line, and whether a carriage return followed. psql reads line by line: it scans a
    /// continuation in the next line as a plain string, and a continuation after a carriage return with escapes.
    ended_escapes: Option<bool>,
    /// Whether the statement has more than white space and comments.
    has_code: bool,
    /// The first letters of `create`, `or`, `replace`, `function` and `procedure`, as far as the statement begins with them.
    first: Vec<u8>,
    /// Open `BEGIN ATOMIC` and `CASE` of a function's body.
    blocks: u32,
}

impl Lexer {
    pub(super) fn new() -> Self {
        Self {
            mode: Mode::Plain,
            parentheses: 0,
            ended_escapes: None,
            has_code: false,
            first: Vec::new(),
            blocks: 0,
        }
    }

    /// Whether the statement has more than white space and comments.
    pub(super) fn has_code(&self) -> bool {
        self.has_code
    }

    /// Returns whether a psql command could begin here.
    pub(super) fn is_between_statements(&self) -> bool {
        self.mode == Mode::Plain && !self.has_code
    }

    /// Returns whether a string, a quoted name or a comment is open.
    pub(super) fn is_open(&self) -> bool {
        self.mode != Mode::Plain
    }

    /// Continues in a line, from its beginning or after a semicolon.
    pub(super) fn read(&mut self, line: &[u8]) -> Found {
        let mut at = 0;
        while at < line.len() {
            if line[at] == 0 {
                return Found::Nul;
            }
            let rest = &line[at..];
            match &mut self.mode {
                Mode::Plain => match self.plain(line, at) {
                    Ok(next) => at = next,
                    Err(found) => return found,
                },
                Mode::Text { escapes } => {
                    let escapes = *escapes;
                    let stop = rest
                        .iter()
                        .position(|byte| *byte == b'\'' || *byte == 0 || escapes && *byte == b'\\');
                    at += match stop.map(|stop| (stop, rest[stop], rest.get(stop + 1))) {
                        None => rest.len(),
                        Some((stop, 0, _)) => stop,
                        Some((stop, b'\\', next)) => {
                            stop + 1 + usize::from(next.is_some_and(|next| *next != 0))
                        }
                        Some((stop, _, Some(b'\''))) => stop + 2,
                        Some((stop, ..)) => {
                            self.mode = Mode::Plain;
                            self.ended_escapes = escapes.then_some(false);
                            stop + 1
                        }
                    };
                }
                Mode::Name => match rest.iter().position(|byte| *byte == b'"' || *byte == 0) {
                    None => at = line.len(),
                    Some(stop) if rest[stop] == 0 => at += stop,
                    // A doubled quote closes and opens the string again.
                    Some(stop) => {
                        self.mode = Mode::Plain;
                        at += stop + 1;
                    }
                },
                Mode::Dollar(tag) => match find(rest, tag) {
                    None if rest.contains(&0) => return Found::Nul,
                    None => at = line.len(),
                    Some(stop) if rest[..stop].contains(&0) => return Found::Nul,
                    Some(stop) => {
                        at += stop + tag.len();
                        self.mode = Mode::Plain;
                    }
                },
                Mode::LineComment => {
                    if rest.contains(&0) {
                        return Found::Nul;
                    }
                    // psql ends a comment at a carriage return, too.
                    at += rest
                        .iter()
                        .position(|byte| matches!(byte, b'\n' | b'\r'))
                        .unwrap_or(rest.len());
                    self.mode = Mode::Plain;
                }
                Mode::BlockComment { depth } => {
                    if rest.starts_with(b"*/") {
                        at += 2;
                        *depth -= 1;
                        if *depth == 0 {
                            self.mode = Mode::Plain;
                        }
                    } else if rest.starts_with(b"/*") {
                        at += 2;
                        *depth += 1;
                    } else {
                        at += 1;
                    }
                }
            }
        }
        self.ended_escapes = None;
        Found::EndOfLine
    }

    /// Reads one token outside of quotes. Returns the offset after it, or the element of the line.
    fn plain(&mut self, line: &[u8], at: usize) -> Result<usize, Found> {
        let rest = &line[at..];
        let byte = rest[0];
        if byte.is_ascii_whitespace() || byte == 0x0b {
            if let Some(returned) = &mut self.ended_escapes {
                *returned |= byte == b'\r';
            }
            return Ok(at + 1);
        }
        if rest.starts_with(b"--") {
            self.mode = Mode::LineComment;
            return Ok(at + 2);
        }
        if rest.starts_with(b"/*") {
            self.mode = Mode::BlockComment { depth: 1 };
            self.ended_escapes = None;
            return Ok(at + 2);
        }
        if byte == b'\\' {
            return Err(Found::Backslash(at));
        }
        let ended = self.ended_escapes.take();
        self.has_code = true;
        match byte {
            b'\'' if ended == Some(true) => return Err(Found::Unclear),
            b'\'' => self.mode = Mode::Text { escapes: false },
            b'"' => self.mode = Mode::Name,
            b'(' => self.parentheses += 1,
            b')' => self.parentheses = self.parentheses.saturating_sub(1),
            b';' if self.parentheses == 0 && self.blocks == 0 => {
                *self = Self::new();
                return Err(Found::Semicolon(at + 1));
            }
            b'$' => {
                if let Some(tag) = dollar_tag(rest) {
                    self.mode = Mode::Dollar(tag.to_owned());
                    return Ok(at + tag.len());
                }
            }
            b'e' | b'E' if rest.get(1) == Some(&b'\'') => {
                self.mode = Mode::Text { escapes: true };
                return Ok(at + 2);
            }
            _ if is_name_start(byte) => {
                let length = run(rest, is_name);
                self.word(&rest[..length]);
                return Ok(at + length);
            }
            b'0'..=b'9' => {
                // A dollar sign after a number begins a quote.
                let digits = run(rest, |byte| matches!(byte, b'0'..=b'9' | b'.'));
                let length = digits + run(&rest[digits..], is_tag);
                if length > digits && matches!(rest.get(length), Some(b'\'' | b'$')) {
                    return Err(Found::Unclear);
                }
                return Ok(at + length);
            }
            b':' => {
                return Ok(at
                    + match rest.get(1) {
                        Some(b':' | b'=') => 2,
                        // A variable of psql, whether it is set or not.
                        _ => 1 + run(&rest[1..], is_tag),
                    });
            }
            _ => {}
        }
        Ok(at + 1)
    }

    /// A function's body may be `BEGIN ATOMIC … END`, with semicolons in it.
    fn word(&mut self, word: &[u8]) {
        const COUNTED: usize = 4;
        let word = word.to_ascii_lowercase();
        if self.first.len() < COUNTED {
            let counts = matches!(
                &*word,
                b"create" | b"or" | b"replace" | b"function" | b"procedure"
            );
            self.first.push(if counts { word[0] } else { b' ' });
        }
        let makes_function = match &*self.first {
            [b'c', b'f' | b'p', ..] | [b'c', b'o', b'r', b'f' | b'p', ..] => self.parentheses == 0,
            _ => false,
        };
        match &*word {
            b"begin" if makes_function => self.blocks += 1,
            b"case" if makes_function && self.blocks > 0 => self.blocks += 1,
            b"end" if makes_function => self.blocks = self.blocks.saturating_sub(1),
            _ => {}
        }
    }
}

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

/// What tags of dollar quotes and names of psql's variables hold.
fn is_tag(byte: u8) -> bool {
    is_name_start(byte) || byte.is_ascii_digit()
}

pub(super) fn is_name(byte: u8) -> bool {
    is_tag(byte) || byte == b'$'
}

/// How many bytes at the beginning are of this kind.
fn run(bytes: &[u8], is_of_it: fn(u8) -> bool) -> usize {
    bytes
        .iter()
        .position(|byte| !is_of_it(*byte))
        .unwrap_or(bytes.len())
}

/// Returns `$tag$` at the beginning.
pub(super) fn dollar_tag(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().skip(1).position(|byte| *byte == b'$')? + 1;
    let tag = &bytes[1..end];
    let fits = tag.first().is_none_or(|first| is_name_start(*first))
        && tag.iter().all(|byte| is_tag(*byte));
    fits.then(|| &bytes[..=end])
}

pub(super) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where statements end and commands of psql begin in a text of several lines.
    fn read(text: &str) -> Vec<String> {
        let (mut lexer, mut found, mut statement) = (Lexer::new(), Vec::new(), String::new());
        for line in text.split_inclusive('\n') {
            let mut at = 0;
            loop {
                match lexer.read(&line.as_bytes()[at..]) {
                    Found::EndOfLine => break,
                    Found::Semicolon(end) => {
                        statement.push_str(&line[at..at + end]);
                        found.push(std::mem::take(&mut statement).trim().to_owned());
                        at += end;
                    }
                    Found::Backslash(_) => {
                        found.push("backslash".to_owned());
                        return found;
                    }
                    Found::Nul => {
                        found.push("nul".to_owned());
                        return found;
                    }
                    Found::Unclear => {
                        found.push("unclear".to_owned());
                        return found;
                    }
                }
            }
            statement.push_str(&line[at..]);
        }
        if lexer.has_code() {
            found.push(format!("open: {}", statement.trim()));
        }
        found
    }

    #[test]
    fn a_semicolon_in_quotes_comments_and_parentheses_ends_nothing() {
        for statement in [
            "SELECT 'a;b';",
            "SELECT 'it''s; \\';",
            "SELECT E'a\\';b';",
            "SELECT \"a;\"\"b\";",
            "SELECT $$a;b$$;",
            "SELECT $x$a;$$;$x$;",
            "SELECT a$b$c;",
            "SELECT 1 -- a;b\n;",
            "SELECT 1 /* a; /* b; */ c; */;",
            "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2);",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;",
            "CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC SELECT 1; END;",
            "SELECT U&'\\0041;' ;",
            "SELECT 'ä;€';",
            "SELECT ä$$;",
            "SELECT 1e5, 0x1F, a[1:n], b::e'\\';', f(c:=e'\\';');",
        ] {
            assert_eq!(read(&format!("{statement}\n")), [statement], "{statement}");
        }
    }

    #[test]
    fn several_statements_on_one_line_are_separated() {
        assert_eq!(
            read("SELECT 1; SELECT 2;\nBEGIN; END;"),
            ["SELECT 1;", "SELECT 2;", "BEGIN;", "END;"]
        );
    }

    #[test]
    fn a_backslash_outside_of_quotes_begins_a_psql_command() {
        for text in [
            "\\! rm -rf /\n",
            "SELECT 1 \\! rm\n",
            "SELECT 'a' \\gexec\n",
            "SELECT E'a' '\\' \\! rm",
            "SELECT $1\\! rm",
            "SELECT (\\! rm",
            "/* a */ \\! rm",
            "SELECT 'a'\n'\\' \\! rm",
            // Each was run by psql 15.18.
            "SELECT E'a'\n'\\' \\! rm '",
            "SELECT E'a' -- c\n'\\' \\! rm '",
            "SELECT E'a' /* c */\n'\\' \\! rm '",
            "SELECT b'1'\n'\\' \\! rm '",
            "SELECT e\n'\\' \\! rm '",
            "SELECT 1$$'$$ \\! rm '",
            "SELECT 1.5$$'$$ \\! rm '",
            "SELECT $1$$'$$ \\! rm '",
            "SELECT $a$ $$ ' $a$ \\! rm '",
            "SELECT 1 -- x\r\\! rm\n",
            "SELECT 'a' -- c\r'\\' \\! rm '",
            "SELECT 1 @/* ' */ \\! rm '",
            "/*/ */ \\! rm */",
            "SELECT U&'a\\' \\! rm '",
            "SELECT U&\"a\\\" \\! rm \"",
            "SELECT :e'\\' \\! rm '",
            "SELECT :1e'\\' \\! rm '",
            "SELECT :DBNAMEe'\\' \\! rm '",
            "SELECT :DBNAME$$'$$ \\! rm '",
            "SELECT :'DBNAME''' \\! rm ''",
            "SELECT :{?DBNAME} \\! rm",
        ] {
            assert_eq!(read(text).last().unwrap(), "backslash", "{text}");
        }
        for text in [
            "SELECT 1e'\\' \\! rm '",
            "SELECT 1.e'\\' \\! rm '",
            "SELECT $1e'\\' \\! rm '",
            "SELECT 1e$$'$$ \\! rm '",
            "SELECT 1_0$$'$$ \\! rm '",
            "SELECT E'a'\r'\\' \\! rm '",
            "SELECT E'a' -- c\r'\\' \\! rm '",
        ] {
            assert_eq!(read(text).last().unwrap(), "unclear", "{text}");
        }
        for text in [
            "SELECT '\\! rm';",
            "-- \\! rm\n",
            "/* \\! rm */",
            "SELECT $$\\! rm$$;",
            "SELECT E'\\\\! rm';",
        ] {
            assert!(!read(text).contains(&"backslash".to_owned()), "{text}");
        }
    }

    #[test]
    fn an_unterminated_quote_or_comment_is_open() {
        for text in [
            "SELECT 1",
            "SELECT 'a;\n",
            "SELECT $$a;\n",
            "SELECT (1;\n",
            "SELECT \"a;\n",
        ] {
            assert!(read(text)[0].starts_with("open: "), "{text}");
        }
        assert_eq!(
            read("-- a comment\n\n/* another; */\n"),
            Vec::<String>::new()
        );
        assert_eq!(read("SELECT 'a\0';"), ["nul"]);
    }
}
