//! Reads the SQL of a dump line by line. Statements that run are passed on, skipped statements are recorded, and refusals have a line
//! number.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, Read, Write};

use super::error::Refusal;
use super::lexer::{Found, Lexer};
use super::rules::{Decision, Rules};

/// The fields of a row have at most 1 GB each.
const LONGEST_LINE: u64 = 2 << 30;
const HEADER: &[u8] = b"-- PostgreSQL database dump";
const END: &[u8] = b"-- PostgreSQL database dump complete";
const CLUSTER: &[u8] = b"-- PostgreSQL database cluster dump";
/// The end mark of rows.
const END_OF_DATA: &[u8] = b"\\.\n";

/// The content of a dump.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    /// Whether pg_dump wrote it.
    pub(super) is_of_pg_dump: bool,
    /// Created tables, with their schema if the dump names it.
    pub(super) tables: BTreeSet<String>,
    /// Whether it has rows.
    pub(super) has_rows: bool,
    /// Whether the database was restored from a file of others.
    pub(super) is_of_others: bool,
    /// Extensions that a superuser must create.
    pub(super) extensions: BTreeSet<String>,
    /// Skipped statements, with their count.
    pub(super) left: BTreeMap<String, u64>,
}

/// The filter, which passes on the statements that run.
pub(super) struct Filter<'a, W> {
    rules: &'a Rules,
    to: W,
    report: Report,
    lexer: Lexer,
    /// The statement so far, and the comments before it.
    text: Vec<u8>,
    /// The line on which the statement begins.
    begins: u64,
    number: u64,
    /// The line on which unfinished rows begin.
    data: Option<u64>,
    /// Whether the end mark was the last output of pg_dump.
    is_complete: bool,
    has_statements: bool,
}

/// Reads a complete dump, and writes the statements that run to `to`.
///
/// # Errors
/// The dump is refused or truncated, or cannot be read or written.
pub(super) fn filter(from: impl BufRead, to: impl Write, rules: &Rules) -> Result<Report, Refusal> {
    let filter = Filter {
        rules,
        to,
        report: Report::default(),
        lexer: Lexer::new(),
        text: Vec::new(),
        begins: 0,
        number: 0,
        data: None,
        is_complete: false,
        has_statements: false,
    };
    filter.run(from)
}

