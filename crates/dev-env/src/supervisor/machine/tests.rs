use std::path::PathBuf;
use std::time::Duration;

use super::interface::Files;
use super::state::{Api, Database};
use super::*;
use crate::Error;
use crate::report::status::State as ServiceState;
use crate::report::up::Service;
use process::ProcessError;

/// What the machine acts on: jobs and processes that exist only as names.
pub(super) struct World {
    pub(super) machine: Machine,
    pub(super) now: Instant,
    pub(super) jobs: Vec<Job>,
    /// Processes that run: the API, and the API that was started for a change.
    pub(super) api: bool,
    candidate: bool,
    pub(super) server: bool,
    is_external: bool,
    pub(super) draining: u32,
    /// Orders that are not answered yet.
    pub(super) orders: Vec<OrderId>,
    next_order: u64,
    /// Settings were adopted that are not known to work.
    adopted: bool,
    /// Which of several successful results the next jobs have.
    pub(super) variant: u8,
    pub(super) end: Option<Result<(), Error>>,
    /// Actions since the last [`World::taken`], without the jobs.
    log: Vec<String>,
}

impl World {
    pub(super) fn new(is_external: bool) -> Self {
        let (machine, actions) = Machine::new(false);
        let mut world = Self {
            machine,
            now: Instant::now(),
            jobs: Vec::new(),
            api: false,
            candidate: false,
            server: false,
            is_external,
            draining: 0,
            orders: Vec::new(),
            next_order: 0,
            adopted: false,
            variant: 0,
            end: None,
            log: Vec::new(),
        };
        actions.into_iter().for_each(|action| world.act(action));
        world
    }

    fn running() -> Self {
        Self::where_everything_runs(false)
    }

    pub(super) fn where_everything_runs(is_external: bool) -> Self {
        let mut world = Self::new(is_external);
        world.settle();
        assert!(world.machine.is_idle() && world.api && world.server != is_external);
        world.taken();
        world
    }

