use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use dev_env::verbs::restore::{self, Rows};

use crate::context::{Context, Interrupted};
use crate::printer::Lines;

/// Restore a copy of the database, and keep the current database
///
/// Loads the copy into a new database, which replaces the current one when it is complete and checked.
/// Reads every format of pg_dump (SQL, custom, tar, directory), in UTF-8 or UTF-16, optionally compressed with gzip or zstd.
/// Checks the copy first: a copy that is truncated, damaged or of another project changes nothing.
/// Skips owners and privileges of roles that do not exist, and applies missing migrations.
/// The API may run, and continues with the restored rows.
///
/// The old database is kept as before_restore_<time>, and `cargo dev restore before_restore_<time>` returns to it.
/// A file of that name takes precedence.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo dev restore data/backups/2026-11-24T09-30-00.000Z.dump
  cargo dev restore backup.sql.gz      a dump of another server
  ssh elsewhere pg_dump journal | cargo dev restore -
  cargo dev restore before_restore_20261124093000000")]
pub(crate) struct Restore {
    /// Restore this copy: a file or folder of `cargo dev backup` or pg_dump, `-` for standard input, or the name of a kept database
    file: PathBuf,
}

impl Restore {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let printer = &context.printer;
        let (engine, events) = (context.engine().await?, printer.events(Lines::Build));
        let restored = restore::restore(
            &engine,
            &context.checkout()?,
            &self.file,
            printer.has_colour(),
            &events,
            &context.stop,
        )
        .await?;
        let restored = restored.ok_or(Interrupted)?;
        printer.finish();
        printer.data(&format!(
            "restored {} from {}",
            restored.database,
            self.file.display()
        ))?;
        for rows in &restored.rows {
            printer.data(&format!("  {}", line(rows)))?;
        }
        let kept = &restored.kept;
        printer.note(&format!(
            "the old database is kept as {kept}\nreturn to it: cargo dev restore {kept}\nremove it: cargo dev db shell -c 'DROP DATABASE {kept}'"
        ));
        Ok(ExitCode::SUCCESS)
    }
}

/// `entries 3,030 → 3,030`.
fn line((table, before, now): &Rows) -> String {
    let count = |rows: &Option<u64>| rows.map_or_else(|| "no table".to_owned(), thousands);
    format!("{table} {} → {}", count(before), count(now))
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_counts_are_printed_with_thousands_separators() {
        assert_eq!(
            line(&("entries".to_owned(), Some(3030), Some(1_234_567))),
            "entries 3,030 → 1,234,567"
        );
        assert_eq!(
            line(&("moods".to_owned(), None, Some(999))),
            "moods no table → 999"
        );
    }
}
