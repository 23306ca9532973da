//! The parents of other processes.

use std::cell::Cell;
use std::time::Duration;

use crate::poll::{after, poll_until};

/// How long another process of this program may take to stop its child.
const BOUND: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

/// Waits while the parent of a process is another living process of this program, which may be stopping it, for 10 s at most. `process`
/// returns the pid, or `None` if there is no such process any more.
///
/// Returns the pid and its parent if they still run.
pub async fn wait_for_supervisor(process: impl Fn() -> Option<u32>) -> Option<(u32, u32)> {
    let supervised = Cell::new(None);
    let ends = poll_until(after(BOUND), POLL, || async {
        supervised.set(match process() {
            Some(pid) => supervisor_of(pid).await.map(|parent| (pid, parent)),
            None => None,
        });
        supervised.get().is_none().then_some(())
    });
    ends.await;
    supervised.get()
}

/// Returns the parent of `pid` if it is another process of this program. The system gives the children of a dead process to another one,
/// so such a parent has started `pid`.
#[cfg(target_os = "linux")]
async fn supervisor_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may have blanks and brackets (proc_pid_stat(5)).
    let (_, fields) = stat.rsplit_once(')')?;
    let parent = fields.split_whitespace().nth(1)?.parse().ok()?;
    let name = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    is_another(parent).then_some(())?;
    (name(parent)? == name(std::process::id())?).then_some(parent)
}

/// Does the same with ps(1).
#[cfg(not(target_os = "linux"))]
async fn supervisor_of(pid: u32) -> Option<u32> {
    let ask = async |field: &str, pid: u32| {
        let ps = tokio::process::Command::new("ps")
            .args(["-o", field, "-p", &pid.to_string()])
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(Duration::from_secs(5), ps).await;
        let output = output.ok()?.ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let parent = ask("ppid=", pid).await?.parse().ok()?;
    is_another(parent).then_some(())?;
    let name = ask("comm=", parent).await?;
    (name == ask("comm=", std::process::id()).await?).then_some(parent)
}

/// Process 1 of a container adopts the children of all dead processes.
fn is_another(parent: u32) -> bool {
    parent > 1 && parent != std::process::id()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_process_and_other_programs_are_not_supervisors() {
        let own = std::process::id();
        assert_eq!(
            supervisor_of(own).await,
            None,
            "the parent is a test runner"
        );
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let pid = child.id();
        assert_eq!(supervisor_of(pid).await, None, "the parent is this process");
        assert_eq!(wait_for_supervisor(|| Some(pid)).await, None);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
