//! The Compose project of a checkout: its name, and `docker compose` for it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use emotionviz_settings::Origin;
use emotionviz_settings::declared::COMPOSE_PROJECT_NAME;

use super::command::{ASK_BOUND, compose_failed, docker};
use super::compose_settings::{ComposeSettings, ComposeSettingsError};
use crate::project::env_files;
use crate::{Checkout, Environment, Error};
use process::{Configuration, Output, Process, capture, describe};

/// The bounds of docker-compose.yml for the three services, and some more.
pub(super) const STOP_BOUND: Duration = Duration::from_secs(150);
/// The services that this tool starts.
const SERVICES: [&str; 3] = ["setup", "db", "api"];
const SERVICES_BOUND: Duration = Duration::from_secs(60);
/// Letters and digits of a checkout's hash.
const HASH: usize = 12;

/// The Compose project of a checkout.
#[derive(Clone, Debug)]
pub(super) struct Project {
    pub(super) name: String,
    root: PathBuf,
    /// Whether plain `docker compose` would call it so, too.
    known: bool,
    /// The files and profiles of Compose.
    pub(super) settings: ComposeSettings,
    /// What Compose is told beside the settings that it reads itself.
    pub(super) variables: Vec<(OsString, OsString)>,
}

impl Project {
    /// The one that the settings name; else that of the containers which plain `docker compose` has made of this checkout; else one
    /// that no other checkout has, whatever its folder is called.
    ///
    /// # Errors
    /// Docker does not answer.
    pub(super) async fn of(environment: &Environment) -> Result<Self, Error> {
        let checkout = &environment.checkout;
        let (root, settings) = (
            checkout.root().to_owned(),
            ComposeSettings::read(environment),
        );
        let project = |name: String, known: bool| Self {
            name,
            root,
            known,
            settings,
            variables: Vec::new(),
        };
        if let Some((name, origin)) = environment
            .configuration
            .values()
            .text(&COMPOSE_PROJECT_NAME.info)
            && !is_of_a_copy(name, checkout)
        {
            // Compose reads no other file.
            let known =
                !matches!(origin, Origin::File(path, _) if path == checkout.backend_env_file());
            return Ok(project(name.to_owned(), known));
        }
        let label = format!(
            "label=com.docker.compose.project.working_dir={}",
            checkout.root().display()
        );
        let format = "{{.Label \"com.docker.compose.project\"}}";
        let found = docker(
            &["ps", "--all", "--filter", &label, "--format", format],
            ASK_BOUND,
        )
        .await?;
        let found = String::from_utf8_lossy(&found.stdout)
            .lines()
            .next()
            .map(str::to_owned);
        Ok(match found {
            Some(name) => project(name, true),
            None => project(made_name(checkout), false),
        })
    }

