//! Decides which statements of a dump run, are skipped or are refused.
//!
//! A dump creates tables, loads rows and creates dependent objects. It is loaded into its own database by a role without other privileges.
//! Statements about other databases, roles or files do not belong in a dump.

use std::collections::HashSet;

use super::tokens::{Token, read};
use crate::database::owner_role::OWNER_ROLE;

/// The number of tokens that decides every statement except GRANT and REVOKE.
const FIRST: usize = 64;

/// The facts about the server.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    /// The name of the database that is restored.
    pub(super) database: String,
    /// Its owner.
    pub(super) owner: String,
    /// The role of the API.
    pub(super) api: String,
    /// All roles.
    pub(super) roles: HashSet<String>,
    /// All settings that the owner of a database may change.
    pub(super) settings: HashSet<String>,
    /// All tablespaces.
    pub(super) tablespaces: HashSet<String>,
    /// Extensions that only a superuser may create.
    pub(super) untrusted: HashSet<String>,
    /// The version, such as `15.14`.
    pub(super) version: String,
    /// Whether this tool wrote the dump, which is then loaded as the owner.
    pub(super) trusted: bool,
}

/// What happens to a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It runs.
    Run,
    /// It runs, and rows follow, up to `\.`.
    Data,
    /// It creates this table, and runs.
    Table(String),
    /// A superuser creates this extension first.
    Extension(String),
    /// It is skipped.
    Skip,
    /// It is skipped: it gives an object to the owner of what came from a file of others.
    OfOthers,
    /// It is skipped, and reported with this text.
    Left(String),
    /// The file is refused, with this reason.
    Refuse(&'static str),
}

use Decision::{Data, Left, Refuse, Run, Skip};

impl Rules {
    /// What happens to a statement.
    pub(super) fn decide(&self, statement: &[u8]) -> Decision {
        let tokens = read(statement, FIRST);
        let words: Vec<&str> = tokens
            .iter()
            .map(|token| {
                if let Token::Word(word) = token {
                    word.as_str()
                } else {
                    ""
                }
            })
            .collect();
        match *words {
            [] => Skip,
            ["set", ..] => self.set(&tokens[1..]),
            ["reset", "session", "authorization", ..] | ["reset", "role", ..] => Skip,
            ["reset", ..] => Refuse("changes a setting in a way that pg_dump does not"),
            ["select", ..] => self.select(&read(statement, usize::MAX)),
            ["begin" | "commit" | "end" | "start", ..] => transaction(&words),
            // A table may have hundreds of columns.
            ["copy", ..] => copy(&read(statement, usize::MAX)),
            ["create", "policy", ..] => self.policy(statement),
            ["create", ..] => self.create(&tokens, &words),
            ["alter", ..] => self.alter(statement, &tokens, &words),
            ["drop", "user", "mapping", ..] => Run,
            [
                "drop",
                "database" | "role" | "user" | "group" | "tablespace",
                ..,
            ] => self.elsewhere(&words),
            ["comment", "on", "database" | "role" | "tablespace", ..] => {
                Left(format!("COMMENT ON {}", words[2].to_uppercase()))
            }
            ["comment", "on", "extension", ..] => self.comment_on_extension(&tokens),
            ["grant" | "revoke", ..] => self.rights(statement),
            ["security", "label", ..] => Left("SECURITY LABEL".to_owned()),
            [
                "comment" | "drop" | "insert" | "update" | "delete" | "refresh" | "lock"
                | "truncate" | "import" | "analyze",
                ..,
            ] => Run,
            ["do" | "with" | "call", ..] if !self.trusted => {
                self.select(&read(statement, usize::MAX))
            }
            _ => Refuse("is not a statement that pg_dump writes"),
        }
    }

    /// Roles, tablespaces and other databases.
    fn elsewhere(&self, words: &[&str]) -> Decision {
        match words[1] {
            "database" => Left(format!("{} DATABASE", words[0].to_uppercase())),
            _ => Refuse("changes roles or tablespaces, which belong to the whole server"),
        }
    }

