//! Init scripts: `*.sh`, `*.sql`, `*.sql.gz`, `*.sql.xz` and `*.sql.zst`.
//!
//! They run as in the official Docker image (<https://hub.docker.com/_/postgres>, "Initialization scripts"): once, sorted by name, as the
//! superuser in the new database, on a server without other clients, with that image's variables `POSTGRES_USER`, `POSTGRES_PASSWORD` and
//! `POSTGRES_DB`. The first failure cancels the creation of the data directory.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use secrecy::ExposeSecret;

use crate::config::ClusterConfig;
use crate::psql::PsqlError;
use process::{Configuration, LockedTemp, ProcessError, capture, run};

/// A script may load a dump.
const BOUND: Duration = Duration::from_secs(60 * 60);

/// Why an init script failed.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// A shell script failed.
    #[error("the init script {} failed: {source}", script.display())]
    Shell {
        /// The script.
        script: PathBuf,
        /// The error.
        source: ProcessError,
    },
    /// A statement failed.
    #[error("the init script {} failed: {source}", script.display())]
    Sql {
        /// The script.
        script: PathBuf,
        /// The error.
        source: PsqlError,
    },
    /// A compressed script could not be read.
    #[error("the init script {} cannot be decompressed by `{program}`: {source}", script.display())]
    Unpack {
        /// The script.
        script: PathBuf,
        /// The program that decompresses it.
        program: &'static str,
        /// The error.
        source: Box<ProcessError>,
    },
    /// A script or the folder could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
}

/// Runs the scripts on the server of `config`. A shell script holds `pid_file` while it runs.
pub(super) async fn run_all(config: &ClusterConfig, pid_file: &Path) -> Result<(), ScriptError> {
    let Some(folder) = config
        .init_scripts
        .as_ref()
        .filter(|folder| folder.is_dir())
    else {
        return Ok(());
    };
    for (script, kind) in scripts(folder)?.run {
        match kind {
            Kind::Shell => shell(&script, config, pid_file).await?,
            Kind::Sql(packed) => sql(&script, packed, config).await?,
        }
    }
    Ok(())
}

/// Returns the files in the folder that are not run, sorted by name. Names that begin with a dot are skipped.
pub fn ignored(folder: &Path) -> Vec<PathBuf> {
    // An unreadable folder is reported when the scripts run.
    scripts(folder)
        .map(|scripts| scripts.ignored)
        .unwrap_or_default()
}

/// How a script runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Shell,
    Sql(Packed),
}

/// How SQL is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packed {
    Not,
    Gzip,
    /// With a program that writes the text to standard output.
    By(&'static str),
}

impl Kind {
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let known = [
            (".sh", Self::Shell),
            (".sql", Self::Sql(Packed::Not)),
            (".sql.gz", Self::Sql(Packed::Gzip)),
            (".sql.xz", Self::Sql(Packed::By("xz"))),
            (".sql.zst", Self::Sql(Packed::By("zstd"))),
        ];
        known
            .into_iter()
            .find(|(end, _)| name.ends_with(end))
            .map(|(_, kind)| kind)
            .filter(|_| path.is_file())
    }
}

#[derive(Default)]
struct Scripts {
    run: Vec<(PathBuf, Kind)>,
    ignored: Vec<PathBuf>,
}

fn scripts(folder: &Path) -> Result<Scripts, ScriptError> {
    let io = |source| ScriptError::Io {
        path: folder.to_owned(),
        source,
    };
    let entries: Result<Vec<_>, _> = std::fs::read_dir(folder)
        .map_err(io)?
        .map(|entry| Ok(entry?.path()))
        .collect();
    let mut paths = entries.map_err(io)?;
    paths.sort();
    let mut scripts = Scripts::default();
    for path in paths {
        match Kind::of(&path) {
            Some(kind) => scripts.run.push((path, kind)),
            None if path
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) => {}
            None => scripts.ignored.push(path),
        }
    }
    Ok(scripts)
}

