//! `init-scripts/*.sh` and `*.sql`, as the official image runs them: once, in the order of their names, on a server that nobody else
//! can reach yet, as `POSTGRES_USER` in `POSTGRES_DB`; the first that fails ends it all.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret;

use super::ClusterConfig;
use super::psql::PsqlError;
use crate::process::{ProcessError, run};

/// A script may load a dump.
const BOUND: Duration = Duration::from_secs(60 * 60);

/// Why the scripts did not all run.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// A shell script failed.
    #[error("the init script {} failed: {source}", script.display())]
    Shell {
        /// The script.
        script: PathBuf,
        /// How.
        source: ProcessError,
    },
    /// A statement failed.
    #[error("the init script {} failed: {source}", script.display())]
    Sql {
        /// The script.
        script: PathBuf,
        /// How.
        source: PsqlError,
    },
    /// A script or the folder could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Runs them on the server that `config` describes; a shell script holds `pid_file` while it runs.
pub(super) async fn run_all(config: &ClusterConfig, pid_file: &Path) -> Result<(), ScriptError> {
    let Some(folder) = config.init_scripts.as_ref().filter(|folder| folder.is_dir()) else {
        return Ok(());
    };
    for script in scripts(folder)? {
        if script.extension().is_some_and(|extension| extension == "sql") {
            sql(&script, config).await?;
        } else {
            shell(&script, config, pid_file).await?;
        }
    }
    Ok(())
}

fn scripts(folder: &Path) -> Result<Vec<PathBuf>, ScriptError> {
    let io = |source| ScriptError::Io { path: folder.to_owned(), source };
    let mut scripts = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.is_file() && path.extension().is_some_and(|extension| extension == "sh" || extension == "sql") {
            scripts.push(path);
        }
    }
    scripts.sort();
    Ok(scripts)
}

async fn sql(script: &Path, config: &ClusterConfig) -> Result<(), ScriptError> {
    // Read here rather than by psql, which runs as a user who may not be able to.
    let text = tokio::fs::read(script).await.map_err(|source| ScriptError::Io { path: script.to_owned(), source })?;
    config.psql().run_bytes(&text, BOUND).await.map_err(|source| ScriptError::Sql { script: script.to_owned(), source })?;
    Ok(())
}

/// As the developer, like everything else of the checkout that runs: a build script, a test, the service.
async fn shell(script: &Path, config: &ClusterConfig, pid_file: &Path) -> Result<(), ScriptError> {
    let executable = std::fs::metadata(script).is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0);
    let mut configuration = if executable {
        config.psql().client("init script", script.to_owned())
    } else {
        // The image sources it, in a shell that ends at the first failure.
        config
            .psql()
            .client("init script", "bash".into())
            .args(["-e", "-o", "pipefail", "-c", r#". "$1""#, "init-script"])
            .args([script.as_os_str()])
    };
    configuration.run_as = None;
    configuration.pid_file = Some(pid_file.to_owned());
    configuration.current_dir = Some("/".into());
    configuration.sink = config.sink.clone();
    let programs = std::iter::once(config.binaries.dir.clone());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(programs.chain(std::env::split_paths(&path))).unwrap_or(path);
    let password = config.password.expose_secret();
    configuration = configuration
        .env("PATH", path)
        .env("POSTGRES_USER", &config.superuser)
        .env("POSTGRES_DB", &config.database)
        .env("POSTGRES_PASSWORD", password)
        .env("PGPASSWORD", password)
        .env("PGDATA", &config.data_dir);
    run(configuration, BOUND).await.map_err(|source| ScriptError::Shell { script: script.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_run_in_the_order_of_their_names_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["20-b.sql", "10-a.sh", "README.md", "30-c.sh", ".gitkeep"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("05-folder.sql")).unwrap();
        let found: Vec<_> = scripts(folder.path()).unwrap().iter().map(|path| path.file_name().unwrap().to_owned()).collect();
        assert_eq!(found, ["10-a.sh", "20-b.sql", "30-c.sh"]);
    }
}
