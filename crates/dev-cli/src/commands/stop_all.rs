use std::path::Path;
use std::process::ExitCode;

use dev_env::Environment;
use dev_env::engine::Engine;
use dev_env::native::Native;

use crate::context::Context;
use crate::printer::Lines;

/// Without containers there is nothing to remove that `stop` leaves: both verbs do the same.
pub(super) async fn stop_all(context: &Context) -> anyhow::Result<ExitCode> {
    // A settings file that cannot be read must not keep anything running.
    let engine = Native::new(Environment::without_settings(Path::new("."))?);
    let ran = context.or_stop(engine.stop(&context.printer.events(Lines::Build))).await?;
    context.printer.finish();
    context.printer.note(if ran { "everything is stopped" } else { "nothing was running" });
    Ok(ExitCode::SUCCESS)
}
