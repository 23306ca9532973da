//! What a child does between fork and exec.

use std::fs::File;

use nix::sys::signal::Signal;
use tokio::process::Command;

use crate::pid_file;

/// Lets the kernel signal the child when this process is killed, and lets the child write its own pid to its pid file, so that the file
/// names it from its first moment.
pub(crate) fn prepare(command: &mut Command, parent_death_signal: Signal, pid_file: Option<File>) {
    let parent = std::process::id();
    let prepare = move || {
        #[cfg(target_os = "linux")]
        {
            nix::sys::prctl::set_pdeathsig(parent_death_signal)?;
            // The parent may have exited before the line above: then no process is left that could send the signal.
            if nix::unistd::getppid().as_raw().unsigned_abs() != parent {
                return Err(std::io::Error::other(
                    "the parent exited while it started a process",
                ));
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (parent_death_signal, parent);
        match &pid_file {
            Some(file) => {
                // A child may give its own children another standard input. They hold the lock by this descriptor.
                nix::fcntl::fcntl(
                    file,
                    nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()),
                )?;
                pid_file::write_pid(file, std::process::id())
            }
            None => Ok(()),
        }
    };
    // SAFETY: between fork and exec only async-signal-safe functions are allowed. The closure makes the system calls prctl, getppid,
    // getpid, fcntl and write, formats into a buffer on the stack, and allocates only when the start fails.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(prepare);
    }
}
