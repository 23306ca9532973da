//! The orderly stop.

use super::interface::{Action, Done, Event, Job};
use super::state::{Machine, State, Stopping};
use crate::Error;

impl Machine {
    /// Begins the orderly stop; `outcome` is the result of the whole run.
    pub(super) fn stop(&mut self, state: &State, outcome: Result<(), Error>) -> State {
        if let State::Running(running) = state
            && let Some(order) = running.sets_passwords()
        {
            // Until the job ends, the file and the database may have different passwords.
            return State::Stopping(Stopping::SettingPasswords(order));
        }
        self.emit(Action::CancelAll);
        self.start(Job::StopServices);
        State::Stopping(Stopping::Services(outcome))
    }

    pub(super) fn while_stopping(&mut self, stopping: Stopping, event: Event) -> State {
        match (stopping, event) {
            (stopping, Event::StopInsisted) => {
                self.emit(Action::Warn("ending everything at once".to_owned()));
                self.emit(Action::CancelAll);
                self.emit(Action::End(match stopping {
                    Stopping::Services(outcome) => outcome,
                    Stopping::SettingPasswords(_) => Ok(()),
                }));
                State::Stopped
            }
            (Stopping::SettingPasswords(order), Event::PasswordsSet(result)) => {
                self.emit(Action::Answer(order, result.map(Done::PasswordsWritten)));
                self.emit(Action::CancelAll);
                self.start(Job::StopServices);
                State::Stopping(Stopping::Services(Ok(())))
            }
            (Stopping::Services(outcome), Event::ServicesStopped) => {
                self.emit(Action::End(outcome));
                State::Stopped
            }
            // The services end anyway, and nothing new begins.
            (stopping, _) => State::Stopping(stopping),
        }
    }
}