    pub(super) fn event(&mut self, event: Event) {
        for action in self.machine.on_event(event, self.now) {
            self.act(action);
        }
        self.check();
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Start(job) => {
                assert!(!self.runs(job.kind()), "{job:?} runs twice");
                match job {
                    Job::StartApi => assert!(!self.api, "two processes of the API"),
                    Job::StartDatabase(_) => assert!(!self.server, "two servers"),
                    Job::StopDatabase => assert!(std::mem::take(&mut self.server)),
                    Job::StopServices => {
                        (self.api, self.server, self.draining) = (false, false, 0);
                    }
                    _ => {}
                }
                self.jobs.push(job);
            }
            Action::Cancel(kind) => {
                assert!(
                    !matches!(
                        kind,
                        JobKind::UpdateDatabase
                            | JobKind::Migrate
                            | JobKind::SetPasswords
                            | JobKind::RollBack
                            | JobKind::StopServices
                    ),
                    "{kind:?} is never cancelled"
                );
                assert!(self.runs(kind), "{kind:?} does not run");
                self.jobs.retain(|job| job.kind() != kind);
            }
            Action::CancelAll => {
                let insisted = matches!(self.machine.state, State::Stopped);
                assert!(insisted || !self.runs(JobKind::SetPasswords));
                self.jobs.clear();
            }
            Action::Commit => {
                assert!(std::mem::take(&mut self.candidate), "nothing to commit");
                self.draining += u32::from(self.api);
                self.api = true;
                self.log.push("commit".to_owned());
            }
            Action::Drain => {
                assert!(std::mem::take(&mut self.api), "nothing to drain");
                self.draining += 1;
                self.log.push("drain".to_owned());
            }
            Action::AdoptSettings => {
                assert!(!std::mem::replace(&mut self.adopted, true));
            }
            Action::RestoreSettings => assert!(std::mem::take(&mut self.adopted)),
            Action::Settle => self.adopted = false,
            Action::Answer(id, result) => {
                let place = self.orders.iter().position(|order| *order == id);
                self.orders
                    .remove(place.expect("an order is answered once"));
                self.log.push(match result {
                    Ok(done) => format!("answer: {done:?}"),
                    Err(error) => format!("answer: {error}"),
                });
            }
            Action::Report {
                changed, result, ..
            } => {
                let files: Vec<_> = changed
                    .iter()
                    .map(|file| file.display().to_string())
                    .collect();
                let result = if result.is_ok() { "live" } else { "failed" };
                self.log.push(format!("{result}: {}", files.join(" ")));
            }
            Action::SignalStale => self.log.push("stale".to_owned()),
            Action::Warn(text) | Action::Note(text) => self.log.push(text),
            Action::End(result) => self.end = Some(result),
            Action::Unexpected(event) => panic!("unexpected: {event}"),
            Action::CheckSessionSoon | Action::Announce | Action::Phase(_) => {}
        }
    }

    /// Each service runs, or the state names what will start it.
    fn check(&self) {
        match &self.machine.state {
            State::Running(running) => {
                match &running.database {
                    Database::External => assert!(self.is_external && !self.server),
                    Database::Ready { .. } => assert!(self.server),
                    Database::StoppingBroken { reason } => {
                        assert!(self.runs(JobKind::StopDatabase) && !reason.is_empty())
                    }
                    Database::BackingOff { due, reason } => {
                        assert!(self.machine.next_due() <= Some(*due) && !reason.is_empty())
                    }
                    Database::Starting { reason } => {
                        assert!(self.runs(JobKind::StartDatabase) && !reason.is_empty())
                    }
                }
                match running.api {
                    Api::Spawning => assert!(self.runs(JobKind::StartApi) && !self.api),
                    Api::Starting | Api::Ready => assert!(self.api),
                    Api::BackingOff { due } => {
                        assert!(self.machine.next_due() <= Some(due) && !self.api)
                    }
                }
                assert!(running.change.is_none() || self.changes());
                assert!(
                    running.change.is_some()
                        || self.orders.is_empty() && self.machine.waiting.saved.is_none(),
                    "nothing waits while nothing is changed"
                );
            }
            State::FirstStart(FirstStart::WaitingForSources) => {}
            State::FirstStart(_) | State::Switching(_) => {
                assert!(!self.jobs.is_empty() || self.api, "nothing goes on");
            }
            State::Stopping(_) => assert!(!self.jobs.is_empty()),
            State::Stopped => assert!(self.jobs.is_empty() && self.end.is_some()),
        }
    }

    fn changes(&self) -> bool {
        [
            JobKind::Prepare,
            JobKind::UpdateDatabase,
            JobKind::SetPasswords,
            JobKind::StartCandidate,
            JobKind::RollBack,
        ]
        .iter()
        .any(|kind| self.runs(*kind))
    }

    pub(super) fn runs(&self, kind: JobKind) -> bool {
        self.jobs.iter().any(|job| job.kind() == kind)
    }

    /// Ends a job that runs.
    pub(super) fn finish(&mut self, kind: JobKind, succeeds: bool) {
        let place = self.jobs.iter().position(|job| job.kind() == kind);
        let job = self
            .jobs
            .remove(place.unwrap_or_else(|| panic!("{kind:?} does not run")));
        let result = if succeeds { Ok(()) } else { Err(failure()) };
        let event = match job {
            Job::Open => Event::Opened(result),
            Job::Build => Event::Built(result),
            Job::StartDatabase(_) => {
                self.server = succeeds && !self.is_external;
                Event::DatabaseStarted(result.map(|()| {
                    if self.is_external {
                        Started::External
                    } else {
                        Started::Own {
                            moved: self.variant == 1,
                        }
                    }
                }))
            }
            Job::StopDatabase => Event::DatabaseStopped,
            Job::Migrate => Event::Migrated(result),
            Job::StartApi => {
                self.api = succeeds;
                Event::ApiStarted(result)
            }
            Job::Prepare(preparation) => {
                Event::Prepared(result.map(|()| self.result_of(&preparation)))
            }
            Job::UpdateDatabase => Event::DatabaseUpdated(result.map(|()| match self.variant {
                1 => Updated::Unreachable,
                _ => Updated::Migrated,
            })),
            Job::SetPasswords(_) => Event::PasswordsSet(result.map(|()| ".env".into())),
            Job::StartCandidate => {
                self.candidate = succeeds;
                Event::CandidateStarted(result)
            }
            Job::RollBack => Event::RolledBack,
            Job::StopServices => Event::ServicesStopped,
        };
        self.event(event);
    }

    fn result_of(&self, preparation: &Preparation) -> Prepared {
        match (preparation, self.variant) {
            (Preparation::Save { forced: false, .. }, 1) => Prepared::Nothing,
            (Preparation::Save { .. }, 2) => MIGRATION,
            (Preparation::Save { .. }, 3) => Prepared::Switch,
            (Preparation::Save { builder, .. }, _) => Prepared::Live {
                updates_database: false,
                built_by: *builder,
            },
            (Preparation::Restart(Some(Service::Api)), variant) if variant != 3 => MIGRATION,
            (Preparation::Restart(_), _) => Prepared::Switch,
        }
    }

    /// Ends the preparation of a change with this result.
    fn prepared(&mut self, prepared: Prepared) {
        assert!(self.runs(JobKind::Prepare));
        self.jobs.retain(|job| job.kind() != JobKind::Prepare);
        self.event(Event::Prepared(Ok(prepared)));
    }

    pub(super) fn save(&mut self, names: &[&str]) {
        let files: Files = names.iter().map(PathBuf::from).collect();
        self.event(Event::Saved {
            new: files.clone(),
            files,
        });
    }

    pub(super) fn order(&mut self, order: Order) {
        let id = OrderId(self.next_order);
        self.next_order += 1;
        self.orders.push(id);
        self.event(Event::Ordered(id, order));
    }

    pub(super) fn api_is_ready(&mut self) {
        self.event(Event::ApiReady);
    }

    pub(super) fn api_exits(&mut self) {
        self.api = false;
        self.event(Event::ApiExited(end_of_process()));
    }

    pub(super) fn server_exits(&mut self) {
        self.server = false;
        self.event(Event::DatabaseExited(failure()));
    }

    /// Returns whether the machine waits for the API to be ready.
    pub(super) fn waits_for_api(&self) -> bool {
        self.api && self.machine.api_state() == ServiceState::Starting
    }

    /// Lets time pass until the next restart is due.
    pub(super) fn pass(&mut self) -> Option<Duration> {
        let due = self.machine.next_due()?;
        let waited = due.saturating_duration_since(self.now);
        self.now = self.now.max(due);
        self.event(Event::TimePassed);
        Some(waited)
    }

    /// Lets everything succeed until nothing is left to do.
    pub(super) fn settle(&mut self) {
        for _ in 0..1000 {
            if let Some(kind) = self.jobs.first().map(Job::kind) {
                self.finish(kind, true);
            } else if self.waits_for_api() {
                self.api_is_ready();
            } else if self.pass().is_none() {
                return;
            }
        }
        panic!("this never ends: {:?}", self.machine.state);
    }

    fn taken(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    fn changed(&self) -> Vec<String> {
        self.jobs
            .iter()
            .filter_map(|job| match job {
                Job::Prepare(Preparation::Save { changed, .. }) => Some(changed),
                _ => None,
            })
            .flatten()
            .map(|file| file.display().to_string())
            .collect()
    }
}

