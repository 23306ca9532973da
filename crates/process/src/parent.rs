//! The parents of other processes.

/// Returns the parent of `pid` if it is another process of this program. Such a parent looks after `pid`; the system gives the children
/// of a dead process to another one.
#[cfg(target_os = "linux")]
pub async fn same_program(pid: i32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may have blanks and brackets (proc_pid_stat(5)).
    let (_, fields) = stat.rsplit_once(')')?;
    let parent = fields.split_whitespace().nth(1)?.parse().ok()?;
    let name = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    is_another(parent).then_some(())?;
    (name(parent)? == name(std::process::id())?).then_some(parent)
}

/// Does the same with `ps`.
#[cfg(not(target_os = "linux"))]
pub async fn same_program(pid: i32) -> Option<u32> {
    use std::time::Duration;

    use super::{Configuration, capture};

    let ask = async |field: &str, pid: &str| {
        let ps = Configuration::new("ps", "ps").args(["-o", field, "-p", pid]);
        let output = capture(ps, b"", Duration::from_secs(5)).await.ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let parent = ask("ppid=", &pid.to_string()).await?.parse().ok()?;
    is_another(parent).then_some(())?;
    let name = ask("comm=", &parent.to_string()).await?;
    (name == ask("comm=", &std::process::id().to_string()).await?).then_some(parent)
}

/// The process 1 of a container adopts the children of all dead processes.
fn is_another(parent: u32) -> bool {
    parent > 1 && parent != std::process::id()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_own_process_and_other_programs_are_not_other_processes_of_this_program() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(same_program(own).await, None, "the parent is a test runner");
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        assert_eq!(same_program(pid).await, None, "the parent is this process");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
