//! Process groups (setpgid(2), killpg(2)).

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::process::Child;

/// The process group that a child leads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group(Pid);

impl Group {
    /// Returns the group that `child` leads, or `None` if the child has been waited for.
    pub(crate) fn led_by(child: &Child) -> Option<Self> {
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok())?;
        Some(Self(Pid::from_raw(pid)))
    }

    /// Returns the group that the process `pid` leads.
    pub(crate) fn with_leader(pid: u32) -> Option<Self> {
        i32::try_from(pid).ok().map(|pid| Self(Pid::from_raw(pid)))
    }

    /// The pid of the leader.
    pub(crate) fn leader(self) -> u32 {
        self.0.as_raw().unsigned_abs()
    }

    /// Sends a signal to all its processes. It may have exited already.
    pub(crate) fn signal(self, signal: Signal) {
        let _exited = killpg(self.0, signal);
    }

    /// Sends a signal to its leader alone. The leader may have exited already.
    pub(crate) fn signal_leader(self, signal: Signal) {
        let _exited = kill(self.0, signal);
    }
}

/// Kills a group on drop.
pub(crate) struct KillOnDrop(Option<Group>);

impl KillOnDrop {
    pub(crate) fn new(group: Option<Group>) -> Self {
        Self(group)
    }

    /// The leader has exited by itself. The system may give its number to another process, so the group is not signalled.
    pub(crate) fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            group.signal(Signal::SIGKILL);
        }
    }
}
