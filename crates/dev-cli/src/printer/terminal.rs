//! The terminal, written by a thread of its own: one that does not read (Ctrl-S, a paused pager) must not hold up whoever prints.
//!
//! Lines of services wait in a bounded number, and what comes beyond it is counted instead; everything else waits as long as it
//! has to.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anstyle::Style;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::watch;

const DIM: Style = Style::new().dimmed();
/// How many lines of services wait: a burst, and some screens to scroll back to.
const MOST_SERVICE_LINES: usize = 1000;

/// Something to be shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A line of data: whoever asked for it is told when it could not be written.
    Data(String),
    /// A line on standard output that nobody depends on.
    Address(String),
    /// A line on standard error.
    Line(String),
    /// A line of a service: the one kind that may be left out.
    Service(String),
    /// How many of those were left out here.
    NotShown(u64),
    /// What goes on.
    Spin(String),
    /// How far it has come.
    Progress {
        what: String,
        done: u64,
        total: Option<u64>,
    },
    /// Nothing goes on any more.
    Clear,
}

/// How it stands with what was handed over.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    /// All of it is shown.
    idle: bool,
    /// Why a line of data was not.
    failed: Option<io::ErrorKind>,
}

/// Hands items to the thread.
#[derive(Clone)]
pub(super) struct Terminal(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    more: Condvar,
    shown: Condvar,
    standing: watch::Sender<Standing>,
}

