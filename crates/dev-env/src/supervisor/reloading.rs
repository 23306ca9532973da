//! Changed code and settings go live: what is known of the files, the attempt that goes on, and what comes of it.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::Signal;

use super::attempt::{Candidate, Plan};
use super::services::Services;
use crate::build::cargo;
use crate::build::watch::{self, ContentCache, Watcher};
use crate::project::configuration::Tool;
use crate::report::events::{Event, Events};
use crate::report::reload::{Outcome, Reload, Times};
use crate::report::status::State;
use crate::service::program::Program;
use crate::{Checkout, Environment, Error};

/// What came of an attempt.
pub(super) type Attempted = Result<Option<Candidate>, Error>;

/// What is known, and what goes on.
#[derive(Default)]
pub(super) struct Reloading {
    pub(super) watcher: Option<Watcher>,
    pub(super) attempt: Option<Attempt>,
    /// The compiler looks at what it may have to compile again.
    pub(super) priming: Option<Pin<Box<dyn Future<Output = ()>>>>,
    seen: ContentCache,
    /// Whether another toolchain is asked for than at the start.
    pub(super) toolchain_changed: bool,
    /// What changed since the code that runs, where an attempt failed.
    behind: BTreeSet<PathBuf>,
}

/// An attempt that goes on.
pub(super) struct Attempt {
    pub(super) work: Pin<Box<dyn Future<Output = Attempted>>>,
    changed: BTreeSet<PathBuf>,
    /// What changed while it could not be interrupted.
    later: BTreeSet<PathBuf>,
    since: Instant,
    /// How many requests had been answered by then.
    answered: u64,
    held: Arc<AtomicBool>,
    /// Whether a new process is wanted in any case.
    anew: bool,
}

impl Reloading {
    /// Begins to watch, before anything is built.
    pub(super) async fn watch(
        &mut self,
        environment: &Environment,
        tool: &Tool,
        events: &Events,
    ) -> Result<(), Error> {
        let given = tool.service_binary.as_ref().map(|(path, _)| path.clone());
        let watcher = watch::start(environment, given, events).await?;
        self.seen.look(watcher.sources.rust());
        self.seen.look(watcher.sources.settings().iter().cloned());
        self.watcher = Some(watcher);
        Ok(())
    }

    /// Watches for another program, where the settings name another one.
    pub(super) async fn watch_again(
        &mut self,
        environment: &Environment,
        tool: &Tool,
        events: &Events,
    ) -> Result<(), Error> {
        let given = tool.service_binary.as_ref().map(|(path, _)| path.as_path());
        match &self.watcher {
            Some(watcher) if watcher.sources.given() != given => {
                self.watch(environment, tool, events).await
            }
            _ => Ok(()),
        }
    }

    /// Drops what goes on; what it was for is not done.
    pub(super) fn cancel(&mut self) {
        self.priming = None;
        if let Some(attempt) = self.attempt.take() {
            self.behind.extend(attempt.changed);
            self.behind.extend(attempt.later);
        }
    }

    /// Whether older code or settings run than there are.
    pub(super) fn is_behind(&self) -> bool {
        !self.behind.is_empty()
    }

    /// What is not live though it was saved.
    pub(super) fn behind(&self) -> BTreeSet<PathBuf> {
        self.behind.clone()
    }

    /// What runs was not built anew: this is still to go live.
    pub(super) fn stays_behind(&mut self, behind: BTreeSet<PathBuf>) {
        self.behind = behind;
    }

    /// What runs is what there is.
    pub(super) fn is_level(&mut self, checkout: &Checkout, program: &Program) {
        self.behind.clear();
        if let Some(fast) = cargo::fast(checkout)
            .ok()
            .filter(|_| self.watcher.is_some())
        {
            self.priming = Some(Box::pin(fast.prime()));
        }
        if let Some(watcher) = &mut self.watcher {
            watcher.learn(program.path());
            self.seen.learn(watcher.sources.built());
        }
    }
}

impl Services {
    /// Waits until something is saved, while nothing runs.
    pub(super) async fn next_save(&mut self) {
        // The next start opens it again.
        self.listening = None;
        match &mut self.reloading.watcher {
            Some(watcher) => {
                watcher.changed().await;
            }
            None => super::never().await,
        }
    }

    fn is_settings(&self, file: &Path) -> bool {
        self.reloading
            .watcher
            .as_ref()
            .is_some_and(|watcher| watcher.sources.is_settings(file))
    }

    /// Files were saved.
    pub(super) fn changed(&mut self, files: BTreeSet<PathBuf>) {
        // What a compiler has read meanwhile may be neither what was there before nor what is there now.
        let attempting = self.reloading.attempt.is_some();
        let files: BTreeSet<PathBuf> = files
            .into_iter()
            .filter(|file| self.reloading.seen.is_new(file) || attempting)
            .collect();
        if files.is_empty() {
            return;
        }
        let is_toolchain = |file: &PathBuf| {
            file.file_stem()
                .is_some_and(|name| name == "rust-toolchain")
        };
        self.reloading.toolchain_changed |= files.iter().any(is_toolchain);
        if let Some(attempt) = self
            .reloading
            .attempt
            .as_mut()
            .filter(|attempt| attempt.held.load(Ordering::Relaxed))
        {
            attempt.later.extend(files);
            return;
        }
        let since = Instant::now();
        self.begin(files, since);
    }

