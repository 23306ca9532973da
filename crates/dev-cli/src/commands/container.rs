use std::ffi::OsString;
use std::net::IpAddr;
use std::process::{ExitCode, ExitStatus};

use clap::Subcommand;
use dev_env::engines::container;
use dev_env::report::up::UpOptions;

use crate::context::Context;
use crate::printer::Lines;

/// Run a program inside the development container (for docker-compose.yml)
#[derive(Debug, Subcommand)]
pub(crate) enum Container {
    /// Build and run the service, and reload it when sources or settings change
    #[command(after_help = "Examples:\n  cargo dev container up")]
    Up {
        /// Do not apply migrations; apply them with `emotionviz migrate up`
        #[arg(long)]
        no_migrate: bool,
        /// Do not reload saved files; apply them with `docker compose restart api`
        #[arg(long)]
        no_reload: bool,
        /// Allow web pages on this LAN address of the machine to call the API
        #[arg(long)]
        lan_address: Option<IpAddr>,
    },
    /// Run a program with the database owner's settings in its environment
    #[command(after_help = "Examples:\n  cargo dev container run psql -c 'select 1'")]
    Run {
        /// Run this program
        program: OsString,
        /// Pass these arguments to the program
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Run a test program, each test with its own database
    #[command(
        after_help = "Examples:\n  cargo dev container test cargo nextest run --package emotionviz"
    )]
    Test {
        /// Run this program
        program: OsString,
        /// Pass these arguments to the program
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

impl Container {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let (folder, variables) = (
            context.checkout()?.root().to_owned(),
            std::env::vars_os().collect(),
        );
        match self {
            Self::Up {
                no_migrate,
                no_reload,
                lan_address,
            } => {
                let events = context.printer.events(Lines::All);
                let options = UpOptions {
                    migrate: !no_migrate,
                    reload: !no_reload,
                    lan: false,
                    lan_address,
                    tools: false,
                    detach: false,
                    colour: context.printer.has_colour(),
                };
                container::up(&folder, variables, options, &events, &context.stop).await?;
                Ok(ExitCode::SUCCESS)
            }
            Self::Run { program, args } => Ok(code(
                container::run(&folder, variables, program, args).await?,
            )),
            Self::Test { program, args } => Ok(code(
                container::test(&folder, variables, program, args).await?,
            )),
        }
    }
}

fn code(status: ExitStatus) -> ExitCode {
    ExitCode::from(
        status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(1),
    )
}
