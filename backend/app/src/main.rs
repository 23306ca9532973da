//! The EmotionVisualizer service.

mod app;
mod documents;
mod health;
mod healthcheck;
mod migrate;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use emotionviz_settings::Values;

/// glibc's allocator keeps what a burst of requests used; this one gives it back.
//#[global_allocator]
//static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The EmotionVisualizer service. Its settings come from the environment; `backend/.env.example` lists them.
#[derive(Parser)]
#[command(name = "emotionviz", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve HTTP (what happens without a command).
    Serve,
    /// Change or inspect the database's schema.
    Migrate {
        #[command(subcommand)]
        command: migrate::Command,
    },
    /// Ask the service of these settings whether it answers: exit status 0 or 1.
    Healthcheck,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let values = Values::from_environment(std::env::vars_os());
    let done = match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => in_runtime(serve::run(&values)),
        Command::Migrate { command } => in_runtime(migrate::run(command, &values)),
        Command::Healthcheck => healthcheck::run(&values),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn in_runtime(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(work);
    // A password that is being hashed for a client that has gone holds nothing up.
    runtime.shutdown_background();
    done
}
