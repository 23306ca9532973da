use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use dev_env::verbs::backup::{self, Written};

use crate::context::Context;
use crate::printer::Lines;

/// Copy the database and write a checksum, while the environment runs. Prints the path of the copy.
///
/// Starts the database on demand. Replaces an existing file only if this command wrote it, or with --force. Follows symbolic links, and
/// writes to FIFOs and devices. The copy and its checksum appear together, when both are complete.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo dev backup
  cargo dev backup --output before-the-demo.dump
  cargo dev backup --output - | ssh elsewhere 'cat > journal.dump'")]
pub(crate) struct Backup {
    /// Write the copy to this file, or to standard output for `-`; creates folders only below data/ [default: data/backups/<time>.dump]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace a file that this command did not write
    #[arg(long, requires = "output")]
    force: bool,
}

impl Backup {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let (engine, events) = (
            context.engine_to_read().await?,
            context.printer.events(Lines::Build),
        );
        let written = context
            .or_stop(backup::backup(
                &engine,
                self.output.as_deref(),
                self.force,
                &events,
            ))
            .await?;
        context.printer.finish();
        if let Written::File(path) = written {
            context.printer.data(&path.display().to_string())?;
            context.printer.note(&format!(
                "restore it with: cargo dev restore '{}'",
                path.display()
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}
