//! The migrations' files, and what the database has of them.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use emotionviz_settings::DatabaseUrl;
use sha2::{Digest, Sha384};

use crate::project::error::indented;
use crate::report::migrations::{Applied, File};
use crate::service::command;
use crate::{Checkout, Error};
use process::{Output, describe};

/// The longest part of a file name that is made of a description.
const LONGEST_SLUG: usize = 60;

/// The versions of all migration files, oldest first.
///
/// # Errors
/// The folder cannot be read.
pub fn versions(checkout: &Checkout) -> Result<Vec<i64>, Error> {
    Ok(paths(checkout)?
        .into_iter()
        .map(|(version, _)| version)
        .collect())
}

/// The name of the file that reverts a migration.
///
/// # Errors
/// The folder cannot be read.
pub(crate) fn undo(checkout: &Checkout, version: i64) -> Result<String, Error> {
    let paths = paths(checkout)?;
    let up = paths.iter().find(|(found, _)| *found == version);
    let name = up
        .and_then(|(_, path)| path.file_name()?.to_str())
        .map_or_else(|| version.to_string(), str::to_owned);
    Ok(format!("{}.down.sql", name.trim_end_matches(".up.sql")))
}

/// All migration files, oldest first.
///
/// # Errors
/// One of them, or the folder, cannot be read.
pub(crate) fn files(checkout: &Checkout) -> Result<Vec<File>, Error> {
    let file = |(version, path): (i64, PathBuf)| {
        let sql = std::fs::read(&path).map_err(|source| Error::io("read", &path, source))?;
        Ok(File {
            version,
            checksum: checksum(&sql),
        })
    };
    paths(checkout)?.into_iter().map(file).collect()
}

/// The checksum of the text with `\n` as line endings, as in the service.
fn checksum(sql: &[u8]) -> String {
    let mut text = Sha384::new();
    let mut rest = sql;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"\r\n") {
        text.update(&rest[..at]);
        rest = &rest[at + 1..];
    }
    text.update(rest);
    hex::encode(text.finalize())
}

fn paths(checkout: &Checkout) -> Result<Vec<(i64, PathBuf)>, Error> {
    let folder = checkout.migrations();
    let entries =
        std::fs::read_dir(&folder).map_err(|source| Error::io("read", &folder, source))?;
    let version = |path: &Path| {
        path.file_name()?
            .to_str()?
            .strip_suffix(".up.sql")?
            .split_once('_')?
            .0
            .parse()
            .ok()
    };
    let mut paths: Vec<(i64, PathBuf)> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter_map(|path| Some((version(&path)?, path)))
        .collect();
    paths.sort_unstable();
    Ok(paths)
}

/// Makes the two files of a migration, empty but for a comment. Returns them, up first.
///
/// # Errors
/// The description has no letter, or the files cannot be written.
pub fn create(checkout: &Checkout, description: &str) -> Result<[PathBuf; 2], Error> {
    let slug = slug(description);
    if slug.is_empty() {
        return Err(Error::hinted(
            format!("\"{description}\" has no letter or digit for a file name"),
            "describe the change: cargo dev migrate new \"add a column for the mood\"",
        ));
    }
    // Never before the newest one: it would not be applied after it where that one is applied already.
    let newest = versions(checkout)?.last().copied().unwrap_or(0);
    let version = version_at(SystemTime::now()).max(newest + 1);
    let file = |direction: &str| {
        checkout
            .migrations()
            .join(format!("{version}_{slug}.{direction}.sql"))
    };
    let title = description.split_whitespace().collect::<Vec<_>>().join(" ");
    let files = [
        (file("up"), format!("-- {title}\n")),
        (file("down"), format!("-- Back: {title}\n")),
    ];
    for (path, text) in &files {
        write_new(path, text)?;
    }
    Ok(files.map(|(path, _)| path))
}

fn write_new(path: &Path, text: &str) -> Result<(), Error> {
    use std::io::Write;
    let mut file =
        std::fs::File::create_new(path).map_err(|source| Error::io("write", path, source))?;
    file.write_all(text.as_bytes())
        .map_err(|source| Error::io("write", path, source))
}

/// `YYYYMMDDHHMMSS` of a time, in UTC.
fn version_at(time: SystemTime) -> i64 {
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.bytes()
        .filter(u8::is_ascii_digit)
        .fold(0, |number, digit| number * 10 + i64::from(digit - b'0'))
}

/// A file name of any sentence: lower-case ASCII letters and digits, the rest as underscores.
fn slug(description: &str) -> String {
    let mut slug = String::new();
    for character in description.chars().flat_map(char::to_lowercase) {
        match character {
            'a'..='z' | '0'..='9' => slug.push(character),
            'ä' => slug.push_str("ae"),
            'ö' => slug.push_str("oe"),
            'ü' => slug.push_str("ue"),
            'ß' => slug.push_str("ss"),
            _ if slug.is_empty() || slug.ends_with('_') => {}
            _ => slug.push('_'),
        }
    }
    slug.truncate(LONGEST_SLUG);
    slug.trim_end_matches('_').to_owned()
}

/// What the database has, as the service's program sees it.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn applied(program: &Path, url: &DatabaseUrl) -> Result<Applied, Error> {
    read(&command::migrate(program, url, &["status", "--json"]).await?)
}

/// What the service's `migrate status --json` printed, whatever it ended with: it fails when an applied migration was edited,
/// and prints all the same.
///
/// # Errors
/// It printed something else.
pub(crate) fn read(output: &Output) -> Result<Applied, Error> {
    serde_json::from_slice(&output.stdout).map_err(|_| {
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            output.stderr
        );
        let said = if said.trim().is_empty() {
            "nothing"
        } else {
            said.trim()
        };
        Error::hinted(
            format!(
                "how the migrations stand cannot be read: the service's `migrate status` ended with {}, and said:\n{}",
                describe(output.status),
                indented(said)
            ),
            "run it by itself: cargo dev migrate status",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_name_becomes_a_slug() {
        assert_eq!(slug("Add a column: users.mood!"), "add_a_column_users_mood");
        assert_eq!(slug("  Größe -- der Übung "), "groesse_der_uebung");
        assert_eq!(slug("日本語"), "");
        assert!(slug(&"long words ".repeat(20)).len() <= LONGEST_SLUG);
        assert!(!slug("../../etc/passwd").contains(['/', '.']));
    }

    #[test]
    fn the_checksum_of_a_migration_file_ignores_line_endings() {
        assert_eq!(
            checksum(b"SELECT 1;\r\n\r\nSELECT 2;\r\n"),
            checksum(b"SELECT 1;\n\nSELECT 2;\n")
        );
        assert_ne!(checksum(b"SELECT '\r';\n"), checksum(b"SELECT '';\n"));
    }

    #[test]
    fn the_version_of_a_migration_is_its_time() {
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_795_435_200);
        assert_eq!(version_at(time), 20_261_123_120_000);
    }

    #[test]
    fn a_new_migration_comes_after_all_others() {
        let newest = "backend/db/migrations/29991231235959_far_away.up.sql";
        let (_folder, checkout) = Checkout::scratch(&[(newest, "")]);
        let [up, down] = create(&checkout, "one more").unwrap();
        assert!(
            up.ends_with("29991231235960_one_more.up.sql")
                && down.ends_with("29991231235960_one_more.down.sql")
        );
        assert_eq!(versions(&checkout).unwrap().len(), 2);
        assert_eq!(std::fs::read_to_string(up).unwrap(), "-- one more\n");
    }
}
