use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use dev_env::verbs::backup::{self, Written};

use crate::context::Context;
use crate::printer::Lines;

/// Copy the database to a file, write its checksum, and print the path
///
/// Works while the environment runs, and starts the database on demand if it does not run.
/// Replaces an existing file only if this command wrote the file, or with --force.
/// Follows symbolic links, and writes to FIFOs and devices.
/// The copy and its checksum appear together, when both are complete.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo dev backup                                 to data/backups
  cargo dev backup --output before-the-demo.dump
  cargo dev backup --output - | ssh elsewhere 'cat > journal.dump'")]
pub(crate) struct Backup {
    /// Write the copy to this file, or to standard output if FILE is `-`; missing folders are created only below data/ [default: data/backups/<time>.dump]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file even if this command did not write it
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
