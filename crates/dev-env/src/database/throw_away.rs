//! A database server that is made for one purpose, beside the development database, and thrown away.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::Error;
use crate::project::configuration;
use crate::project::names::{self, API_ROLE};
use local_postgres::server::Server;
use local_postgres::{AppRole, Binaries, ClusterConfig, Durability, cluster, roles};
use process::user::User;

/// Where the server in a folder has its socket; `id` tells it from others.
pub fn socket_folder(id: &str, owner: &User) -> PathBuf {
    names::socket_folder(id, std::env::var_os("XDG_RUNTIME_DIR").as_deref(), owner)
}

/// The file whose lock says that the server in a folder runs.
pub fn pid_file(folder: &Path) -> PathBuf {
    folder.join("postgres.pid")
}

/// Makes one with an empty database in `folder`, which goes when whoever has it lets it go, and starts it.
///
/// # Errors
/// It cannot be made, or does not start.
pub async fn start(
    folder: &Path,
    binaries: Binaries,
    owner: User,
    socket_dir: PathBuf,
    durability: Durability,
) -> Result<(Server, ClusterConfig), Error> {
    let config = ClusterConfig {
        binaries,
        data_dir: folder.join("postgres"),
        socket_dir,
        pid_file: pid_file(folder),
        port: crate::project::ports::free_port()?,
        superuser: "emotionviz".to_owned(),
        password: SecretString::from(configuration::generate()),
        app_role: AppRole {
            name: API_ROLE.to_owned(),
            password: SecretString::from(configuration::generate()),
        },
        database: "throw_away".to_owned(),
        init_scripts: None,
        owner,
        durability,
        sink: None,
    };
    cluster::initialise(&config).await?;
    let server = Server::start(&config).await?;
    roles::verify(&config).await?;
    Ok((server, config))
}
