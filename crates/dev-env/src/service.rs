//! Our binary: the built program, its command lines, migration files and listening sockets.

pub mod command;
pub(crate) mod listening;
pub mod migrations;
pub(crate) mod program {
    pub(crate) use fast_reload::Program;
}
