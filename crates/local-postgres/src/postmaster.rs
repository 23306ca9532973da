//! `postmaster.pid`: the state of a running postmaster, and what a dead one left. Its format is in src/include/utils/pidfile.h of
//! PostgreSQL.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use process::poll::{after, poll_until};
use process::wait_for_supervisor;

const POLL: Duration = Duration::from_millis(10);
/// The time limit of a fast shutdown: sessions are terminated, then a checkpoint is written.
const FAST_BOUND: Duration = Duration::from_secs(30);
const IMMEDIATE_BOUND: Duration = Duration::from_secs(10);

/// The content of `postmaster.pid`.
struct Noted {
    pid: i32,
    ready: bool,
}

/// Returns whether the postmaster `pid` accepts sessions. That is cheaper than a session of psql.
pub(super) fn is_ready(data_dir: &Path, pid: u32) -> bool {
    read(data_dir).is_some_and(|noted| noted.ready && noted.pid.unsigned_abs() == pid)
}

/// Why a postmaster still runs.
pub(super) enum Running {
    /// It does not exit.
    Survived { pid: i32 },
    /// Its parent is another living process of this program.
    Supervised { pid: i32, parent: u32 },
}

/// Stops the postmaster that an earlier run left on `data_dir`.
pub(super) async fn end_leftover(data_dir: &Path) -> Result<(), Running> {
    let Some(noted) = read(data_dir) else {
        return Ok(());
    };
    match identity(noted.pid, data_dir).await {
        Identity::Postmaster => {}
        Identity::Stranger => {
            // PostgreSQL only checks whether the pid is in use, and would refuse to start while the other process lives.
            let _unremovable = std::fs::remove_file(data_dir.join("postmaster.pid"));
            return Ok(());
        }
        Identity::DeadOrUnknown => return Ok(()),
    }
    if let Some((_, parent)) = wait_for_supervisor(|| Some(noted.pid.unsigned_abs())).await {
        return Err(Running::Supervised {
            pid: noted.pid,
            parent,
        });
    }
    if identity(noted.pid, data_dir).await != Identity::Postmaster {
        return Ok(());
    }
    for (signal, bound) in [
        (Signal::SIGINT, FAST_BOUND),
        (Signal::SIGQUIT, IMMEDIATE_BOUND),
    ] {
        let _gone = kill(Pid::from_raw(noted.pid), signal);
        let ended = poll_until(after(bound), POLL, || async {
            (identity(noted.pid, data_dir).await != Identity::Postmaster).then_some(())
        });
        if ended.await.is_some() {
            return Ok(());
        }
    }
    Err(Running::Survived { pid: noted.pid })
}

/// Line 1 is the pid (negative for a single-user server), line 8 the state.
fn read(data_dir: &Path) -> Option<Noted> {
    let text = std::fs::read_to_string(data_dir.join("postmaster.pid")).ok()?;
    let pid: i32 = text.lines().next()?.trim().parse().ok()?;
    let ready = text
        .lines()
        .nth(7)
        .is_some_and(|state| state.trim() == "ready");
    (pid.abs() > 1).then_some(Noted {
        pid: pid.abs(),
        ready,
    })
}

#[derive(PartialEq, Eq)]
enum Identity {
    Postmaster,
    /// Another process that got the same pid.
    Stranger,
    /// Dead, or a process of another user, which PostgreSQL considers dead.
    DeadOrUnknown,
}

/// The working directory of a postmaster is its data directory.
#[cfg(target_os = "linux")]
async fn identity(pid: i32, data_dir: &Path) -> Identity {
    match (
        std::fs::read_link(format!("/proc/{pid}/cwd")),
        data_dir.canonicalize(),
    ) {
        (Ok(works_in), Ok(data_dir)) if works_in == data_dir => Identity::Postmaster,
        (Ok(_), Ok(_)) => Identity::Stranger,
        _ => Identity::DeadOrUnknown,
    }
}

/// The data directory is an argument of the postmaster.
#[cfg(not(target_os = "linux"))]
async fn identity(pid: i32, data_dir: &Path) -> Identity {
    let ps =
        process::Configuration::new("ps", "ps").args(["-o", "command=", "-p", &pid.to_string()]);
    let Ok(output) = process::capture(ps, b"", Duration::from_secs(5)).await else {
        return Identity::DeadOrUnknown;
    };
    let command = String::from_utf8_lossy(&output.stdout);
    if command.trim().is_empty() {
        Identity::DeadOrUnknown
    } else if command.contains("postgres") && command.contains(&*data_dir.to_string_lossy()) {
        Identity::Postmaster
    } else {
        Identity::Stranger
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data_dir(pid: u32, state: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let text =
            format!("{pid}\n/data\n1700000000\n5432\n/tmp\n127.0.0.1\n  1234  5678\n{state}\n");
        std::fs::write(folder.path().join("postmaster.pid"), text).unwrap();
        folder
    }

    #[test]
    fn a_postmaster_is_ready_if_its_own_file_reports_it() {
        let folder = data_dir(42, "ready   ");
        assert!(is_ready(folder.path(), 42));
        assert!(!is_ready(folder.path(), 43));
        assert!(!is_ready(data_dir(42, "starting").path(), 42));
        assert!(!is_ready(tempfile::tempdir().unwrap().path(), 42));
    }

    #[tokio::test]
    async fn another_process_with_the_pid_of_a_dead_postmaster_is_not_stopped() {
        let folder = data_dir(std::process::id(), "ready");
        assert!(end_leftover(folder.path()).await.is_ok());
        assert!(!folder.path().join("postmaster.pid").exists());
    }
}
