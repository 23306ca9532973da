//! Logs to standard output and, if the settings name a folder, to `app.log` in it.

use std::io;
use std::panic::PanicHookInfo;

use emotionviz_settings::{AppEnv, LogLevel, Logging};
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::log_file::Sink;
use crate::log_format::Format;

/// The bound on lines that wait for a slow disk or terminal. Further lines are lost, so that no request waits.
const WAITING_LINES: usize = 16_384;

/// Keeps the log running. Writes the waiting lines on drop.
#[must_use]
pub struct Log(#[expect(dead_code, reason = "held for its Drop")] WorkerGuard);

/// Starts to log. The text of a panic is logged only if it is a literal: other texts may hold what a user wrote.
pub fn init(settings: &Logging) -> io::Result<Log> {
    let sink = Sink::open(settings.dir.as_deref())?;
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(WAITING_LINES)
        .thread_name("log")
        .finish(sink);
    let level = match settings.level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warning => LevelFilter::WARN,
        LogLevel::Error | LogLevel::Critical => LevelFilter::ERROR,
    };
    // The lines on where the service listens, and that it stops, appear at every level.
    let mut filter = Targets::new()
        .with_default(level)
        .with_target("emotionviz_app::serve", LevelFilter::INFO.max(level));
    if settings.debug {
        filter = filter.with_target("emotionviz", LevelFilter::DEBUG);
    }
    let format = Format {
        json: settings.environment == AppEnv::Production,
        locations: settings.debug,
    };
    let layer = tracing_subscriber::fmt::layer()
        .event_format(format)
        .with_ansi(false)
        .with_writer(writer)
        .with_filter(filter);
    tracing_subscriber::registry().with(layer).init();
    std::panic::set_hook(Box::new(log_panic));
    Ok(Log(guard))
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic
        .location()
        .map(ToString::to_string)
        .unwrap_or_default();
    let text = panic
        .payload()
        .downcast_ref::<&'static str>()
        .copied()
        .unwrap_or("(text withheld)");
    tracing::error!(place, text, "panic");
}
