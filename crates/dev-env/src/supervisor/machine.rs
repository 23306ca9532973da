//! The rules of the supervisor: which events lead to which actions.
//!
//! A [`Machine`] does no I/O and has no clock. The [event loop](super::event_loop) passes it events and carries its actions out. An action
//! that takes time is a [`Job`]: it runs until it ends with its event, or until the machine cancels it.

mod change;
mod first_start;
mod interface;
#[cfg(test)]
mod random_tests;
mod running;
mod state;
mod stopping;
mod switching;
#[cfg(test)]
mod tests;

use std::time::Instant;

pub(super) use change::needs_restart;
pub(super) use interface::{
    Action, Builder, DatabaseStart, Done, Event, Job, JobKind, Order, OrderId, Preparation,
    Prepared, Started, Updated,
};
pub(super) use state::Machine;
use state::{FirstStart, Restarts, State, Waiting};

impl Machine {
    /// Returns the machine and its first actions.
    pub(super) fn new(waits_for_sources: bool) -> (Self, Vec<Action>) {
        let machine = Self {
            state: State::FirstStart(FirstStart::Opening),
            waits_for_sources,
            waiting: Waiting::default(),
            database: Restarts::default(),
            api: Restarts::default(),
            actions: Vec::new(),
        };
        (machine, vec![Action::Start(Job::Open)])
    }

    /// Returns what an event leads to.
    pub(super) fn on_event(&mut self, event: Event, now: Instant) -> Vec<Action> {
        let state = std::mem::replace(&mut self.state, State::Stopped);
        self.state = match (state, event) {
            (State::Stopped, _) => State::Stopped,
            (State::Stopping(stopping), event) => self.while_stopping(stopping, event),
            (state, Event::StopAsked) => self.stop(&state, Ok(())),
            (State::FirstStart(first), event) => self.in_first_start(first, event, now),
            (State::Running(running), event) => self.in_running(running, event, now),
            (State::Switching(switching), event) => self.while_switching(switching, event, now),
        };
        std::mem::take(&mut self.actions)
    }
}
