//! `cargo dev`: the developer's command. It reads arguments and prints; the work is in `dev-env`.

mod args;
mod commands;
mod context;
mod printer;
mod signals;

use std::process::ExitCode;

use clap::Parser;

use args::Args;
use context::{Context, Interrupted};
use printer::Printer;

/// What a shell says of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let args = Args::parse();
    let printer = Printer::new(args.quiet, args.verbose);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&printer, &error.into()),
    };
    let outcome = runtime.block_on(async {
        let context = Context { printer: printer.clone(), stop: signals::listen()? };
        args.command.run(&context).await
    });
    // A probe or a download that hangs in a thread of its own must not keep the tool from ending.
    runtime.shutdown_background();
    printer.finish();
    outcome.unwrap_or_else(|error| fail(&printer, &error))
}

fn fail(printer: &Printer, error: &anyhow::Error) -> ExitCode {
    if error.is::<Interrupted>() {
        return ExitCode::from(INTERRUPTED);
    }
    // `cargo dev logs | head` has read what it wanted.
    if error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    printer.error(&format!("{error:#}"));
    ExitCode::FAILURE
}