impl Terminal {
    /// Starts the thread, which lives as long as the process.
    pub(super) fn start(has_bar: bool) -> io::Result<Self> {
        let (standing, _) = watch::channel(Standing {
            idle: true,
            failed: None,
        });
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            more: Condvar::new(),
            shown: Condvar::new(),
            standing,
        });
        let (terminal, target) = (
            Self(shared),
            if has_bar {
                ProgressDrawTarget::stderr()
            } else {
                ProgressDrawTarget::hidden()
            },
        );
        let writer = terminal.clone();
        std::thread::Builder::new()
            .name("printer".to_owned())
            .spawn(move || {
                writer.write(&Screen {
                    bar: ProgressBar::with_draw_target(None, target),
                })
            })?;
        Ok(terminal)
    }

    /// Hands over one item. Never waits.
    pub(super) fn show(&self, item: Item) {
        let mut waiting = self.lock();
        waiting.push(item);
        self.0
            .standing
            .send_modify(|standing| standing.idle = false);
        drop(waiting);
        self.0.more.notify_one();
    }

    /// Why a line of data could not be written, if one could not.
    pub(super) fn failed(&self) -> Option<io::ErrorKind> {
        self.0.standing.borrow().failed
    }

    /// Waits until everything is shown.
    pub(super) async fn idle(&self) {
        let mut standing = self.0.standing.subscribe();
        standing
            .wait_for(|standing| standing.idle)
            .await
            .expect("self holds the sender");
    }

    /// The same, blocking, and not for longer than `bound`.
    pub(super) fn idle_within(&self, bound: Duration) {
        let busy = |_: &mut Waiting| !self.0.standing.borrow().idle;
        let _in_time = self
            .0
            .shown
            .wait_timeout_while(self.lock(), bound, busy)
            .unwrap_or_else(PoisonError::into_inner);
    }

    fn write(&self, screen: &Screen) {
        loop {
            let item = self.next();
            if let Err(error) = screen.show(item) {
                self.0.standing.send_modify(|standing| {
                    standing.failed = standing.failed.or(Some(error.kind()))
                });
            }
        }
    }

    fn next(&self) -> Item {
        let mut waiting = self.lock();
        loop {
            if let Some(item) = waiting.pop() {
                return item;
            }
            self.0.standing.send_modify(|standing| standing.idle = true);
            self.0.shown.notify_all();
            waiting = self
                .0
                .more
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What waits to be shown.
#[derive(Default)]
struct Waiting {
    items: VecDeque<Item>,
    /// How many of them are lines of services.
    service_lines: usize,
}

impl Waiting {
    fn push(&mut self, item: Item) {
        let item = match item {
            Item::Service(_) if self.service_lines >= MOST_SERVICE_LINES => {
                if let Some(Item::NotShown(count)) = self.items.back_mut() {
                    *count += 1;
                    return;
                }
                Item::NotShown(1)
            }
            item => item,
        };
        // Only the latest progress is of interest.
        if let (Some(last @ Item::Progress { .. }), Item::Progress { .. }) =
            (self.items.back_mut(), &item)
        {
            *last = item;
            return;
        }
        self.service_lines += usize::from(matches!(item, Item::Service(_)));
        self.items.push_back(item);
    }

    fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.service_lines -= usize::from(matches!(item, Item::Service(_)));
        Some(item)
    }
}

/// What the thread writes to.
struct Screen {
    /// What goes on; on a terminal alone.
    bar: ProgressBar,
}

impl Screen {
    /// An error is one of data: nobody is left to be told when standard error is closed, and a closed standard output must not
    /// end what runs.
    fn show(&self, item: Item) -> io::Result<()> {
        match item {
            Item::Data(line) => return self.bar.suspend(|| writeln!(anstream::stdout(), "{line}")),
            Item::Address(line) => {
                drop(self.bar.suspend(|| writeln!(anstream::stdout(), "{line}")))
            }
            Item::Line(line) | Item::Service(line) => self.line(&line),
            Item::NotShown(count) => self.line(&format!(
                "{DIM}… {count} lines not shown: cargo dev logs{DIM:#}"
            )),
            Item::Spin(what) => {
                self.bar.set_style(style("{spinner} {msg} ({elapsed})"));
                self.bar.set_message(what);
                self.bar.reset();
                self.bar.enable_steady_tick(Duration::from_millis(100));
            }
            Item::Progress { what, done, total } => {
                if let Some(total) = total {
                    self.bar
                        .set_style(style("{spinner} {msg} [{bar:30}] {bytes}/{total_bytes}"));
                    self.bar.set_length(total);
                } else {
                    self.bar.set_style(style("{spinner} {msg} {bytes}"));
                }
                self.bar.set_message(what);
                self.bar.set_position(done);
            }
            Item::Clear => self.bar.finish_and_clear(),
        }
        Ok(())
    }

    fn line(&self, line: &str) {
        let _closed = self.bar.suspend(|| writeln!(anstream::stderr(), "{line}"));
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates of this file are well-formed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_services_are_counted_when_too_many_wait_and_nothing_else_is_left_out() {
        let mut waiting = Waiting::default();
        for n in 0..MOST_SERVICE_LINES + 2 {
            waiting.push(Item::Service(n.to_string()));
        }
        waiting.push(Item::Line("a warning".to_owned()));
        waiting.push(Item::Service("one more".to_owned()));
        waiting.push(Item::Data("data".to_owned()));
        for n in 0..MOST_SERVICE_LINES {
            assert_eq!(waiting.pop(), Some(Item::Service(n.to_string())));
        }
        let rest: Vec<Item> = std::iter::from_fn(|| waiting.pop()).collect();
        let expected = [
            Item::NotShown(2),
            Item::Line("a warning".to_owned()),
            Item::NotShown(1),
            Item::Data("data".to_owned()),
        ];
        assert_eq!(rest, expected);
        waiting.push(Item::Service("again".to_owned()));
        assert_eq!(
            waiting.pop(),
            Some(Item::Service("again".to_owned())),
            "there is room again"
        );
    }

    #[test]
    fn progress_that_was_overtaken_is_left_out() {
        let mut waiting = Waiting::default();
        let progress = |done| Item::Progress {
            what: "x".to_owned(),
            done,
            total: None,
        };
        (0..5).for_each(|done| waiting.push(progress(done)));
        assert_eq!((waiting.pop(), waiting.pop()), (Some(progress(4)), None));
    }
}
