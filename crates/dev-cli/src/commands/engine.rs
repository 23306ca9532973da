use std::process::ExitCode;

use clap::Subcommand;
use dev_env::verbs::switch::{self, Switched};

use crate::context::{Context, Interrupted};
use crate::engine_name::EngineName;
use crate::printer::Lines;

/// What runs the services. The database belongs to the engine that made it.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  cargo dev engine switch docker
  cargo dev up --engine native    for once, where the database is that engine's")]
pub(crate) enum Engine {
    /// Move the database to an engine, which runs here from then on
    ///
    /// It is copied, restored into a new one, and compared row by row; the old one is kept. Whatever happens meanwhile, nothing is
    /// lost: what does not come to its end is undone.
    #[command(
        after_help = "Examples:\n  cargo dev engine switch docker\n  cargo dev engine switch native"
    )]
    Switch {
        /// The engine
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
                printer.data(&format!("the {kind} engine has the database: {tables} tables, {rows} rows, each the same"))?;
                let kept = kept.display();
                printer.note(&format!(
                    "go on: cargo dev up\nthe old one is kept; when all is well: rm -rf '{kept}'"
                ));
            }
            Switched::Nothing => printer.data(&format!(
                "the {kind} engine runs here from now on; there was no database to move"
            ))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
