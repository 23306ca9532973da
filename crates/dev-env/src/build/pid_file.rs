//! The pid files of builds, by which the next command ends what a killed command left running.

use std::path::PathBuf;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::Checkout;
use process::Configuration;

/// The pid file of a build of this process. Dropping it removes the file.
pub(crate) struct BuildPidFile(PathBuf);

impl BuildPidFile {
    pub(crate) fn new(checkout: &Checkout) -> Self {
        Self(
            checkout
                .run()
                .join(format!("build-{}.pid", std::process::id())),
        )
    }

    /// Adds the pid file to a program of the build, which runs at low priority: the API answers while it builds.
    pub(crate) fn program(&self, mut program: Configuration) -> Configuration {
        program.pid_file = Some(self.0.clone());
        program.low_priority = true;
        program
    }
}

impl Drop for BuildPidFile {
    fn drop(&mut self) {
        let _absent = std::fs::remove_file(&self.0);
    }
}

/// Returns the files of builds whose tool has ended. Builds of other commands go on.
pub(crate) fn orphaned_pid_files(checkout: &Checkout) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(checkout.run())
        .into_iter()
        .flatten()
        .flatten();
    let orphaned = |path: &PathBuf| {
        let tool = path
            .file_name()?
            .to_str()?
            .strip_prefix("build-")?
            .strip_suffix(".pid")?
            .parse()
            .ok()?;
        (kill(Pid::from_raw(tool), None) == Err(Errno::ESRCH)).then_some(())
    };
    entries
        .map(|entry| entry.path())
        .filter(|path| orphaned(path).is_some())
        .collect()
}