    fn set(&self, tokens: &[Token]) -> Decision {
        let tokens = match tokens {
            [first, second, ..] if first.is("session") && second.is("authorization") => {
                return Skip;
            }
            [first, ..] if first.is("role") => return Skip,
            [first, second, ..] if first.is("session") && second.is("characteristics") => {
                return Refuse("changes transactions");
            }
            [first, rest @ ..] if first.is("session") || first.is("local") => rest,
            tokens => tokens,
        };
        let Some(name) = tokens.first().and_then(Token::name).map(str::to_lowercase) else {
            return Refuse("changes a setting without a name");
        };
        let rest = &tokens[1..];
        if name.contains('.')
            || matches!(rest, [Token::Symbol(b'.'), ..])
            || matches!(&*name, "constraints" | "xml")
        {
            return Run;
        }
        let value = rest
            .iter()
            .find_map(|token| token.value().filter(|value| *value != "to"))
            .unwrap_or_default()
            .to_lowercase();
        match &*name {
            "transaction" => Refuse("changes the transaction"),
            "time" => Run,
            "standard_conforming_strings" if !matches!(&*value, "on" | "true" | "yes" | "1") => {
                Refuse(
                    "changes how strings are read: make the dump with pg_dump of PostgreSQL 9.1 or newer",
                )
            }
            "client_encoding" | "names" if !is_safe_encoding(&value) => Refuse(
                "names an encoding that cannot be read safely: make the dump with pg_dump --encoding=UTF8",
            ),
            "names" => Run,
            "default_tablespace" if !value.is_empty() && !self.tablespaces.contains(&value) => {
                Left(format!(
                    "SET default_tablespace = {value} (that tablespace does not exist here)"
                ))
            }
            name if self.settings.contains(name) => Run,
            name => Left(format!(
                "SET {name} (PostgreSQL {} does not have that setting, or only a superuser may change it)",
                self.version
            )),
        }
    }

    fn select(&self, tokens: &[Token]) -> Decision {
        let mentions = |wanted: &str| {
            tokens.iter().any(|token| {
                token
                    .value()
                    .is_some_and(|value| value.to_lowercase().contains(wanted))
            })
        };
        if mentions("standard_conforming_strings") || mentions("client_encoding") {
            return Refuse("changes how the file is read");
        }
        let statistics = tokens.iter().any(|token| {
            token
                .name()
                .is_some_and(|name| name.starts_with("pg_restore_"))
        });
        let major: u32 = self
            .version
            .split('.')
            .next()
            .and_then(|major| major.parse().ok())
            .unwrap_or(0);
        // Dumps of PostgreSQL 18 contain statistics, which older versions cannot load.
        if statistics && major < 18 {
            Left("statistics (of PostgreSQL 18 or newer)".to_owned())
        } else {
            Run
        }
    }

    fn create(&self, tokens: &[Token], words: &[&str]) -> Decision {
        match words {
            ["create", "user", "mapping", "for", ..] => match tokens.get(4).and_then(Token::name) {
                Some(role) if role != "public" && !self.roles.contains(role) => Left(format!(
                    "user mappings of {role}: that role does not exist here"
                )),
                _ => Run,
            },
            [
                "create",
                "database" | "role" | "user" | "group" | "tablespace",
                ..,
            ] => self.elsewhere(words),
            ["create", "extension", ..] => {
                let at = if words[2..].starts_with(&["if", "not", "exists"]) {
                    5
                } else {
                    2
                };
                let name = tokens
                    .get(at)
                    .and_then(Token::name)
                    .unwrap_or_default()
                    .to_owned();
                if !self.trusted && self.untrusted.contains(&name) {
                    Decision::Extension(name)
                } else {
                    Run
                }
            }
            _ => table(tokens, words).map_or(Run, Decision::Table),
        }
    }