    /// What failed may go well now.
    pub(super) fn try_again(&mut self) {
        if self.reloading.is_behind() && self.reloading.attempt.is_none() {
            self.begin(BTreeSet::new(), Instant::now());
        }
    }

    /// Begins an attempt, in place of one that goes on.
    fn begin(&mut self, files: BTreeSet<PathBuf>, since: Instant) {
        let anew = self.reloading.is_behind()
            || self
                .reloading
                .attempt
                .as_ref()
                .is_some_and(|attempt| attempt.anew);
        self.reloading.cancel();
        let mut changed = std::mem::take(&mut self.reloading.behind);
        changed.extend(files);
        let held = Arc::new(AtomicBool::new(false));
        let Some(plan) = self.plan_attempt(&changed, anew, Arc::clone(&held)) else {
            self.reloading.behind = changed;
            return;
        };
        let work = Box::pin(plan.carry_out());
        self.reloading.attempt = Some(Attempt {
            work,
            changed,
            later: BTreeSet::new(),
            since,
            answered: self.board.answered(),
            held,
            anew,
        });
    }

    /// What an attempt needs to know; `None` before anything runs.
    fn plan_attempt(
        &self,
        changed: &BTreeSet<PathBuf>,
        anew: bool,
        held: Arc<AtomicBool>,
    ) -> Option<Plan> {
        Some(Plan {
            environment: self.environment.clone(),
            options: self.options,
            events: self.events.clone(),
            cluster: self.cluster.clone(),
            prepared: self.prepared.clone(),
            listening: self.listening.clone()?,
            place: self.place.clone()?,
            program: self.program.clone()?,
            ready: self.api_ready,
            building: cargo::Options {
                quiet: true,
                ..self.building()
            },
            compile: !changed.iter().all(|file| self.is_settings(file)),
            changed: changed.clone(),
            migrate: changed
                .iter()
                .any(|file| file.starts_with(self.environment.checkout.migrations())),
            anew,
            ready_socket: self.ready_socket.borrow().clone(),
            held,
        })
    }

    /// An attempt has come to its end.
    pub(super) async fn attempted(&mut self, attempted: Attempted) {
        let Some(attempt) = self.reloading.attempt.take() else {
            return;
        };
        let Attempt {
            changed,
            later,
            since,
            answered,
            ..
        } = attempt;
        self.events.tell(Event::Idle);
        match attempted {
            Ok(None) => {}
            Ok(Some(candidate)) => {
                let ready = Instant::now();
                let mut times = Times {
                    total_ms: ms(since.elapsed()),
                    builder: candidate.compiled_in.map(|(builder, _)| builder),
                    compile_ms: candidate.compiled_in.map(|(_, took)| ms(took)),
                    migrate_ms: candidate.migrated_in.map(ms),
                    start_ms: ms(candidate.started_in),
                    switch_ms: 0,
                    requests: self.board.answered() - answered,
                };
                self.go_live(candidate).await;
                times.switch_ms = ms(ready.elapsed());
                self.tell(&changed, Outcome::Live(times));
            }
            Err(error) => {
                let failed = match error {
                    Error::Build { said } => Outcome::Failed {
                        reason: "it does not compile".to_owned(),
                        compiler: said,
                    },
                    other => Outcome::Failed {
                        reason: other.to_string(),
                        compiler: String::new(),
                    },
                };
                self.tell(&changed, failed);
                self.reloading.behind = changed;
                self.say_behind();
            }
        }
        if !later.is_empty() {
            self.begin(later, since);
        }
    }

    /// A process that accepts connections takes the place of the one that did so far.
    pub(super) async fn go_live(&mut self, candidate: Candidate) {
        let Candidate {
            process,
            environment,
            listening,
            place,
            program,
            complete,
            ..
        } = candidate;
        let moved = self
            .place
            .as_ref()
            .is_none_or(|before| (before.host, before.port) != (place.host, place.port));
        self.succeed(process);
        (self.environment, self.listening, self.place) =
            (environment, Some(listening), Some(place));
        self.schema_is_complete = complete;
        self.reloading
            .is_level(&self.environment.checkout, &program);
        self.keep(program);
        self.describe_api(State::Running).await;
        if moved {
            self.events.tell(Event::Ready(self.addresses()));
        }
    }

    /// Lets answers say that there is newer code, where the service listens for that.
    pub(super) fn say_behind(&self) {
        let listens = self.api_ready
            && self
                .environment
                .configuration
                .in_development()
                .unwrap_or(false);
        if let Some(api) = self
            .api
            .as_ref()
            .filter(|_| listens && self.reloading.is_behind())
        {
            api.send(Signal::SIGUSR1);
        }
    }

    fn tell(&self, changed: &BTreeSet<PathBuf>, outcome: Outcome) {
        let root = self.environment.checkout.root();
        let changed = changed
            .iter()
            .map(|file| {
                file.strip_prefix(root)
                    .unwrap_or(file)
                    .display()
                    .to_string()
            })
            .collect();
        let at = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        self.events.tell(Event::Reload(Reload {
            at,
            changed,
            outcome,
        }));
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