pub(super) fn failure() -> Error {
    Error::not_running()
}

pub(super) fn end_of_process() -> ProcessError {
    ProcessError::Wait {
        name: "the API".to_owned(),
        source: std::io::Error::other("signal 9"),
    }
}

#[test]
fn the_first_start_builds_while_the_database_starts() {
    for order in [
        [JobKind::StartDatabase, JobKind::Build],
        [JobKind::Build, JobKind::StartDatabase],
    ] {
        let mut world = World::new(false);
        world.finish(JobKind::Open, true);
        for kind in order {
            assert!(world.jobs.iter().all(|job| *job != Job::Migrate));
            world.finish(kind, true);
        }
        world.finish(JobKind::Migrate, true);
        world.finish(JobKind::StartApi, true);
        assert!(!world.machine.is_running());
        world.api_is_ready();
        assert!(world.machine.is_running() && world.machine.is_idle());
    }
}

#[test]
fn a_first_start_that_fails_stops_everything_and_ends_with_the_error() {
    for failing in [
        JobKind::Open,
        JobKind::StartDatabase,
        JobKind::Build,
        JobKind::Migrate,
        JobKind::StartApi,
    ] {
        let mut world = World::new(false);
        while !world.runs(failing) {
            let kind = world.jobs[0].kind();
            world.finish(kind, true);
        }
        world.finish(failing, false);
        world.settle();
        assert!(
            matches!(&world.end, Some(Err(error)) if error.to_string() == failure().to_string()),
            "{failing:?}"
        );
        assert!(!world.api && !world.server);
    }
}

#[test]
fn sources_that_do_not_compile_at_the_first_start_in_the_container_are_waited_for() {
    let mut world = World::new(true);
    world.machine.waits_for_sources = true;
    world.finish(JobKind::Open, true);
    world.jobs.retain(|job| *job != Job::Build);
    world.event(Event::Built(Err(Error::Build {
        said: String::new(),
    })));
    assert!(world.jobs.is_empty() && world.end.is_none());
    world.save(&["a.rs"]);
    world.settle();
    assert!(world.api);
}

