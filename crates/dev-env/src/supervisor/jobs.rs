//! The jobs that run: futures that the event loop polls, and that end when they are dropped.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use super::hands::Hands;
use super::machine::{Event, JobKind};

/// Applies the result of a job, and returns what it means for the machine.
pub(super) type Apply = Box<dyn FnOnce(&mut Hands) -> Option<Event>>;

/// A kind of job. At most one of a kind runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Machine(JobKind),
    /// The compiler reads the sources, so that the next edit compiles faster.
    Prime,
    /// Whether the API that was started is ready.
    Readiness,
    /// Whether PostgreSQL accepts a session.
    Session,
    /// The version of the API that runs.
    Version,
}

type Work = Pin<Box<dyn Future<Output = Apply>>>;

#[derive(Default)]
pub(super) struct Jobs(Vec<(Key, Work)>);

impl Jobs {
    /// Starts a job; one of the same kind that runs is dropped first. `apply` applies its result, and returns what it means for the machine.
    pub(super) fn start<T: 'static>(
        &mut self,
        key: Key,
        work: impl Future<Output = T> + 'static,
        apply: impl FnOnce(&mut Hands, T) -> Option<Event> + 'static,
    ) {
        self.cancel(key);
        let work = async {
            let result = work.await;
            Box::new(|hands: &mut Hands| apply(hands, result)) as Apply
        };
        self.0.push((key, Box::pin(work)));
    }

    pub(super) fn cancel(&mut self, key: Key) {
        self.0.retain(|(running, _)| *running != key);
    }

    pub(super) fn cancel_all(&mut self) {
        self.0.clear();
    }

    pub(super) fn runs(&self, key: Key) -> bool {
        self.0.iter().any(|(running, _)| *running == key)
    }

    /// Waits for the end of the next job. Cancel safe.
    pub(super) async fn next(&mut self) -> Apply {
        poll_fn(|context| {
            for at in 0..self.0.len() {
                if let Poll::Ready(apply) = self.0[at].1.as_mut().poll(context) {
                    drop(self.0.remove(at));
                    return Poll::Ready(apply);
                }
            }
            Poll::Pending
        })
        .await
    }
}
