//! The terminal: data on standard output, everything else on standard error.

mod terminal;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anstyle::{AnsiColor, Color, Style};
use dev_env::report::events::{Address, Event, Events, Source};
use process::shutdown::Shutdown;

use terminal::{Item, Terminal};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const NOTE: Style = AnsiColor::Cyan.on_default();
/// A phone reads what is dark on light, whatever the terminal's colours are.
const CODE: Style = Style::new()
    .fg_color(Some(Color::Ansi(AnsiColor::Black)))
    .bg_color(Some(Color::Ansi(AnsiColor::BrightWhite)));
const DIM: Style = Style::new().dimmed();
/// How long a terminal that does not read is waited for once somebody wants this to end, or before another program gets it.
const PATIENCE: Duration = Duration::from_secs(1);

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
    terminal: Terminal,
    /// The compiler's lines that --quiet hides, for when the build fails.
    hidden: Arc<Mutex<Vec<String>>>,
}

impl Printer {
    pub(crate) fn new(quiet: bool, verbose: bool) -> io::Result<Self> {
        Ok(Self {
            quiet,
            verbose,
            terminal: Terminal::start(!quiet)?,
            hidden: Arc::default(),
        })
    }

    /// Whether tools may print with colours: on a terminal, unless `NO_COLOR` is set, and where `CLICOLOR_FORCE` says so.
    pub(crate) fn has_colour(&self) -> bool {
        anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
    }

    /// A line of data. An error is that of a line before it: they are written later.
    pub(crate) fn data(&self, line: &str) -> io::Result<()> {
        self.terminal.show(Item::Data(line.to_owned()));
        self.written()
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
        self.line(&format!(
            "{WARNING}warning:{WARNING:#} {}",
            indented(text, 2)
        ));
    }

    /// Why the verb failed.
    pub(crate) fn error(&self, text: &str) {
        self.line(&format!("{ERROR}error:{ERROR:#} {}", indented(text, 2)));
    }

    /// A line of a service.
    pub(crate) fn service(&self, from: Source, line: &str) {
        self.terminal.show(Item::Service(prefixed(from, line)));
    }

    /// Where everything answers.
    pub(crate) fn addresses(&self, addresses: &[Address]) {
        let width = addresses
            .iter()
            .map(|address| address.name.len())
            .max()
            .unwrap_or(0);
        for address in addresses {
            self.terminal.show(Item::Address(format!(
                "{:width$}  {}",
                address.name, address.url
            )));
        }
        for code in addresses
            .iter()
            .filter_map(|address| address.code.as_ref())
            .filter(|_| !self.quiet)
        {
            code.lines()
                .for_each(|line| self.line(&format!("{CODE}{line}{CODE:#}")));
        }
    }

    /// Clears what goes on from the terminal, and sees to it that all that was said is there before another program writes to it.
    pub(crate) fn finish(&self) {
        self.terminal.show(Item::Clear);
        self.terminal.idle_within(PATIENCE);
    }

    /// Waits until everything is printed.
    pub(crate) async fn printed(&self) -> io::Result<()> {
        self.terminal.idle().await;
        self.written()
    }

    /// The same at the end of the tool: as soon as somebody wants to stop, a terminal that does not read is waited for no more.
    pub(crate) async fn end(&self, stop: &Shutdown) -> io::Result<()> {
        self.terminal.show(Item::Clear);
        let impatient = async {
            stop.requested().await;
            tokio::time::sleep(PATIENCE).await;
        };
        tokio::select! {
            biased;
            printed = self.printed() => printed,
            () = impatient => Ok(()),
        }
    }

    fn written(&self) -> io::Result<()> {
        self.terminal
            .failed()
            .map_or(Ok(()), |kind| Err(kind.into()))
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
                self.terminal.show(Item::Spin(what.clone()));
            }
            Event::Progress { what, done, total } => {
                self.terminal.show(Item::Progress {
                    what: what.clone(),
                    done: *done,
                    total: *total,
                });
            }
            Event::Note(text) => self.note(text),
            Event::Warning(text) => self.warn(text),
            Event::Output {
                from: Source::Build,
                line,
            } if self.quiet => self.hidden().push(line.clone()),
            Event::Output {
                from: Source::Build,
                line,
            } => self.line(line),
            Event::Output { from, line }
                if !self.quiet && (lines == Lines::All || self.verbose) =>
            {
                self.service(*from, line)
            }
            Event::Output { .. } => {}
            Event::BuildFailed => std::mem::take(&mut *self.hidden())
                .iter()
                .for_each(|line| self.line(line)),
            Event::Reload(reload) if reload.failed() => self.warn(&reload.to_string()),
            Event::Reload(reload) => self.note(&reload.to_string()),
            Event::Idle => self.idle(),
            Event::Ready(addresses) => {
                self.idle();
                self.addresses(addresses);
            }
        }
    }

    /// Nothing goes on any more.
    fn idle(&self) {
        self.hidden().clear();
        self.terminal.show(Item::Clear);
    }

    fn hidden(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.hidden.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, line: &str) {
        self.terminal.show(Item::Line(line.to_owned()));
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
    line.split('\n')
        .map(|line| format!("{style}{:>5} │{style:#} {line}", from.as_str()))
        .collect::<Vec<_>>()
        .join("\n")
}

fn indented(text: &str, by: usize) -> String {
    text.replace('\n', &format!("\n{:by$}", ""))
}
