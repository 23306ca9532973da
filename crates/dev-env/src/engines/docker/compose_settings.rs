//! Variables that Compose reads from the shell and from `.env`: its files and profiles. They are passed to Compose explicitly, because some
//! commands run without `.env`. Variables that would make Compose read other settings than this tool are refused.

use std::path::PathBuf;
use std::sync::Arc;

use emotionviz_settings::Origin;

use crate::{Checkout, Environment};

const FILE: &str = "COMPOSE_FILE";
const SEPARATOR: &str = "COMPOSE_PATH_SEPARATOR";
const PROFILES: &str = "COMPOSE_PROFILES";
/// With these variables Compose reads other files than `.env`, or none.
const UNSUPPORTED: [&str; 2] = ["COMPOSE_ENV_FILES", "COMPOSE_DISABLE_ENV_FILE"];
/// Prefixes of remote files, which Compose checks itself.
const REMOTE: [&str; 4] = ["https://", "git@", "github.com/", "oci://"];

/// Why the variables of Compose are refused.
#[derive(Debug, thiserror::Error)]
pub enum ComposeSettingsError {
    /// Compose would read other settings.
    #[error(
        "{name} (from {origin}) is not supported: Compose and `cargo dev` would read different settings. Nothing was started\n\
         hint: remove it, and put the settings into .env; in a shell: unset {name}"
    )]
    Unsupported {
        /// The variable.
        name: &'static str,
        /// Where it is set.
        origin: Origin,
    },
    /// The variable is in a file that Compose does not read.
    #[error(
        "{name} is set in {origin}, which Docker Compose does not read. Nothing was started\nhint: move that line to .env next to docker-compose.yml"
    )]
    Misplaced {
        /// The variable.
        name: &'static str,
        /// Where it is set.
        origin: Origin,
    },
    /// `COMPOSE_FILE` names a missing file.
    #[error("{FILE} (from {origin}) names {}, which does not exist. Nothing was started\nhint: correct {FILE}, or remove it to use docker-compose.yml", path.display())]
    NoFile {
        /// The file.
        path: PathBuf,
        /// Where it is set.
        origin: Origin,
    },
    /// The files do not define the services of this project.
    #[error(
        "the files in {FILE} (from {origin}) do not define these services, which `cargo dev` needs: {missing}. Nothing was started\n\
         hint: put docker-compose.yml first: {FILE}=docker-compose.yml:<your file>"
    )]
    NoService {
        /// The services.
        missing: String,
        /// Where it is set.
        origin: Origin,
    },
}

crate::project::error::other_errors!(ComposeSettingsError);

