use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use dev_env::backup;

use crate::context::Context;
use crate::printer::Lines;

/// Put a copy of the database back: into a new database, which takes the old one's place when all of it is there.
///
/// The old one is kept under another name. A copy that is damaged or refused changes nothing. Migrations that the copy lacks are
/// applied. The API may run meanwhile; it goes on with the restored rows.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo dev restore data/backups/2026-11-24T09-30-00.000Z.dump
  cargo dev restore backup.sql      what pg_dump printed")]
pub(crate) struct Restore {
    /// The copy: of `cargo dev backup`, or of pg_dump, as SQL or as an archive
    file: PathBuf,
}

impl Restore {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let printer = &context.printer;
        let (engine, events) = (context.engine().await?, printer.events(Lines::Build));
        let restored = context.or_stop(backup::restore(&engine, &self.file, printer.has_colour(), &events)).await?;
        printer.finish();
        printer.data(&format!("{} is as it is in {}", restored.database, self.file.display()))?;
        let kept = &restored.kept;
        printer.note(&format!("what was there is kept as {kept}\nwithout it: cargo dev db shell -c 'DROP DATABASE {kept}'"));
        Ok(ExitCode::SUCCESS)
    }
}