    /// Sees to it that plain `docker compose` means the same project: writes the name to `.env`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) async fn make_known(&self, checkout: &Checkout) -> Result<bool, Error> {
        if self.known {
            return Ok(false);
        }
        let (path, name) = (checkout.env_file(), COMPOSE_PROJECT_NAME.info.name);
        if !env_files::change(&path, name, &self.name).await? {
            env_files::append(
                &path,
                "Made by cargo dev up, so that no other checkout has the same containers.",
                &[(name, &self.name)],
            )
            .await?;
        }
        Ok(true)
    }

    /// `docker compose` with these words.
    pub(super) fn compose(&self, args: &[&str]) -> Configuration {
        let mut compose = Configuration::new("docker compose", "docker")
            .args(["compose", "--ansi", "never", "--progress", "plain"])
            .args(args.iter().copied())
            .env(COMPOSE_PROJECT_NAME.info.name, &self.name);
        compose.env.extend(
            self.settings
                .variables()
                .map(|(name, value)| (name.into(), Some(value.into()))),
        );
        compose.env.extend(
            self.variables
                .iter()
                .map(|(name, value)| (name.clone(), Some(value.clone()))),
        );
        compose.current_dir = Some(self.root.clone());
        compose
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// It fails.
    pub(super) async fn run(&self, args: &[&str], bound: Duration) -> Result<Output, Error> {
        let output = capture(self.compose(args), b"", bound).await?;
        if output.status.success() {
            Ok(output)
        } else {
            Err(super::command::refused(
                &output.stderr,
                &describe(output.status),
            ))
        }
    }

    /// Returns the options for Adminer's profile and the profiles of the settings.
    pub(super) fn with_tools(&self) -> Vec<&str> {
        ["tools"]
            .into_iter()
            .chain(self.settings.profiles())
            .flat_map(|profile| ["--profile", profile])
            .collect()
    }

    /// Ends the services, those of all profiles: `stop`, `down`, `kill`. A settings file that cannot be read must not keep anything
    /// running.
    ///
    /// # Errors
    /// Docker does not do it.
    pub(super) async fn end(&self, verb: &str) -> Result<(), Error> {
        let words = ["--profile", "*", verb];
        if self.run(&words, STOP_BOUND).await.is_ok() {
            return Ok(());
        }
        self.run(
            &[&["--env-file", "/dev/null"], &words[..]].concat(),
            STOP_BOUND,
        )
        .await
        .map(drop)
    }

    /// Runs it to its end, handing its lines on.
    ///
    /// # Errors
    /// It fails.
    pub(super) async fn tell(
        &self,
        args: &[&str],
        bound: Duration,
        sink: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let mut compose = self.compose(args);
        compose.sink = Some(Arc::new(move |_, line: &str| sink(line)));
        let mut process = Process::new(compose);
        process.start().await?;
        let status = tokio::time::timeout(bound, process.exited()).await;
        let status = status.map_err(|_| {
            compose_failed(&format!("it did not end within {} s", bound.as_secs()))
        })??;
        if status.success() {
            Ok(())
        } else {
            Err(super::command::refused(
                &process.tail().join("\n"),
                &describe(status),
            ))
        }
    }

    /// Refuses what Compose would not do, and files that do not define what this tool starts.
    ///
    /// # Errors
    /// What that is.
    pub(super) async fn check_settings(&self, checkout: &Checkout) -> Result<(), Error> {
        self.settings.refuse(checkout)?;
        let Some(origin) = self.settings.files() else {
            return Ok(());
        };
        let listed = self.run(&["config", "--services"], SERVICES_BOUND).await?;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let missing: Vec<_> = SERVICES
            .into_iter()
            .filter(|service| !listed.lines().any(|line| line.trim() == *service))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(ComposeSettingsError::NoService {
            missing: missing.join(", "),
            origin: origin.clone(),
        }
        .into())
    }
}

/// The folder's name and the hash of its path: letters, digits, `-` and `_` are what Compose allows.
fn made_name(checkout: &Checkout) -> String {
    let folder = checkout
        .root()
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    let folder: String = folder
        .chars()
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'))
        .collect();
    let folder = folder.trim_start_matches(['-', '_']);
    format!(
        "{}-{}",
        if folder.is_empty() {
            "emotionviz"
        } else {
            folder
        },
        checkout.hash()
    )
}

/// Whether a name was made for another checkout, whose `.env` was copied.
fn is_of_a_copy(name: &str, checkout: &Checkout) -> bool {
    let Some((_, hash)) = name.rsplit_once('-') else {
        return false;
    };
    hash.len() == HASH
        && hash.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
        && hash != checkout.hash()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkout(name: &str) -> (tempfile::TempDir, Checkout) {
        let folder = tempfile::tempdir().unwrap();
        let checkout = Checkout::scratch_in(&folder.path().join(name), &[]);
        (folder, checkout)
    }

    #[test]
    fn project_names_are_valid_for_compose_and_unique_to_a_checkout() {
        let (_one, one) = checkout("Emotion Visualizer");
        let (_other, other) = checkout("Emotion Visualizer");
        assert_eq!(made_name(&one), format!("emotionvisualizer-{}", one.hash()));
        assert_ne!(made_name(&one), made_name(&other));
        assert_eq!(
            made_name(&checkout("ä").1).split('-').next(),
            Some("emotionviz")
        );
        assert!(
            is_of_a_copy(&made_name(&other), &one)
                && !is_of_a_copy(&made_name(&one), &one)
                && !is_of_a_copy("journal", &one)
        );
    }
}
