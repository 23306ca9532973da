//! Cargo.lock in the container, where it is a mount of its own that cargo may write.

use std::path::Path;

use crate::{Checkout, Environment, Error};

/// The mount, if there was one at the start.
pub(super) struct MountedLock(Option<Checkout>);

impl MountedLock {
    pub(super) fn new(environment: &Environment) -> Self {
        let checkout = Some(&environment.checkout)
            .filter(|checkout| environment.is_in_container() && is_mounted(checkout));
        Self(checkout.cloned())
    }

    /// Replaces the error of a build that failed because the file was replaced outside the container: what is there now is read-only.
    pub(super) fn explain(&self, error: Error) -> Error {
        // EACCES and EROFS, as Rust's standard library prints them.
        let is_refusal = |said: &str| {
            said.contains("Cargo.lock")
                && ["os error 13", "os error 30"]
                    .iter()
                    .any(|code| said.contains(code))
        };
        let refused = matches!(&error, Error::Build { said } if is_refusal(said));
        if refused
            && self
                .0
                .as_ref()
                .is_some_and(|checkout| !is_mounted(checkout))
        {
            return Error::LockReplaced;
        }
        error
    }
}

/// Returns whether Cargo.lock is a mount of its own. The kernel removes the mount when the file is replaced outside the container, for
/// example by git (proc(5), mountinfo: the fifth field is the mount point).
fn is_mounted(checkout: &Checkout) -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let lock = checkout.root().join("Cargo.lock");
    mounts.lines().any(|line| {
        line.split(' ')
            .nth(4)
            .is_some_and(|place| Path::new(place) == lock)
    })
}
