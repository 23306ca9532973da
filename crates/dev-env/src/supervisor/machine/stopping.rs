//! The orderly stop.

use super::{Action, Done, Event, Job, Machine, OrderId, State};
use crate::Error;

#[derive(Debug)]
pub(super) enum Stopping {
    /// New passwords are set. That is never interrupted.
    SettingPasswords(OrderId),
    /// The services stop; with the result of the whole run.
    Services(Result<(), Error>),
}

impl Machine {
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
