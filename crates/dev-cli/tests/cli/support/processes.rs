//! The processes of this machine.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::eventually;

/// Those that work in a folder, or have it in their arguments.
pub(crate) fn of(folder: &Path) -> Vec<(i32, String)> {
    let bytes = folder.as_os_str().as_bytes();
    let own = i32::try_from(std::process::id()).unwrap();
    let pids = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| *pid != own)
        .filter_map(|pid| {
            let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let works_there =
                fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
            let names_it = command.windows(bytes.len()).any(|part| part == bytes);
            (works_there || names_it)
                .then(|| (pid, String::from_utf8_lossy(&command).replace('\0', " ")))
        })
        .filter(|(pid, _)| is_alive(*pid))
        .collect()
}

/// Waits until none works in a folder.
pub(crate) fn expect_none(folder: &Path) {
    let mut last = Vec::new();
    eventually(
        &format!("the end of every process in {}", folder.display()),
        || {
            last = of(folder);
            last.is_empty().then_some(())
        },
    );
}

/// Whether it runs; one that has ended and was not waited for does not.
pub(crate) fn is_alive(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status
        .rsplit(')')
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

/// Waits for its end.
pub(crate) fn expect_end(pid: i32) {
    eventually(&format!("the end of process {pid}"), || {
        (!is_alive(pid)).then_some(())
    });
}

pub(crate) fn kill(pid: i32, signal: Signal) {
    match nix::sys::signal::kill(Pid::from_raw(pid), signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => panic!("process {pid}: {error}"),
    }
}

/// All of them, with their arguments.
pub(crate) fn all() -> Vec<(i32, String)> {
    of(Path::new("/"))
}
