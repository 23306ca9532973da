use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use dev_env::backup;

use crate::context::Context;
use crate::printer::Lines;

/// A copy of the database, with its checksum beside it, while everything runs. Prints where it is.
///
/// Where the database does not run it is started for the moment.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo dev backup
  cargo dev backup --output before-the-demo.dump")]
pub(crate) struct Backup {
    /// Where to [default: data/backups/<time>.dump]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Backup {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let (engine, events) = (context.engine().await?, context.printer.events(Lines::Build));
        let path = context.or_stop(backup::backup(&engine, self.output.as_deref(), &events)).await?;
        context.printer.finish();
        context.printer.data(&path.display().to_string())?;
        context.printer.note(&format!("back to it: cargo dev restore '{}'", path.display()));
        Ok(ExitCode::SUCCESS)
    }
}
