//! The EmotionVisualizer service.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use emotionviz_app::{healthcheck, migrate, serve};
use emotionviz_settings::Values;

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
    Serve {
        /// Accept no connection before the database answers and has the schema. For a socket that is handed over (LISTEN_FDS)
        /// while another process serves there.
        #[arg(long)]
        when_ready: bool,
    },
    /// Change or inspect the database's schema.
    Migrate {
        #[command(subcommand)]
        command: migrate::Command,
    },
    /// Ask the service of these settings whether it answers: exit status 0 or 1.
    Healthcheck,
}

fn main() -> ExitCode {
    return_large_blocks();
    let cli = Cli::parse();
    let values = Values::from_environment(std::env::vars_os());
    let done = match cli.command.unwrap_or(Command::Serve { when_ready: false }) {
        Command::Serve { when_ready } => {
            // While there is one thread, because this removes variables from the environment.
            let handed = listenfd::ListenFd::from_env();
            in_runtime(serve::run(&values, handed, when_ready))
        }
        Command::Migrate { command } => in_runtime(migrate::run(command, &values)),
        Command::Healthcheck => in_runtime(healthcheck::run(&values)),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn in_runtime(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(work);
    // Does not wait for passwords that are being hashed for clients that have disconnected.
    runtime.shutdown_background();
    done
}

/// Makes glibc map large blocks individually, so that it returns them to the system when they are freed. Without this it raises its
/// threshold at the first such block, and keeps the 19 MiB of each password hash.
fn return_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const BYTES: i32 = 1024 * 1024;
        #[expect(
            unsafe_code,
            reason = "a function of C that takes two numbers and touches no memory of ours"
        )]
        // SAFETY: mallopt(3) may be called at any time, with any numbers.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, BYTES);
        }
    }
}
