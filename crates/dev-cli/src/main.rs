//! `cargo dev`: the developer's command. It reads arguments and prints; the work is in `dev-env`.

mod args;
mod commands;
mod context;
mod engine_name;
mod printer;
mod signals;

use std::io::ErrorKind;
use std::process::ExitCode;

use clap::Parser;

use args::Args;
use context::{Context, Interrupted};
use printer::Printer;

/// What a shell says of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let args = Args::parse();
    let printer = match Printer::new(args.quiet, args.verbose) {
        Ok(printer) => printer,
        Err(error) => {
            eprintln!("error: cannot start a thread: {error}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let code = fail(&printer, &error.into());
            printer.finish();
            return code;
        }
    };
    let code = runtime.block_on(run(args, &printer));
    // A probe or a download that hangs in a thread of its own must not keep the tool from ending.
    runtime.shutdown_background();
    code
}

async fn run(args: Args, printer: &Printer) -> ExitCode {
    let stop = match signals::listen() {
        Ok(stop) => stop,
        Err(error) => return fail(printer, &error.into()),
    };
    let context = Context {
        printer: printer.clone(),
        engine: args.engine.map(Into::into),
        stop,
    };
    let code = args
        .command
        .run(&context)
        .await
        .unwrap_or_else(|error| fail(printer, &error));
    match printer.end(&context.stop).await {
        Ok(()) => code,
        // `cargo dev logs | head` has read what it wanted.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => code,
        Err(error) => {
            let code = fail(printer, &error.into());
            printer.finish();
            code
        }
    }
}

fn fail(printer: &Printer, error: &anyhow::Error) -> ExitCode {
    if error.is::<Interrupted>() {
        return ExitCode::from(INTERRUPTED);
    }
    if error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
    {
        return ExitCode::SUCCESS;
    }
    printer.error(&message(error));
    ExitCode::FAILURE
}

/// An error with those of its causes that it does not say itself.
fn message(error: &anyhow::Error) -> String {
    let mut message = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let error = anyhow::anyhow!("no disk").context("could not write a: no disk\nmake room");
        assert_eq!(message(&error), "could not write a: no disk\nmake room");
        assert_eq!(
            message(&anyhow::anyhow!("no disk").context("could not write a")),
            "could not write a: no disk"
        );
    }
}
