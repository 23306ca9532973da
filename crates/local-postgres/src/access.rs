//! `pg_hba.conf` and `pg_ident.conf`: which users can connect, and how they authenticate (PostgreSQL manual, "Client Authentication").

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::config::ClusterConfig;
use crate::psql::identifier;
use process::user::User;

/// The name of the map from users of this machine to the superuser.
const MAP: &str = "owner";

/// Writes both files of a new data directory. The owner of the files connects through the socket as the superuser without a password,
/// because that user can read the files anyway. All others need a password. No client connects from another machine.
pub(super) fn write(data_dir: &Path, config: &ClusterConfig) -> std::io::Result<()> {
    let superuser = identifier(&config.superuser);
    let hba = format!(
        "# The owner of these files, through the socket, without a password.
local all {superuser} peer map={MAP}
# All others on this machine, with a password. No connections from other machines.
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
"
    );
    let mut ident = format!("{MAP} {} {superuser}\n", identifier(&config.owner.name));
    if config.owner.uid != 0 {
        // Root can become that user anyway, and an init script of root connects in the same way.
        ident.push_str(&format!("{MAP} root {superuser}\n"));
    }
    put(&data_dir.join("pg_hba.conf"), &hba, &config.owner)?;
    put(&data_dir.join("pg_ident.conf"), &ident, &config.owner)
}

/// Returns the superuser that a data directory was created with, if the file is unchanged.
pub(super) fn superuser_of(data_dir: &Path) -> Option<String> {
    let hba = std::fs::read_to_string(data_dir.join("pg_hba.conf")).ok()?;
    let rest = hba
        .lines()
        .find_map(|line| line.strip_prefix("local all \""))?;
    let name = rest.strip_suffix(&format!("\" peer map={MAP}"))?;
    Some(name.replace("\"\"", "\""))
}

fn put(path: &Path, text: &str, owner: &User) -> std::io::Result<()> {
    // initdb has written one.
    std::fs::remove_file(path)?;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    owner.give(path).map_err(std::io::Error::other)
}