    /// `CREATE POLICY … TO role, …`.
    fn policy(&self, statement: &[u8]) -> Decision {
        let tokens = read(statement, usize::MAX);
        let ends = tokens
            .iter()
            .position(|token| token.is("using") || token.is("with"))
            .unwrap_or(tokens.len());
        let Some(to) = tokens[..ends].iter().position(|token| token.is("to")) else {
            return Run;
        };
        self.unknown_role(&tokens[to..ends]).map_or(Run, |role| {
            Left(format!(
                "policies for {role}: that role does not exist here"
            ))
        })
    }

    fn alter(&self, statement: &[u8], tokens: &[Token], words: &[&str]) -> Decision {
        match words {
            ["alter", "user", "mapping", ..] => return Run,
            [
                "alter",
                "database" | "role" | "user" | "group" | "tablespace",
                ..,
            ] => return self.elsewhere(words),
            ["alter", "system", ..] => return Refuse("changes the whole server"),
            ["alter", "default", "privileges", ..] => return self.default_rights(statement),
            _ => {}
        }
        match tokens {
            [.., before, owner, to, new]
                if owner.is("owner")
                    && to.is("to")
                    && !before.is("rename")
                    && !before.is("column") =>
            {
                match new.name() {
                    Some(OWNER_ROLE) => Decision::OfOthers,
                    Some(name) if self.trusted && self.roles.contains(name) => Run,
                    Some(name)
                        if name != self.owner
                            && !matches!(
                                name,
                                "current_user" | "session_user" | "current_role"
                            ) =>
                    {
                        Left(format!(
                            "OWNER TO {name}: everything belongs to {}",
                            if self.trusted {
                                &self.owner
                            } else {
                                OWNER_ROLE
                            }
                        ))
                    }
                    _ => Skip,
                }
            }
            _ => Run,
        }
    }

    fn comment_on_extension(&self, tokens: &[Token]) -> Decision {
        let name = tokens.get(3).and_then(Token::name).unwrap_or_default();
        // Only the owner of an extension may comment on it, and plpgsql belongs to the superuser.
        if !self.trusted && (name == "plpgsql" || self.untrusted.contains(name)) {
            Skip
        } else {
            Run
        }
    }

    /// `GRANT` and `REVOKE`.
    fn rights(&self, statement: &[u8]) -> Decision {
        let tokens = read(statement, usize::MAX);
        let Some(on) = tokens.iter().position(|token| token.is("on")) else {
            return Left("memberships in roles".to_owned());
        };
        if tokens.get(on + 1).is_some_and(|token| {
            ["database", "tablespace", "parameter"]
                .iter()
                .any(|word| token.is(word))
        }) {
            return Left("privileges on the database, a tablespace or a parameter".to_owned());
        }
        self.unknown_role(&tokens).map_or(Run, |role| {
            Left(format!(
                "privileges of {role}: that role does not exist here"
            ))
        })
    }

    /// Returns the first role of a `GRANT` or `REVOKE` that does not exist.
    fn unknown_role(&self, tokens: &[Token]) -> Option<String> {
        let names = grantees(tokens);
        let is_known = |name: &&str| {
            matches!(
                *name,
                "public" | "current_user" | "session_user" | "current_role"
            ) || self.roles.contains(*name)
        };
        names
            .into_iter()
            .find(|name| !is_known(name))
            .map(str::to_owned)
    }

    /// `ALTER DEFAULT PRIVILEGES`, which only the owner may change.
    fn default_rights(&self, statement: &[u8]) -> Decision {
        let tokens = read(statement, usize::MAX);
        let role = tokens
            .iter()
            .position(|token| token.is("role") || token.is("user"))
            .and_then(|at| tokens.get(at + 1)?.name());
        let names = grantees(&tokens);
        if role.is_none_or(|role| role == self.owner) && names == [self.api.as_str()] {
            // Every restored database gets these privileges.
            return Skip;
        }
        let unknown = role
            .filter(|role| !self.roles.contains(*role))
            .map(str::to_owned)
            .or_else(|| self.unknown_role(&tokens));
        match unknown {
            Some(role) => Left(format!(
                "default privileges of {role}: that role does not exist here"
            )),
            None if self.trusted => Run,
            None => Left(format!("default privileges of {}", names.join(", "))),
        }
    }
}