impl<W: Write> Filter<'_, W> {
    fn run(mut self, mut from: impl BufRead) -> Result<Report, Refusal> {
        let (mut line, mut has_crlf) = (Vec::new(), false);
        loop {
            line.clear();
            let read = (&mut from)
                .take(LONGEST_LINE)
                .read_until(b'\n', &mut line)
                .map_err(Refusal::Read)?;
            if read == 0 {
                break;
            }
            self.number += 1;
            has_crlf |= self.number == 1 && line.ends_with(b"\r\n");
            if has_crlf && line.ends_with(b"\r\n") {
                line.truncate(line.len() - 2);
                line.push(b'\n');
            }
            if line.contains(&0) {
                return Err(Refusal::Binary { line: self.number });
            }
            if self.data.is_some() {
                self.write(&line)?;
                // psql takes both line ends, whichever the other lines have.
                if line == END_OF_DATA || line == b"\\.\r\n" {
                    self.data = None;
                }
            } else {
                self.line(&line)?;
            }
        }
        self.end()
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Refusal> {
        if self.lexer.is_between_statements() {
            let trimmed = line.trim_ascii();
            self.comment(trimmed)?;
            if trimmed.starts_with(b"\\") {
                return self.command(trimmed);
            }
        }
        let mut at = 0;
        loop {
            let had_code = self.lexer.has_code();
            let found = self.lexer.read(&line[at..]);
            if !had_code && (self.lexer.has_code() || matches!(found, Found::Semicolon(_))) {
                self.begins = self.number;
            }
            match found {
                Found::EndOfLine => break,
                Found::Semicolon(end) => {
                    self.text.extend_from_slice(&line[at..at + end]);
                    at += end;
                    self.statement(&line[at..])?;
                }
                Found::Backslash(_) => {
                    return Err(Refusal::Command {
                        line: self.number,
                        text: shown(line),
                    });
                }
                Found::Nul => return Err(Refusal::Binary { line: self.number }),
                Found::Unclear => {
                    let why =
                        "has a quote that versions of psql read differently: put a blank before it";
                    return Err(Refusal::Statement {
                        line: self.number,
                        text: shown(line),
                        why,
                    });
                }
            }
        }
        self.text.extend_from_slice(&line[at..]);
        if !self.lexer.has_code() && !self.lexer.is_open() {
            self.pass()?;
        }
        Ok(())
    }

    /// Detects the comments with which pg_dump begins and ends its output.
    fn comment(&mut self, line: &[u8]) -> Result<(), Refusal> {
        match line {
            CLUSTER => return Err(Refusal::Cluster),
            END => self.is_complete = true,
            HEADER => (self.report.is_of_pg_dump, self.is_complete) = (true, false),
            _ => {}
        }
        Ok(())
    }

    /// Handles a psql command on its own line.
    fn command(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let text = String::from_utf8_lossy(line).into_owned();
        let words: Vec<&str> = text.split_whitespace().collect();
        let harmless = match *words {
            [r"\restrict" | r"\unrestrict", key] => {
                key.bytes().all(|byte| byte.is_ascii_alphanumeric())
            }
            [r"\connect" | r"\c", ..] => {
                self.is_own(text.split_once(' ').map_or("", |(_, name)| name.trim()))
            }
            // pg_dump prints this before it connects to a name that needs quotes.
            [r"\encoding", "SQL_ASCII"] => true,
            // Copies that earlier versions of this tool wrote before migrations begin with it.
            [r"\set", "ON_ERROR_STOP", "on"] => true,
            _ => false,
        };
        if !harmless {
            return Err(Refusal::Command {
                line: self.number,
                text: shown(line),
            });
        }
        self.write(b"\n")
    }

    /// Returns whether `\connect` names the database itself, in one of pg_dump's notations.
    fn is_own(&self, name: &str) -> bool {
        let database = &self.rules.database;
        name == database
            || name == format!("\"{database}\"")
            || name == format!("-reuse-previous=on \"dbname='{database}'\"")
    }

    fn statement(&mut self, rest: &[u8]) -> Result<(), Refusal> {
        self.has_statements = true;
        let decision = self.rules.decide(&self.text);
        match decision {
            Decision::Run => {
                self.report.has_rows |= self
                    .text
                    .trim_ascii_start()
                    .get(..6)
                    .is_some_and(|word| word.eq_ignore_ascii_case(b"insert"));
                self.pass()
            }
            Decision::Data => {
                // psql reads rows from the next line on, and then continues here.
                if !rest.trim_ascii().is_empty() {
                    return Err(self.refused("is followed by other text on its line"));
                }
                self.report.has_rows = true;
                self.data = Some(self.number);
                self.pass()
            }
            Decision::Table(name) => {
                self.report.tables.insert(name);
                self.pass()
            }
            Decision::Extension(name) => {
                self.report.extensions.insert(name);
                self.leave()
            }
            Decision::Skip => self.leave(),
            Decision::OfOthers => {
                self.report.is_of_others = true;
                self.leave()
            }
            Decision::Left(what) => {
                *self.report.left.entry(what).or_default() += 1;
                self.leave()
            }
            Decision::Refuse(why) => Err(self.refused(why)),
        }
    }

    fn refused(&self, why: &'static str) -> Refusal {
        Refusal::Statement {
            line: self.begins,
            text: shown(&self.text),
            why,
        }
    }

    fn pass(&mut self) -> Result<(), Refusal> {
        let text = std::mem::take(&mut self.text);
        self.write(&text)
    }

    /// Keeps the line numbers, so that they match PostgreSQL's messages.
    fn leave(&mut self) -> Result<(), Refusal> {
        let lines = std::mem::take(&mut self.text)
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        self.write(&vec![b'\n'; lines])
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.to.write_all(bytes).map_err(Refusal::Write)
    }

    fn end(mut self) -> Result<Report, Refusal> {
        if let Some(line) = self.data {
            return Err(Refusal::CutOff {
                what: format!("the rows that begin after line {line} have no end (a line \\.)"),
            });
        }
        if self.lexer.has_code() || self.lexer.is_open() {
            return Err(Refusal::CutOff {
                what: format!("the statement on line {} has no end", self.begins),
            });
        }
        if self.report.is_of_pg_dump && !self.is_complete {
            return Err(Refusal::CutOff {
                what: format!(
                    "the last line, \"{}\", is missing",
                    String::from_utf8_lossy(END)
                ),
            });
        }
        if !self.has_statements {
            return Err(Refusal::Empty);
        }
        self.to.flush().map_err(Refusal::Write)?;
        Ok(self.report)
    }
}

