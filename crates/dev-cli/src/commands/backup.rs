use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use dev_env::backup::{self, Written};

use crate::context::Context;
use crate::printer::Lines;

/// Copy the database, next to a checksum, while everything runs. Prints the path of the copy.
///
/// A database that does not run is started on demand. An existing file is replaced only when it is a copy that this command made, or with
/// --force; a link is followed; a FIFO or a device is written to. Copy and checksum become visible together, when both are whole.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo dev backup
  cargo dev backup --output before-the-demo.dump
  cargo dev backup --output - | ssh elsewhere 'cat > journal.dump'")]
pub(crate) struct Backup {
    /// Write the copy to this file, or to standard output for `-`; folders are made below data/ only [default: data/backups/<time>.dump]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace a file that is not a copy of this command's
    #[arg(long, requires = "output")]
    force: bool,
}

impl Backup {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let (engine, events) = (context.engine_to_read().await?, context.printer.events(Lines::Build));
        let written = context.or_stop(backup::backup(&engine, self.output.as_deref(), self.force, &events)).await?;
        context.printer.finish();
        if let Written::File(path) = written {
            context.printer.data(&path.display().to_string())?;
            context.printer.note(&format!("restore it with: cargo dev restore '{}'", path.display()));
        }
        Ok(ExitCode::SUCCESS)
    }
}
