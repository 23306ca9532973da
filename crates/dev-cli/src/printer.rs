//! The terminal: data on standard output, everything else on standard error.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use dev_env::events::{Address, Event, Events, Source};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const NOTE: Style = AnsiColor::Cyan.on_default();
const DIM: Style = Style::new().dimmed();

/// Which lines of services are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lines {
    /// All of them.
    All,
    /// cargo's alone; all with --verbose.
    Build,
}

/// Prints.
#[derive(Clone)]
pub(crate) struct Printer {
    quiet: bool,
    verbose: bool,
    /// What goes on; on a terminal alone.
    bar: ProgressBar,
}

impl Printer {
    pub(crate) fn new(quiet: bool, verbose: bool) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        Self { quiet, verbose, bar: ProgressBar::with_draw_target(None, target) }
    }

    /// Whether tools may print with colours.
    pub(crate) fn has_colour(&self) -> bool {
        anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never && io::stderr().is_terminal()
    }

    /// A line of data.
    pub(crate) fn data(&self, line: &str) -> io::Result<()> {
        self.bar.suspend(|| writeln!(anstream::stdout(), "{line}"))
    }

    /// A document.
    pub(crate) fn json(&self, document: &impl serde::Serialize) -> anyhow::Result<()> {
        Ok(self.data(&serde_json::to_string_pretty(document)?)?)
    }

    /// Something that a person wants to know.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.line(&format!("{NOTE}·{NOTE:#} {}", indented(text, 2)));
        }
    }

    /// Something that a person should do something about.
    pub(crate) fn warn(&self, text: &str) {
        self.line(&format!("{WARNING}warning:{WARNING:#} {}", indented(text, 2)));
    }

    /// Why the verb failed.
    pub(crate) fn error(&self, text: &str) {
        self.line(&format!("{ERROR}error:{ERROR:#} {}", indented(text, 2)));
    }

    /// A line of a service.
    pub(crate) fn service(&self, from: Source, line: &str) {
        self.line(&prefixed(from, line));
    }

    /// Where everything answers.
    pub(crate) fn addresses(&self, addresses: &[Address]) -> io::Result<()> {
        let width = addresses.iter().map(|address| address.name.len()).max().unwrap_or(0);
        addresses.iter().try_for_each(|address| self.data(&format!("{:width$}  {}", address.name, address.url)))
    }

    /// Clears what goes on from the terminal.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Prints what happens in the library.
    pub(crate) fn events(&self, lines: Lines) -> Events {
        let printer = self.clone();
        Events::new(move |event| printer.event(lines, &event))
    }

    fn event(&self, lines: Lines, event: &Event) {
        match event {
            Event::Phase(what) => {
                if self.verbose {
                    self.line(&format!("{DIM}{what}{DIM:#}"));
                }
                self.spin(what);
            }
            Event::Progress { what, done, total } => self.progress(what, *done, *total),
            Event::Note(text) => self.note(text),
            Event::Warning(text) => self.warn(text),
            Event::Output { from: Source::Build, line } if !self.quiet => self.line(line),
            Event::Output { from, line } if !self.quiet && (lines == Lines::All || self.verbose) => self.service(*from, line),
            Event::Output { .. } => {}
            Event::Idle => self.finish(),
            Event::Ready(addresses) => {
                self.finish();
                // A closed standard output must not end what runs.
                let _closed = self.addresses(addresses);
            }
        }
    }

    fn spin(&self, what: &str) {
        self.bar.set_style(style("{spinner} {msg} ({elapsed})"));
        self.bar.set_message(what.to_owned());
        self.bar.reset();
        self.bar.enable_steady_tick(Duration::from_millis(100));
    }

    fn progress(&self, what: &str, done: u64, total: Option<u64>) {
        if let Some(total) = total {
            self.bar.set_style(style("{spinner} {msg} [{bar:30}] {bytes}/{total_bytes}"));
            self.bar.set_length(total);
        } else {
            self.bar.set_style(style("{spinner} {msg} {bytes}"));
        }
        self.bar.set_message(what.to_owned());
        self.bar.set_position(done);
    }

    fn line(&self, line: &str) {
        // Nobody is left to be told when standard error is closed.
        let _closed = self.bar.suspend(|| writeln!(anstream::stderr(), "{line}"));
    }
}

/// A line with the name of the service before it.
pub(crate) fn prefixed(from: Source, line: &str) -> String {
    let colour = match from {
        Source::Api => AnsiColor::Green,
        Source::Db => AnsiColor::Blue,
        Source::Build => AnsiColor::Yellow,
        Source::Dev => AnsiColor::Cyan,
    };
    let style = colour.on_default();
    line.split('\n').map(|line| format!("{style}{:>5} │{style:#} {line}", from.as_str())).collect::<Vec<_>>().join("\n")
}

fn indented(text: &str, by: usize) -> String {
    text.replace('\n', &format!("\n{:by$}", ""))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates of this file are well-formed")
}