/// Shortens a text to one line.
fn shown(text: &[u8]) -> String {
    const MOST: usize = 60;
    let text = String::from_utf8_lossy(text);
    let without_comments = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("--") && !line.trim().is_empty());
    let line = without_comments
        .flat_map(str::split_whitespace)
        .collect::<Vec<_>>()
        .join(" ");
    if line.chars().count() <= MOST {
        line
    } else {
        format!("{}…", line.chars().take(MOST).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "--
-- PostgreSQL database dump
--

\\restrict abc

-- Dumped by pg_dump version 17.2 (Debian)

SET statement_timeout = 0;
SET transaction_timeout = 0;
CREATE TABLE public.users (
    id integer
);


ALTER TABLE public.users OWNER TO prod;

COPY public.users (id) FROM stdin;
1
\\\\! rm
; SELECT
\\.


ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

--
-- PostgreSQL database dump complete
--

\\unrestrict abc

";

    fn rules() -> Rules {
        let set = |name: &str| std::iter::once(name.to_owned()).collect();
        Rules {
            database: "journal".to_owned(),
            owner: "me".to_owned(),
            settings: set("statement_timeout"),
            roles: set("me"),
            ..Rules::default()
        }
    }

    fn run(text: impl AsRef<[u8]>) -> Result<(String, Report), String> {
        let mut to = Vec::new();
        match filter(text.as_ref(), &mut to, &rules()) {
            Ok(report) => Ok((String::from_utf8(to).unwrap(), report)),
            Err(refusal) => Err(refusal.to_string()),
        }
    }

    #[test]
    fn the_filter_skips_unknown_settings_and_keeps_line_numbers() {
        let (passed, report) = run(DUMP).unwrap();
        assert_eq!(passed.lines().count(), DUMP.lines().count());
        for (number, line) in DUMP.lines().enumerate() {
            let left = [
                "\\restrict",
                "\\unrestrict",
                "SET transaction",
                "ALTER TABLE public.users OWNER",
            ];
            let expected = if left.iter().any(|start| line.starts_with(start)) {
                ""
            } else {
                line
            };
            assert_eq!(
                passed.lines().nth(number).unwrap(),
                expected,
                "line {}",
                number + 1
            );
        }
        assert_eq!(report.left.len(), 2);
        assert!(report.is_of_pg_dump && report.has_rows && report.tables.contains("public.users"));
    }

    #[test]
    fn the_filter_refuses_a_truncated_dump() {
        let end = DUMP.find("-- PostgreSQL database dump complete").unwrap();
        let mut cases = 0;
        for (at, _) in DUMP.char_indices().filter(|(at, _)| *at > 40 && *at < end) {
            assert!(
                run(&DUMP[..at]).is_err(),
                "cut after {at} bytes: {:?}",
                &DUMP[at.saturating_sub(20)..at]
            );
            cases += 1;
        }
        assert!(cases > 300);
        assert!(run("").unwrap_err().contains("no statement"));
        assert!(
            run("-- only\n/* comments */\n\n")
                .unwrap_err()
                .contains("no statement")
        );
    }

    #[test]
    fn the_filter_reads_crlf() {
        let (passed, _) = run(DUMP.replace('\n', "\r\n")).unwrap();
        assert_eq!(passed, run(DUMP).unwrap().0);
    }

    #[test]
    fn psql_commands_in_a_dump_are_refused_with_their_line() {
        for command in [
            "\\connect other",
            "\\connect journal evil",
            "\\connect -reuse-previous=on \"dbname='journal' host=evil\"",
            "\\encoding SJIS",
            "\\c",
            "\\! rm -rf /",
            "\\i other.sql",
            "\\copy t FROM 'x'",
            "\\o |sh",
            "\\set x `rm`",
            "\\.",
            "SELECT 1 \\gexec",
            "SELECT 1; \\! rm",
            "/* a */ \\! rm",
            "\\restrict",
            "\\restrict a\\! rm",
            "  \\! rm",
            "\\unrestrict `rm`",
            "\\set ON_ERROR_STOP off",
        ] {
            let refused = run(format!("CREATE TABLE a ();\n\n{command}\n")).unwrap_err();
            assert!(refused.contains("line 3"), "{command}: {refused}");
        }
        for command in [
            "\\connect -reuse-previous=on \"dbname='journal'\"",
            "\\encoding SQL_ASCII",
            "\\connect journal",
            "\\c \"journal\"",
            "\\restrict a1",
            "\\unrestrict a1",
            "\\set ON_ERROR_STOP on",
        ] {
            assert_eq!(
                run(format!("CREATE TABLE a ();\n{command}\n"))
                    .unwrap()
                    .0
                    .lines()
                    .nth(1),
                Some(""),
                "{command}"
            );
        }
    }

    #[test]
    fn a_refused_statement_is_reported_with_its_line_and_text() {
        let refused =
            run("-- one\nSELECT 1;\n-- three\nCOPY t FROM\n  PROGRAM 'rm';\n").unwrap_err();
        assert!(
            refused.contains("line 4") && refused.contains("COPY t FROM PROGRAM 'rm';"),
            "{refused}"
        );
        assert!(
            run("COPY t FROM stdin;\n1\n\\.\r\n\\! rm\n\\.\n")
                .unwrap_err()
                .contains("line 4")
        );
        assert!(run("SELECT 1e'';\n").unwrap_err().contains("line 1"));
        assert!(
            run("COPY t FROM stdin; SELECT 1;\n\\.\n")
                .unwrap_err()
                .contains("line 1")
        );
        assert!(
            run("SELECT 1;\nSELECT 'a\0';\n")
                .unwrap_err()
                .contains("line 2")
        );
        assert!(
            run("-- PostgreSQL database cluster dump\n")
                .unwrap_err()
                .contains("pg_dumpall")
        );
    }
}
