//! What is run inside the containers. The database's own socket asks for no password there, so none is passed on.

use std::io::IsTerminal;
use std::time::Duration;

use emotionviz_settings::DatabaseUrl;
use emotionviz_settings::declared::MIGRATION_DATABASE_URL;
use secrecy::ExposeSecret;

use super::containers::Containers;
use super::project::Project;
use super::supervisor_status;
use crate::database::session::application_name;
use crate::project::configuration::Tool;
use crate::report::events::Events;
use crate::service::migrations;
use crate::{Checkout, Error};
use process::{Configuration, FileLock, Output, capture};

/// An index on a large table takes its time.
const MIGRATE_BOUND: Duration = Duration::from_secs(3600);
/// A container that is to know the migrations of now builds them first.
const BUILD_BOUND: Duration = Duration::from_secs(600);
const POLL: Duration = Duration::from_millis(300);
/// What was saved is noticed by then, where files are looked at again and again, too.
const NOTICED: Duration = Duration::from_secs(3);
/// A database that is made, by scripts of the user's.
const START_BOUND: Duration = Duration::from_secs(600);

/// The database's container, which runs, and the API's, if it does.
pub(crate) struct Inside {
    project: Project,
    db: String,
    api: Option<String>,
    /// Whether the API's container builds what is saved.
    reloads: bool,
    user: String,
    /// The database's port on this machine.
    pub(crate) port: u16,
}

impl Inside {
    /// Those of a project; `None` when its database does not run.
    pub(super) fn of(project: &Project, containers: &Containers, tool: &Tool) -> Option<Self> {
        let db = containers.running("db")?;
        Some(Self {
            project: project.clone(),
            db: db.id.clone(),
            api: containers.running("api").map(|api| api.id.clone()),
            reloads: containers.options().reload,
            user: tool.user.clone(),
            port: db.port?,
        })
    }

    /// Returns whether the services run, and not only the database.
    pub(crate) fn runs_api(&self) -> bool {
        self.api.is_some()
    }

    /// A client program beside the server: psql, pg_dump. With `terminal` it may be typed to.
    pub(crate) fn client(&self, program: &str, database: &str, terminal: bool) -> Configuration {
        let mut client = Configuration::new(program, "docker").args(["exec", "--interactive"]);
        if terminal && std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
            client = client.args(["--tty"]);
        }
        let variables = [
            format!("CLIENT_USER={}", self.user),
            format!("CLIENT_DATABASE={database}"),
            format!("CLIENT_APPLICATION={}", application_name()),
        ];
        let client = variables.into_iter().fold(client, |client, variable| {
            client.args(["--env".to_owned(), variable])
        });
        // The container's environment has the PostgreSQL variables of the settings files; the script removes them.
        client.args([&self.db, "sh", "/emotionviz/db/client", program])
    }

    /// Runs the service's `migrate` as the database's owner and returns what it printed, success or not.
    ///
    /// # Errors
    /// The container does not run.
    pub(crate) async fn migrate(&self, url: &DatabaseUrl, args: &[&str]) -> Result<Output, Error> {
        let url = DatabaseUrl {
            host: "db".to_owned(),
            port: 5432,
            ..url.clone()
        };
        self.run(&url, args).await
    }

    /// How the migrations stand.
    ///
    /// # Errors
    /// The container's program does not say.
    pub(crate) async fn applied(
        &self,
        url: &DatabaseUrl,
    ) -> Result<crate::report::migrations::Applied, Error> {
        let url = DatabaseUrl {
            host: "db".to_owned(),
            port: 5432,
            ..url.clone()
        };
        migrations::read(&self.run(&url, &["status", "--json"]).await?)
    }

    async fn run(&self, url: &DatabaseUrl, args: &[&str]) -> Result<Output, Error> {
        let variable = MIGRATION_DATABASE_URL.info.name;
        let words = ["emotionviz", "migrate"];
        let command = match &self.api {
            Some(api) => {
                Configuration::new("the migration", "docker").args(["exec", "--env", variable, api])
            }
            None => {
                self.project
                    .compose(&["run", "--rm", "--no-deps", "-T", "--env", variable, "api"])
            }
        };
        // In its environment, from where docker takes it: its arguments are everybody's to read.
        let command = command
            .args(words)
            .args(args.iter().copied())
            .env(variable, url.to_secret().expose_secret());
        Ok(capture(command, b"", MIGRATE_BOUND).await?)
    }

    /// Waits until the program in the container contains the migrations that the command needs: a new migration may not be compiled yet.
    ///
    /// # Errors
    /// The files are newer than the program, and the program is not rebuilt.
    pub(crate) async fn wait_for_files(
        &self,
        checkout: &Checkout,
        url: &DatabaseUrl,
        args: &[&str],
        events: &Events,
    ) -> Result<(), Error> {
        if !matches!(args, ["up" | "to", ..]) {
            return Ok(());
        }
        let url = DatabaseUrl {
            host: "db".to_owned(),
            port: 5432,
            ..url.clone()
        };
        let begun = tokio::time::Instant::now();
        loop {
            let applied = migrations::read(&self.run(&url, &["status", "--json"]).await?)?;
            let files = migrations::files(checkout)?;
            let Some(newer) = files.iter().rfind(|file| applied.of(file).is_none()) else {
                return Ok(());
            };
            if begun.elapsed() >= BUILD_BOUND
                || !self
                    .will_build(newer.version, begun.elapsed() >= NOTICED)
                    .await
            {
                return Err(Error::OldProgram {
                    version: newer.version,
                });
            }
            events.phase("waiting until the container has built the new migration");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Whether the API's container is to know a new migration by itself, which it has `noticed` or not.
    async fn will_build(&self, version: i64, noticed: bool) -> bool {
        match self.api.as_deref().filter(|_| self.reloads) {
            Some(api) => {
                !noticed
                    || !supervisor_status::seen(Some(api))
                        .await
                        .has_given_up(version)
            }
            None => false,
        }
    }
}

/// A database that was started for a moment. To be ended.
pub(crate) struct Moment {
    project: Project,
    /// Whether there was no container before.
    new: bool,
    _locks: [FileLock; 2],
}

impl Moment {
    pub(super) async fn start(
        project: &Project,
        new: bool,
        locks: [FileLock; 2],
        events: &Events,
    ) -> Result<Self, Error> {
        let moment = Self {
            project: project.clone(),
            new,
            _locks: locks,
        };
        let up = ["up", "--detach", "--wait", "--wait-timeout", "600", "db"];
        if let Err(error) = project.tell(&up, START_BOUND, |_| {}).await {
            let said = super::logs::last_words(project, "db").await;
            moment.end().await?;
            return Err(if said.is_empty() {
                error
            } else {
                super::command::of_last_words("db", &said)
            });
        }
        events.phase("the database runs");
        Ok(moment)
    }

    /// Stops it, and removes what was not there before.
    ///
    /// # Errors
    /// It does not stop.
    pub(crate) async fn end(self) -> Result<(), Error> {
        self.project
            .end(if self.new { "down" } else { "stop" })
            .await
    }
}