#[test]
fn an_api_that_ends_is_restarted_after_longer_and_longer_delays() {
    let mut world = World::running();
    let mut delays = Vec::new();
    for _ in 0..8 {
        world.api_exits();
        assert_eq!(world.machine.api_state(), ServiceState::Failed);
        delays.push(world.pass().unwrap().as_millis());
        world.finish(JobKind::StartApi, true);
    }
    assert_eq!(delays, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
    assert_eq!(world.machine.restarts(), (8, 0));
    world.api_is_ready();
    world.now += Duration::from_secs(30);
    world.api_exits();
    assert_eq!(world.pass(), Some(Duration::from_millis(200)));
}

#[test]
fn a_database_that_ends_is_restarted_and_the_reason_is_reported_until_then() {
    let mut world = World::running();
    world.server_exits();
    let (state, reason) = world.machine.database_state();
    assert_eq!(state, ServiceState::Failed);
    assert!(reason.is_some_and(|reason| reason.contains("nothing runs here")));
    world.pass();
    world.finish(JobKind::StartDatabase, false);
    assert!(world.machine.database_state().1.is_some());
    world.settle();
    assert_eq!(
        world.machine.database_state(),
        (ServiceState::Running, None)
    );
    assert_eq!(world.machine.restarts(), (0, 2));
    assert!(world.taken().contains(&"PostgreSQL runs again".to_owned()));
}

#[test]
fn one_refused_session_is_no_reason_to_restart_the_database_and_two_in_a_row_are() {
    let mut world = World::running();
    let refused = || Event::SessionRefused("no shared memory".to_owned());
    for event in [refused(), Event::SessionAccepted, refused()] {
        world.event(event);
        assert!(world.jobs.is_empty());
    }
    world.event(refused());
    assert_eq!(world.jobs, [Job::StopDatabase]);
    world.finish(JobKind::StopDatabase, true);
    assert_eq!(world.machine.database_state().0, ServiceState::Failed);
    world.settle();
    assert!(world.server);
}

#[test]
fn a_save_goes_live_next_to_the_former_process_which_drains() {
    let mut world = World::running();
    world.save(&["a.rs"]);
    world.finish(JobKind::Prepare, true);
    assert!(world.api && world.draining == 0);
    world.finish(JobKind::StartCandidate, true);
    assert_eq!(world.taken(), ["commit", "live: a.rs"]);
    assert!(world.api && world.draining == 1 && world.jobs.is_empty());
}

#[test]
fn a_save_that_changes_nothing_for_the_service_starts_nothing() {
    let mut world = World::running();
    world.save(&["a.rs"]);
    world.prepared(Prepared::Nothing);
    assert!(world.machine.is_idle() && world.taken().is_empty());
}

#[test]
fn an_edit_during_a_build_starts_one_build_of_both() {
    let mut world = World::running();
    world.save(&["a.rs"]);
    world.save(&["b.rs"]);
    assert_eq!(world.changed(), ["a.rs", "b.rs"]);
    world.settle();
    assert_eq!(world.taken(), ["commit", "live: a.rs b.rs"]);
}

#[test]
fn an_edit_while_the_candidate_starts_drops_the_candidate() {
    let mut world = World::running();
    world.save(&["a.rs"]);
    world.finish(JobKind::Prepare, true);
    world.save(&["b.rs"]);
    assert!(!world.runs(JobKind::StartCandidate));
    world.settle();
    assert_eq!(world.taken(), ["commit", "live: a.rs b.rs"]);
}

#[test]
fn a_file_that_is_saved_again_unchanged_during_a_build_is_built_again() {
    let mut world = World::running();
    let files = Files::from(["a.rs".into()]);
    let saved = || Event::Saved {
        files: files.clone(),
        new: Files::new(),
    };
    world.event(saved());
    assert!(world.jobs.is_empty(), "nothing is built");
    world.save(&["a.rs"]);
    world.event(saved());
    assert_eq!(world.changed(), ["a.rs"]);
    world.settle();
    assert_eq!(world.taken(), ["commit", "live: a.rs"]);
}

#[test]
fn a_failed_save_keeps_what_runs_and_the_next_one_includes_its_files() {
    let mut world = World::running();
    world.save(&["a.rs"]);
    world.finish(JobKind::Prepare, false);
    assert_eq!(world.taken(), ["failed: a.rs", "stale"]);
    assert!(world.api && world.draining == 0 && world.machine.is_idle());
    world.save(&["b.rs"]);
    assert!(matches!(
        &world.jobs[..],
        [Job::Prepare(Preparation::Save { forced: true, .. })]
    ));
    world.settle();
    assert_eq!(world.taken(), ["commit", "live: a.rs b.rs"]);
}

#[test]
fn a_fast_build_that_does_not_start_is_built_by_cargo() {
    let mut world = World::running();
    world.save(&["a.rs"]);
    world.finish(JobKind::Prepare, true);
    world.finish(JobKind::StartCandidate, false);
    assert!(matches!(
        &world.jobs[..],
        [Job::Prepare(Preparation::Save {
            builder: Builder::Cargo,
            ..
        })]
    ));
    world.finish(JobKind::Prepare, true);
    world.finish(JobKind::StartCandidate, false);
    assert_eq!(world.taken(), ["failed: a.rs", "stale"]);
}

#[test]
fn settings_that_move_the_database_need_a_restart() {
    let mut world = World::running();
    world.save(&[".env"]);
    world.prepared(Prepared::Switch);
    assert_eq!(world.taken(), ["failed: .env", "stale"]);
}

const MIGRATION: Prepared = Prepared::Live {
    updates_database: true,
    built_by: Builder::Cargo,
};

#[test]
fn a_migration_is_interrupted_by_no_edit_and_no_order() {
    let mut world = World::running();
    world.save(&["1_a.up.sql"]);
    world.prepared(MIGRATION);
    world.save(&["b.rs"]);
    world.order(Order::Restart(Some(Service::Api)));
    world.order(Order::ChangePassword);
    assert_eq!(world.jobs, [Job::UpdateDatabase]);
    world.finish(JobKind::UpdateDatabase, true);
    assert_eq!(world.jobs, [Job::StartCandidate]);
    world.settle();
    assert_eq!(
        world.taken().join(", "),
        "commit, live: 1_a.up.sql, commit, answer: Restarted, commit, answer: PasswordsWritten(\".env\"), commit, live: b.rs"
    );
}

#[test]
fn a_migration_that_fails_is_rolled_back_before_it_is_reported() {
    let mut world = World::running();
    world.save(&["1_a.up.sql"]);
    world.prepared(MIGRATION);
    world.finish(JobKind::UpdateDatabase, false);
    assert_eq!(world.jobs, [Job::RollBack]);
    assert!(world.taken().is_empty());
    world.finish(JobKind::RollBack, true);
    assert_eq!(world.taken(), ["failed: 1_a.up.sql", "stale"]);
}

#[test]
fn an_order_drops_a_build_whose_files_are_built_afterwards() {
    let mut world = World::running();
    world.save(&["a.rs"]);
    world.order(Order::Restart(Some(Service::Db)));
    assert_eq!(
        world.jobs,
        [Job::Prepare(Preparation::Restart(Some(Service::Db)))]
    );
    world.settle();
    assert_eq!(world.taken(), ["answer: Restarted", "commit", "live: a.rs"]);
}

#[test]
fn a_restart_of_the_api_applies_what_a_failed_save_did_not() {
    let mut world = World::running();
    world.save(&["a.rs"]);
    world.finish(JobKind::Prepare, false);
    world.taken();
    world.order(Order::Restart(Some(Service::Api)));
    world.settle();
    assert_eq!(world.taken(), ["commit", "answer: Restarted"]);
}

#[test]
fn orders_are_done_one_after_the_other() {
    let mut world = World::running();
    for order in [
        Order::Restart(Some(Service::Api)),
        Order::ChangePassword,
        Order::Restart(None),
    ] {
        world.order(order);
        assert_eq!(world.jobs.len(), 1);
    }
    world.settle();
    let answers: Vec<_> = world
        .taken()
        .into_iter()
        .filter(|line| line.starts_with("answer"))
        .collect();
    assert_eq!(
        answers,
        [
            "answer: Restarted",
            "answer: PasswordsWritten(\".env\")",
            "answer: Restarted"
        ]
    );
}

#[test]
fn a_restart_that_is_refused_changes_nothing() {
    let mut world = World::running();
    world.order(Order::Restart(None));
    world.finish(JobKind::Prepare, false);
    assert!(world.api && world.server && world.machine.is_idle());
    assert_eq!(world.taken().len(), 1, "it is answered");
}

#[test]
fn a_candidate_of_a_restart_that_does_not_start_is_rolled_back() {
    let mut world = World::running();
    world.order(Order::Restart(Some(Service::Api)));
    world.finish(JobKind::Prepare, true);
    world.finish(JobKind::UpdateDatabase, true);
    world.finish(JobKind::StartCandidate, false);
    assert_eq!(world.jobs, [Job::RollBack]);
    world.settle();
    assert!(world.api && world.draining == 0);
    assert_eq!(world.taken()[0], change::GOES_ON);
}

#[test]
fn a_restart_of_the_database_that_fails_starts_the_former_settings() {
    for failing in [JobKind::StartDatabase, JobKind::StartApi] {
        let mut world = World::running();
        world.order(Order::Restart(None));
        while !world.runs(failing) {
            let kind = world.jobs[0].kind();
            world.finish(kind, true);
        }
        world.finish(failing, false);
        assert!(!world.adopted);
        world.settle();
        assert!(world.api && world.server && world.orders.is_empty());
        assert_eq!(world.taken()[0], change::GOES_ON);
    }
}

#[test]
fn a_database_that_does_not_answer_is_restarted_and_migrated_afterwards() {
    let mut world = World::running();
    world.order(Order::Restart(Some(Service::Db)));
    world.finish(JobKind::Prepare, true);
    world.jobs.clear();
    world.event(Event::DatabaseUpdated(Ok(Updated::Unreachable)));
    world.finish(JobKind::StopServices, true);
    world.finish(JobKind::StartDatabase, true);
    assert_eq!(world.jobs, [Job::Migrate]);
    world.settle();
    assert_eq!(world.taken(), ["answer: Restarted"]);
}

#[test]
fn an_api_that_cannot_be_replaced_after_a_new_password_is_restarted() {
    let mut world = World::running();
    world.order(Order::ChangePassword);
    world.finish(JobKind::SetPasswords, true);
    world.finish(JobKind::StartCandidate, false);
    assert_eq!(world.jobs, [Job::StartApi]);
    assert_eq!(world.draining, 1);
    world.settle();
    assert!(world.orders.is_empty() && world.api);
}

#[test]
fn an_api_that_ends_during_a_change_is_replaced_by_the_candidate() {
    let mut world = World::running();
    world.save(&["a.rs"]);
    world.finish(JobKind::Prepare, true);
    world.api_exits();
    world.pass();
    assert!(world.runs(JobKind::StartApi) && world.runs(JobKind::StartCandidate));
    world.finish(JobKind::StartCandidate, true);
    assert!(world.jobs.is_empty() && world.api && world.machine.is_idle());
}

#[test]
fn a_moved_database_gets_the_api_replaced_and_then_the_build_goes_on() {
    let mut world = World::running();
    world.save(&["a.rs"]);
    world.server_exits();
    world.pass();
    world
        .jobs
        .retain(|job| job.kind() != JobKind::StartDatabase);
    world.server = true;
    world.event(Event::DatabaseStarted(Ok(Started::Own { moved: true })));
    assert_eq!(world.jobs, [Job::StartCandidate]);
    world.taken();
    world.settle();
    assert_eq!(world.taken(), ["commit", "commit", "live: a.rs"]);
}

#[test]
fn a_stop_ends_everything_and_a_second_one_at_once() {
    let mut world = World::running();
    world.save(&["a.rs"]);
    world.event(Event::StopAsked);
    assert_eq!(world.jobs, [Job::StopServices]);
    world.event(Event::StopInsisted);
    assert!(matches!(world.end, Some(Ok(()))));
}

#[test]
fn a_stop_waits_until_file_and_database_have_the_same_password() {
    let mut world = World::running();
    world.order(Order::ChangePassword);
    world.event(Event::StopAsked);
    assert!(matches!(&world.jobs[..], [Job::SetPasswords(_)]));
    world.finish(JobKind::SetPasswords, true);
    assert_eq!(world.jobs, [Job::StopServices]);
    assert!(world.orders.is_empty(), "it is answered");
}

#[test]
fn a_mount_of_the_lock_file_that_is_gone_ends_the_environment() {
    let mut world = World::running();
    world.save(&["Cargo.lock"]);
    world.jobs.clear();
    world.event(Event::Prepared(Err(Error::LockReplaced)));
    world.settle();
    assert!(matches!(world.end, Some(Err(Error::LockReplaced))));
}
