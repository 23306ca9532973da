//! The Docker of this machine, and checks whether it supports the Compose file.

use std::path::{Path, PathBuf};

use super::command::{ASK_BOUND, Unavailable, docker};
use process::ProcessError;

/// Older versions require every `env_file` to exist.
const OLDEST_COMPOSE: (u32, u32) = (2, 24);
/// One line each.
const ASKED: &str = "{{.ServerVersion}}\n{{.DockerRootDir}}\n{{.SecurityOptions}}";

/// What an engine reports about itself.
#[derive(Clone, Debug)]
pub(super) struct Host {
    /// The data root of Docker.
    root_dir: String,
    security: String,
}

impl Host {
    /// Queries the engine and Compose.
    ///
    /// # Errors
    /// One of them does not answer, or is too old.
    pub(super) async fn ask() -> Result<Self, Unavailable> {
        let (engine, compose) = tokio::join!(
            docker(&["info", "--format", ASKED], ASK_BOUND),
            docker(&["compose", "version", "--short"], ASK_BOUND)
        );
        let engine = match engine {
            Err(ProcessError::Spawn { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                return Err(Unavailable::NotInstalled);
            }
            Err(ProcessError::NotReady { .. }) => {
                return Err(Unavailable::Down {
                    said: "it does not answer".to_owned(),
                });
            }
            output => output?,
        };
        if engine.stderr.contains("Emulate Docker CLI using podman")
            || engine.stderr.contains("can't evaluate field ServerVersion")
        {
            return Err(Unavailable::Podman);
        }
        if !engine.status.success() || engine.stdout.trim_ascii().is_empty() {
            let said = engine.stderr.trim().to_owned();
            return Err(if said.contains("permission denied") {
                Unavailable::Denied
            } else {
                Unavailable::Down { said }
            });
        }
        let compose = compose?;
        if !compose.status.success() {
            return Err(Unavailable::NoCompose);
        }
        let found = String::from_utf8_lossy(&compose.stdout).trim().to_owned();
        if version(&found).is_some_and(|found| found < OLDEST_COMPOSE) {
            return Err(Unavailable::OldCompose { found });
        }
        let said = String::from_utf8_lossy(&engine.stdout).into_owned();
        let mut lines = said.lines().skip(1).map(str::to_owned);
        Ok(Self {
            root_dir: lines.next().unwrap_or_default(),
            security: lines.next().unwrap_or_default(),
        })
    }

    /// Checks whether containers can use the files of a checkout. `home` is the user's home folder.
    ///
    /// # Errors
    /// The containers cannot use the files.
    pub(super) fn check(&self, checkout: &Path, home: Option<PathBuf>) -> Result<(), Unavailable> {
        let hidden = |path: &Path| {
            path.iter()
                .any(|part| part.as_encoded_bytes().starts_with(b"."))
        };
        let is_visible = home.is_some_and(|home| {
            checkout
                .strip_prefix(home)
                .is_ok_and(|inside| !hidden(inside))
        });
        if self.root_dir.starts_with("/var/snap/") && !is_visible {
            return Err(Unavailable::Snap {
                checkout: checkout.to_owned(),
            });
        }
        if self.security.contains("name=rootless") {
            return Err(Unavailable::Rootless);
        }
        Ok(())
    }
}

/// Parses major and minor of `v2.26.1-4`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim_start_matches('v').split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compose_versions_are_parsed() {
        for (text, expected) in [
            ("2.26.1-4", Some((2, 26))),
            ("v2.23.3", Some((2, 23))),
            ("2.24.0-birthday.10", Some((2, 24))),
            ("5.0.1", Some((5, 0))),
            ("", None),
            ("dev", None),
        ] {
            assert_eq!(version(text), expected, "{text}");
        }
    }

    #[test]
    fn checkouts_that_containers_cannot_access_are_refused() {
        let host = |root_dir: &str, security: &str| Host {
            root_dir: root_dir.to_owned(),
            security: security.to_owned(),
        };
        let check = |host: &Host, checkout: &str| {
            host.check(Path::new(checkout), Some(PathBuf::from("/home/ann")))
        };
        let plain = host(
            "/var/lib/docker",
            "[name=seccomp,profile=builtin name=cgroupns]",
        );
        assert!(check(&plain, "/srv/journal").is_ok());
        let snap = host("/var/snap/docker/common/var-lib-docker", "[name=seccomp]");
        assert!(check(&snap, "/home/ann/journal").is_ok());
        for elsewhere in [
            "/srv/journal",
            "/home/ann/.work/journal",
            "/home/annabel/journal",
        ] {
            assert!(
                matches!(check(&snap, elsewhere), Err(Unavailable::Snap { .. })),
                "{elsewhere}"
            );
        }
        assert!(matches!(
            check(
                &host(
                    "/home/ann/.local/share/docker",
                    "[name=seccomp name=rootless]"
                ),
                "/srv"
            ),
            Err(Unavailable::Rootless)
        ));
    }
}
