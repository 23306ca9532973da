use std::process::ExitCode;

use crate::context::Context;

/// What is said when the services are stopped; `ran` is whether any ran.
pub(super) fn stopped(context: &Context, ran: bool) -> ExitCode {
    context.printer.finish();
    context.printer.note(if ran {
        "everything is stopped"
    } else {
        "nothing was running"
    });
    ExitCode::SUCCESS
}
