use std::process::ExitCode;

use clap::Subcommand;
use dev_env::verbs::switch::{self, Switched};

use crate::context::{Context, Interrupted};
use crate::engine_name::EngineName;
use crate::printer::Lines;

/// Move the database to the other engine
///
/// The native engine runs processes of this machine, and the docker engine runs containers.
/// A database belongs to the engine that created it.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  cargo dev engine switch docker
  cargo dev engine switch native")]
pub(crate) enum Engine {
    /// Move the database to an engine, which then runs in this checkout
    ///
    /// The engine is the default of this checkout from then on.
    /// Stops the environment, copies the database, restores the copy with the other engine, and compares every row.
    /// The old database is kept.
    /// A move that fails or is killed is undone.
    #[command(
        after_help = "Examples:\n  cargo dev engine switch docker\n  cargo dev engine switch native"
    )]
    Switch {
        /// Move the database to this engine
        #[arg(value_enum)]
        to: EngineName,
    },
}

impl Engine {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let Self::Switch { to } = self;
        let printer = &context.printer;
        let kind = to.into();
        let switched = switch::switch(
            &context.environment().await?,
            kind,
            &printer.events(Lines::Build),
            &context.stop,
        )
        .await?;
        printer.finish();
        match switched.ok_or(Interrupted)? {
            Switched::Moved { kept, tables, rows } => {
                printer.data(&format!("moved the database to the {kind} engine: all {rows} rows of {tables} tables are identical"))?;
                let kept = kept.display();
                printer.note(&format!(
                    "start it: cargo dev up\nthe old database is kept; remove it: rm -rf '{kept}'"
                ));
            }
            Switched::Nothing => printer.data(&format!(
                "the {kind} engine is now the default of this checkout; there was no database to move"
            ))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
