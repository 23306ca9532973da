//! Names of this application on the machine and in the database.

use std::ffi::OsStr;
use std::path::PathBuf;

use local_postgres::socket_dir;
use process::user::User;

/// The prefix of folders that all applications of a machine share: caches, sockets.
pub(crate) const APPLICATION: &str = "emotionviz";

/// The role that the API connects as.
pub(crate) const API_ROLE: &str = "emotionviz_api";

/// The role that tests connect as if they have no database server of their own.
pub(crate) const TEST_ROLE: &str = "emotionviz_test";

/// Returns the folder of a socket of this application. `id` distinguishes it from others on this machine.
pub(crate) fn socket_folder(id: &str, runtime_dir: Option<&OsStr>, owner: &User) -> PathBuf {
    socket_dir::choose(&format!("{APPLICATION}-{id}"), runtime_dir, owner)
}