/// The variables of Compose that are set, with their values.
#[derive(Clone, Debug, Default)]
pub(super) struct ComposeSettings(Arc<Vec<(&'static str, String, Origin)>>);

impl ComposeSettings {
    pub(super) fn read(environment: &Environment) -> Self {
        let values = environment.configuration.values();
        let names = [FILE, SEPARATOR, PROFILES].into_iter().chain(UNSUPPORTED);
        let set = names.filter_map(|name| {
            values
                .foreign(name)
                .map(|(text, origin)| (name, text.to_owned(), origin.clone()))
        });
        Self(Arc::new(set.collect()))
    }

    fn find(&self, wanted: &str) -> Option<(&str, &Origin)> {
        self.0
            .iter()
            .find(|(name, ..)| *name == wanted)
            .map(|(_, text, origin)| (text.as_str(), origin))
    }

    /// Returns the variables for Compose.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0
            .iter()
            .filter(|(name, ..)| !UNSUPPORTED.contains(name))
            .map(|(name, text, _)| (*name, text.as_str()))
    }

    /// The profiles of `COMPOSE_PROFILES`. Compose ignores the variable when `--profile` is given.
    pub(super) fn profiles(&self) -> Vec<&str> {
        let names = self.find(PROFILES).map_or("", |(text, _)| text).split(',');
        names
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .collect()
    }

    /// Returns where the files of Compose are set, if they are.
    pub(super) fn files(&self) -> Option<&Origin> {
        self.find(FILE).map(|(_, origin)| origin)
    }

    /// Refuses what Compose would not do.
    ///
    /// # Errors
    /// What that is.
    pub(super) fn refuse(&self, checkout: &Checkout) -> Result<(), ComposeSettingsError> {
        for (name, _, origin) in self.0.iter() {
            if matches!(origin, Origin::File(path, _) if *path == checkout.backend_env_file()) {
                return Err(ComposeSettingsError::Misplaced {
                    name,
                    origin: origin.clone(),
                });
            }
            if UNSUPPORTED.contains(name) {
                return Err(ComposeSettingsError::Unsupported {
                    name,
                    origin: origin.clone(),
                });
            }
        }
        let Some((files, origin)) = self.find(FILE) else {
            return Ok(());
        };
        let separator = self.find(SEPARATOR).map_or(":", |(text, _)| text);
        let local = files
            .split(separator)
            .filter(|file| !file.is_empty() && !REMOTE.iter().any(|start| file.starts_with(start)));
        for path in local.map(|file| checkout.root().join(file)) {
            if !path.is_file() {
                return Err(ComposeSettingsError::NoFile {
                    path,
                    origin: origin.clone(),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(
        env: &str,
        backend_env: &str,
        shell: &[(&str, &str)],
    ) -> (tempfile::TempDir, Environment, ComposeSettings) {
        let (folder, _checkout) = Checkout::scratch(&[
            (".env", env),
            ("backend/.env", backend_env),
            ("docker-compose.yml", ""),
            ("b.yml", ""),
        ]);
        let environment = Environment::find(
            folder.path(),
            shell
                .iter()
                .map(|(name, value)| (name.into(), value.into())),
        )
        .unwrap();
        let settings = ComposeSettings::read(&environment);
        (folder, environment, settings)
    }

    #[test]
    fn compose_files_and_profiles_are_passed_to_compose() {
        let env = "COMPOSE_FILE=docker-compose.yml;b.yml\nCOMPOSE_PATH_SEPARATOR=;\nCOMPOSE_PROFILES=one, two\n";
        let (_folder, environment, settings) = settings(env, "", &[("COMPOSE_PROFILES", "")]);
        settings.refuse(&environment.checkout).unwrap();
        assert_eq!(settings.profiles(), ["one", "two"]);
        let told: Vec<_> = settings.variables().collect();
        assert_eq!(told[0], ("COMPOSE_FILE", "docker-compose.yml;b.yml"));
        assert_eq!(told.len(), 3);
    }

    #[test]
    fn compose_variables_of_the_shell_override_env() {
        let (_folder, environment, settings) = settings(
            "COMPOSE_FILE=nothing.yml\n",
            "",
            &[("COMPOSE_FILE", "b.yml")],
        );
        settings.refuse(&environment.checkout).unwrap();
        assert_eq!(
            settings.variables().collect::<Vec<_>>(),
            [("COMPOSE_FILE", "b.yml")]
        );
    }

    #[test]
    fn unsupported_compose_variables_are_refused_by_name() {
        let cases = [
            ("COMPOSE_ENV_FILES=other.env", "", "COMPOSE_ENV_FILES"),
            ("COMPOSE_DISABLE_ENV_FILE=1", "", "COMPOSE_DISABLE_ENV_FILE"),
            ("", "COMPOSE_FILE=b.yml", "move that line to .env"),
            ("", "COMPOSE_PROFILES=one", "COMPOSE_PROFILES is set in"),
            (
                "COMPOSE_FILE=docker-compose.yml:gone.yml",
                "",
                "gone.yml, which does not exist",
            ),
            (
                "COMPOSE_FILE=docker-compose.yml;b.yml",
                "",
                "which does not exist",
            ),
            ("COMPOSE_FILE=backend", "", "backend, which does not exist"),
        ];
        for (env, backend_env, expected) in cases {
            let (_folder, environment, settings) = settings(env, backend_env, &[]);
            let refused = settings
                .refuse(&environment.checkout)
                .unwrap_err()
                .to_string();
            assert!(
                refused.contains(expected) && refused.contains("Nothing was started\nhint: "),
                "{refused}"
            );
        }
        let (_folder, environment, settings) =
            settings("", "", &[("COMPOSE_ENV_FILES", "other.env")]);
        let refused = settings
            .refuse(&environment.checkout)
            .unwrap_err()
            .to_string();
        assert!(refused.contains("unset COMPOSE_ENV_FILES"), "{refused}");
    }

    #[test]
    fn no_compose_variables_are_passed_without_settings() {
        let (_folder, environment, settings) = settings("COMPOSE_PROJECT_NAME=x\n", "", &[]);
        settings.refuse(&environment.checkout).unwrap();
        assert_eq!(settings.variables().count(), 0);
        assert!(settings.profiles().is_empty());
    }
}