/// The roles at the end of a `GRANT` or `REVOKE`.
fn grantees(tokens: &[Token]) -> Vec<&str> {
    let Some(at) = tokens
        .iter()
        .rposition(|token| token.is("to") || token.is("from"))
    else {
        return Vec::new();
    };
    let ends = ["with", "granted", "cascade", "restrict"];
    let named = tokens[at + 1..]
        .iter()
        .take_while(|token| !ends.iter().any(|word| token.is(word)));
    named
        .filter(|token| !token.is("group"))
        .filter_map(Token::name)
        .collect()
}

/// Statements that begin or end a transaction around a dump. The restore has its own transaction.
fn transaction(words: &[&str]) -> Decision {
    let plain = words[1..]
        .iter()
        .all(|word| matches!(*word, "work" | "transaction"));
    if plain {
        Skip
    } else {
        Refuse("changes the transaction")
    }
}

/// `COPY … FROM stdin`, as pg_dump prints it.
fn copy(tokens: &[Token]) -> Decision {
    let columns = |tokens: &[Token]| {
        let (open, close) = (
            tokens.first() == Some(&Token::Symbol(b'(')),
            tokens.last() == Some(&Token::Symbol(b')')),
        );
        let names = tokens.iter().all(|token| {
            token.name().is_some() || matches!(token, Token::Symbol(b',' | b'(' | b')'))
        });
        tokens.is_empty() || open && close && names && tokens.len() > 2
    };
    let is_from_stdin =
        |end: &[Token]| matches!(end, [from, stdin] if from.is("from") && stdin.is("stdin"));
    let Some(end) = tokens
        .len()
        .checked_sub(2)
        .filter(|end| is_from_stdin(&tokens[*end..]))
    else {
        return Refuse("accesses files or programs of the server, or has another format than text");
    };
    let table = match &tokens[1..end] {
        [
            Token::Word(_) | Token::Name(_),
            Token::Symbol(b'.'),
            Token::Word(_) | Token::Name(_),
            rest @ ..,
        ] => columns(rest),
        [Token::Word(_) | Token::Name(_), rest @ ..] => columns(rest),
        _ => false,
    };
    if table {
        Data
    } else {
        Refuse("does not read rows of a table")
    }
}

/// Returns the table of a `CREATE TABLE`, with its schema if the statement names it.
fn table(tokens: &[Token], words: &[&str]) -> Option<String> {
    let at = words.iter().take(4).position(|word| *word == "table")?;
    if !words[1..at].iter().all(|word| {
        matches!(
            *word,
            "unlogged" | "foreign" | "global" | "local" | "temporary" | "temp"
        )
    }) {
        return None;
    }
    let at = if words[at + 1..].starts_with(&["if", "not", "exists"]) {
        at + 4
    } else {
        at + 1
    };
    let first = tokens.get(at)?.name()?;
    match tokens.get(at + 1) {
        Some(Token::Symbol(b'.')) => Some(format!("{first}.{}", tokens.get(at + 2)?.name()?)),
        _ => Some(first.to_owned()),
    }
}

/// Returns whether no multibyte character of an encoding contains the byte of a backslash or a quote:
/// <https://www.postgresql.org/docs/current/multibyte.html>.
fn is_safe_encoding(name: &str) -> bool {
    const UNSAFE: [&str; 16] = [
        "big5",
        "win950",
        "windows950",
        "gbk",
        "win936",
        "windows936",
        "gb18030",
        "johab",
        "sjis",
        "mskanji",
        "shiftjis",
        "win932",
        "windows932",
        "shiftjis2004",
        "uhc",
        "win949",
    ];
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    !UNSAFE.contains(&&*name) && name != "windows949"
}

#[cfg(test)]
mod tests;