async fn sql(script: &Path, packed: Packed, config: &ClusterConfig) -> Result<(), ScriptError> {
    let io = |source| ScriptError::Io {
        path: script.to_owned(),
        source,
    };
    // psql may run as a user who cannot read the file.
    let bytes = tokio::fs::read(script).await.map_err(io)?;
    let text = match packed {
        Packed::Not => bytes,
        Packed::Gzip => {
            let mut text = Vec::new();
            MultiGzDecoder::new(&bytes[..])
                .read_to_end(&mut text)
                .map_err(io)?;
            text
        }
        Packed::By(program) => unpack(program, script, &bytes).await?,
    };
    config
        .psql()
        .run_bytes(&text, BOUND)
        .await
        .map_err(|source| ScriptError::Sql {
            script: script.to_owned(),
            source,
        })?;
    Ok(())
}

async fn unpack(
    program: &'static str,
    script: &Path,
    bytes: &[u8],
) -> Result<Vec<u8>, ScriptError> {
    let failed = |source| ScriptError::Unpack {
        script: script.to_owned(),
        program,
        source: Box::new(source),
    };
    let output = capture(
        Configuration::new(program, program).args(["-dc"]),
        bytes,
        BOUND,
    )
    .await
    .map_err(failed)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let tail = output.stderr.lines().map(str::to_owned).collect();
    Err(failed(ProcessError::Exited {
        name: program.to_owned(),
        status: output.status,
        tail,
    }))
}

/// Returns the script, or a copy without the carriage returns of an editor on Windows.
fn without_carriage_returns(script: &Path) -> std::io::Result<(PathBuf, Option<LockedTemp>)> {
    let text = std::fs::read(script)?;
    if !text.windows(2).any(|pair| pair == b"\r\n") {
        return Ok((script.to_owned(), None));
    }
    let folder = LockedTemp::new(&std::env::temp_dir(), "local-postgres-init-")?;
    let copy = folder.path().join(script.file_name().unwrap_or_default());
    std::fs::write(
        &copy,
        text.into_iter()
            .filter(|byte| *byte != b'\r')
            .collect::<Vec<_>>(),
    )?;
    std::fs::set_permissions(&copy, std::fs::metadata(script)?.permissions())?;
    Ok((copy, Some(folder)))
}

/// Runs a shell script as the user of this process, not as the user of the server.
async fn shell(script: &Path, config: &ClusterConfig, pid_file: &Path) -> Result<(), ScriptError> {
    let io = |source| ScriptError::Io {
        path: script.to_owned(),
        source,
    };
    let (runs, _folder) = without_carriage_returns(script).map_err(io)?;
    let executable =
        std::fs::metadata(script).is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0);
    let mut configuration = if executable {
        config.psql().client("init script", runs)
    } else {
        // The Docker image sources it in a shell that exits at the first failure.
        config
            .psql()
            .client("init script", "bash".into())
            .args(["-e", "-o", "pipefail", "-c", r#". "$1""#, "init-script"])
            .args([runs.as_os_str()])
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
    run(configuration, BOUND)
        .await
        .map_err(|source| ScriptError::Shell {
            script: script.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_run_in_the_order_of_their_names_and_other_files_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            "20-b.sql",
            "10-a.sh",
            "README.md",
            "30-c.sh",
            "40-d.sql.gz",
            "50-e.sql.xz",
            "60-f.sql.zst",
            "70-g.psql",
            "80-h.gz",
        ];
        for name in files.into_iter().chain([".gitkeep"]) {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("05-folder.sql")).unwrap();
        let names = |paths: Vec<PathBuf>| -> Vec<String> {
            paths
                .iter()
                .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
                .collect()
        };
        let found = scripts(folder.path()).unwrap();
        assert_eq!(
            names(found.ignored),
            ["05-folder.sql", "70-g.psql", "80-h.gz", "README.md"]
        );
        let run = names(found.run.into_iter().map(|(path, _)| path).collect());
        assert_eq!(
            run,
            [
                "10-a.sh",
                "20-b.sql",
                "30-c.sh",
                "40-d.sql.gz",
                "50-e.sql.xz",
                "60-f.sql.zst"
            ]
        );
    }
}
