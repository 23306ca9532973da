#![doc = include_str!("../README.md")]
//!
//! # Contract
//!
//! ## Promise
//!
//! * [`Workspace::build`] links what the files of the workspace hold when cargo reads them, whatever their modification times are.
//! * [`Replay::replace`] returns a program that behaves like the one that cargo would build, or [`Declined`]. Two things may differ until
//!   the next build by cargo: line numbers in panics inside generic functions of other crates, and what the linker removes as unused.
//! * [`Watcher::changed`] reports every save of a file that [`Sources`] names, also behind links, by renaming, and on file systems
//!   without events. One save may be reported twice: [`ContentCache`] recognises that.
//! * Nothing is written outside `target_dir`, `build_dir`, `sources_file`, `pid_file`, and the probe file of the watcher.
//!
//! ## When it declines
//!
//! cargo builds unless all of these hold:
//!
//! * The system is Linux with glibc. No other wrapper of rustc is set. The linker and its flags are the defaults.
//! * Each changed file is in the `src` folder of a library crate of the workspace whose root is `src/lib.rs`, was an input of this crate
//!   before, and exists.
//! * No other crate of the workspace and no build script of it reads a changed file, as their lists say.
//! * The users of the crate do not read what changed. Of a *closed* crate they read `lib.rs`: it has only modules, imports from other
//!   crates, and `#[inline(never)] pub fn` over types of other crates. Of any other crate they read all but the bodies of plain functions:
//!   functions without type parameters, `const`, `async`, `impl Trait` and attributes, in no trait, whose bodies declare nothing. The
//!   profile does not optimise, and is incremental.
//! * The changed files do not contain `extern`, `no_mangle`, `macro_export` or similar words, before or after the change.
//! * The running program is the last one that cargo linked. No command and no metadata that it was linked from is newer. Both are checked
//!   again after compiling.
//! * The crate compiles, with the same input files and variables as before.
//!
//! The caller starts the new program. It binds all symbols at its start (`-z now`). If it does not start, build with cargo: the changed
//! crate may have been the only one with an instance of a generic function that others use.
//!
//! ## What it depends on
//!
//! * cargo (1.85 or later): `RUSTC_WORKSPACE_WRAPPER`; `cargo metadata --no-deps`; the files `debug/deps/*.d`, `debug/build/*/output` and
//!   `debug/.fingerprint/*/dep-*` in the build folder, and the comparison of source files with the modification times of the latter two.
//!   These files are not a stable interface. The random test in `tests/` fails if they change.
//! * rustc: `--extern`, `-C extra-filename`, `-C incremental`, `--out-dir`, `-C linker`; metadata of a crate does not change with the body of
//!   a plain function; no inlining of such bodies into other crates without optimisation; the linker is started with paths of rlibs.
//! * cc: GCC or Clang with a linker that knows `--whole-archive`, `--export-dynamic`, `-rpath` and `-soname`. The dynamic loader of glibc
//!   prefers `LD_LIBRARY_PATH` to `DT_RUNPATH`.
//!
//! ## How to switch it off
//!
//! Set `FAST_RELOAD=off` in the environment of the building process. [`Workspace::replay`] then returns an error, and cargo builds an
//! ordinary program in one piece.
//!
//! ## Priority
//!
//! cargo runs at niceness 10, so that the running program answers first. A replayed rustc runs at normal priority: it is short, and someone
//! waits for it. At niceness 10 it would also wait for every other compiler on the machine, such as the `cargo check` of an editor.

#![warn(missing_docs)]

mod build;
mod content_cache;
mod dep_info;
mod error;
mod notice;
mod program;
mod replay;
mod sources;
mod stale;
mod watch;
mod workspace;

pub use build::{BuildOptions, cargo};
pub use content_cache::ContentCache;
pub use error::Error;
pub use notice::{Listener, Notice};
pub use program::Program;
pub use replay::{Declined, Replacement, Replay};
pub use sources::{Sources, files};
pub use watch::{Watcher, Watching};
pub use workspace::Workspace;
