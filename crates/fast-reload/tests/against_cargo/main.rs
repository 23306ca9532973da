//! Programs of the fast way, compared with those that cargo builds, in a small generated workspace.

#![allow(clippy::unwrap_used)] // A test that cannot go on fails there.

mod declines;
mod random;
mod stale;
mod support;
