//! Where the statements of a script for psql end.

use std::ops::RangeInclusive;

use super::lexer::{Found, Lexer};
use super::tokens::{Token, read};

/// Longer statements are not a COPY.
const LONGEST_COPY: usize = 1 << 16;

/// Reads a script line by line, and counts what psql sends to the server.
#[derive(Debug)]
pub(crate) struct Counter {
    lexer: Lexer,
    /// The statement so far.
    text: Vec<u8>,
    /// The lines that statements end on, in order; with the rows of a COPY.
    ends: Vec<u64>,
    line: u64,
    is_data: bool,
    /// After `\q`.
    has_quit: bool,
}

impl Counter {
    pub(crate) fn new() -> Self {
        Self {
            lexer: Lexer::new(),
            text: Vec::new(),
            ends: Vec::new(),
            line: 0,
            is_data: false,
            has_quit: false,
        }
    }

    /// Reads a line, with its end.
    pub(crate) fn read(&mut self, line: &[u8]) {
        self.line += 1;
        if self.is_data {
            if matches!(line, b"\\.\n" | b"\\.\r\n" | b"\\.") {
                self.is_data = false;
                self.ends.push(self.line);
            }
            return;
        }
        let mut at = 0;
        while !self.has_quit {
            let rest = &line[at..];
            match self.lexer.read(rest) {
                Found::Semicolon(end) => {
                    self.keep(&rest[..end]);
                    self.statement();
                    at += end;
                }
                // Sent with the statement around it.
                Found::Backslash(end) if rest[end..].starts_with(b"\\;") => at += end + 2,
                Found::Backslash(end) => return self.command(&rest[end..]),
                Found::EndOfLine | Found::Nul | Found::Unclear => {
                    self.keep(rest);
                    return;
                }
            }
        }
    }

    /// How many statements there are; psql sends the last one without a semicolon, too.
    pub(crate) fn total(&self) -> usize {
        self.ends.len() + usize::from(self.is_data || self.lexer.has_code() && !self.has_quit)
    }

    /// How many statements may have run when psql stops at an error in this line. psql does not report which one of a line failed.
    pub(crate) fn before(&self, line: u64) -> RangeInclusive<usize> {
        let ended = |end: u64| self.ends.partition_point(|at| *at < end);
        let (fewest, most) = (ended(line), ended(line + 1));
        fewest..=most.saturating_sub(1).max(fewest)
    }

    fn keep(&mut self, part: &[u8]) {
        let room = LONGEST_COPY.saturating_sub(self.text.len());
        self.text.extend_from_slice(&part[..part.len().min(room)]);
    }

    fn statement(&mut self) {
        let tokens = read(&std::mem::take(&mut self.text), usize::MAX);
        let is_copy = tokens.first().is_some_and(|first| first.is("copy"));
        let from_stdin = |two: &[Token]| two[0].is("from") && two[1].is("stdin");
        if is_copy && tokens.windows(2).any(from_stdin) {
            self.is_data = true;
        } else if !tokens.is_empty() {
            self.ends.push(self.line);
        }
    }

    /// A command of psql goes up to the end of its line. Some send the statement before them.
    fn command(&mut self, line: &[u8]) {
        let has_code = self.lexer.has_code();
        let text = String::from_utf8_lossy(line);
        let command = text.split_whitespace().next().unwrap_or_default();
        match command {
            r"\q" | r"\quit" => self.has_quit = true,
            r"\r" | r"\reset" => (self.lexer, self.text) = (Lexer::new(), Vec::new()),
            _ if has_code
                && [r"\g", r"\crosstabview", r"\watch"]
                    .iter()
                    .any(|sends| command.starts_with(sends)) =>
            {
                (self.lexer, self.text) = (Lexer::new(), Vec::new());
                self.ends.push(self.line);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(script: &str) -> Counter {
        let mut counter = Counter::new();
        script
            .split_inclusive('\n')
            .for_each(|line| counter.read(line.as_bytes()));
        counter
    }

    #[test]
    fn statements_are_counted_as_psql_sends_them() {
        for (script, total) in [
            ("", 0),
            ("-- a; b;\n/* ; */ ;\n", 0),
            ("SELECT 1; SELECT\n2;\nSELECT 3", 3),
            ("SELECT 'a;\n********* QUERY **********\nb';\n", 1),
            ("COPY t (a)\nFROM STDIN;\n1;\n2;\n\\.\nSELECT 1;\n", 2),
            (
                "COPY t FROM stdin WITH (FORMAT csv);\r\n'\r\n\\.\r\nSELECT 1;\r\n",
                2,
            ),
            ("COPY t TO stdout;\nSELECT 1;\n", 2),
            ("SELECT 1 \\g\nSELECT 2 \\gexec\n\\echo a; b;\nSELECT 3;", 3),
            ("SELECT 1\\; SELECT 2;\n", 1),
            ("SELECT 1 \\r\nSELECT 2;\n", 1),
            ("SELECT 1;\n\\q\nSELECT 2;\n", 1),
            ("DO $$ BEGIN NULL; END $$;\n", 1),
        ] {
            assert_eq!(counter(script).total(), total, "{script}");
        }
    }

    #[test]
    fn statements_before_an_error_are_those_that_end_before_its_line_and_maybe_others_in_it() {
        let counter = counter(
            "SELECT 1; SELECT\n2;\nCOPY t FROM stdin;\n1\n\\.\nSELECT 3;\nSELECT 4; SELECT 5; SELECT 6;\n",
        );
        for (line, before) in [
            (1, 0..=0),
            (2, 1..=1),
            (3, 2..=2),
            (5, 2..=2),
            (6, 3..=3),
            (7, 4..=6),
            (99, 7..=7),
        ] {
            assert_eq!(counter.before(line), before, "line {line}");
        }
    }
}
