#![doc = include_str!("../README.md")]
//!
//! # What a `Process` promises
//!
//! A [`Process`] goes *configured → starting → ready → stopping → stopped*.
//!
//! * It leads a process group of its own. A Ctrl-C in the terminal reaches its owner alone, and the owner decides in which order its
//!   processes stop.
//! * Whatever ends it, its whole group is gone afterwards: [`Process::stop`] sends the stop signal, waits, and then kills the group;
//!   dropping it kills the group at once; on Linux the kernel signals it when its owner is killed (`PR_SET_PDEATHSIG`, prctl(2)).
//! * [`Process::until_ready`] returns as soon as the process exits. It does not wait for a process that no longer runs.
//! * The last 50 lines of its output are part of every error.
//! * With a pid file, it holds the lock of that file from before its program runs until its last descendant has exited.
//!
//! `PR_SET_PDEATHSIG` fires when the *thread* that started the child exits. Start processes from a thread that lives as long as they
//! should, such as the main thread of a current-thread runtime.

#![warn(missing_docs, clippy::missing_errors_doc)]

mod child;
mod configuration;
pub mod disk;
mod error;
pub mod file_lock;
pub mod files;
mod folder;
mod group;
pub mod locked_temp;
pub mod log_file;
mod outliving;
mod output;
mod parent;
mod pid_file;
pub mod poll;
pub mod ports;
pub mod ready_socket;
pub mod shutdown;
mod spawn;
pub mod thread;
mod tool;
pub mod user;

pub use child::Process;
pub use configuration::{Configuration, StopSignal};
pub use error::{ProcessError, describe};
pub use file_lock::{FileLock, FileLockError};
pub use locked_temp::{LockedTemp, LockedTempFile};
pub use outliving::Outliving;
pub use output::{LineSink, Stream};
pub use parent::wait_for_supervisor;
pub use pid_file::{PidFile, PidFileError};
pub use tool::{
    Output, capture, from_file, from_file_into, into_file, on_terminal, on_terminal_with, run,
};
