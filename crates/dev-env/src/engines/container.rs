//! What runs in the development container: the supervisor, over the mounted sources, and what is typed in there.
//!
//! Compose starts the database beside it; the supervisor waits for that, and makes the API's role. Everything that is written stands
//! in volumes: the sources are mounted to be read.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitStatus;

use emotionviz_settings::AppEnv;
use emotionviz_settings::declared::{self, APP_ENV, MIGRATION_DATABASE_URL};
use secrecy::ExposeSecret;

use crate::database::container as database;
use crate::project::configuration::{External, Variables, container as settings};
use crate::report::events::Events;
use crate::report::up::UpOptions;
use crate::{Environment, Error, supervisor};
use process::shutdown::Shutdown;
use process::{Configuration, on_terminal};

/// Runs the services until somebody asks to stop; what is changed goes live.
///
/// # Errors
/// They cannot be started, or the container has to be started again.
pub async fn up(
    folder: &Path,
    variables: Variables,
    options: UpOptions,
    events: &Events,
    stop: &Shutdown,
) -> Result<(), Error> {
    let environment = Environment::in_container(folder, variables)?;
    settings::misplaced(&environment.checkout)?
        .iter()
        .for_each(|note| events.warn(note));
    supervisor::run(&environment, options, events, stop)
        .await
        .map(drop)
}

/// Runs a program with what the database's owner needs in its environment: for `emotionviz migrate`, psql.
///
/// # Errors
/// The settings do not fit, or the program does not run.
pub async fn run(
    folder: &Path,
    variables: Variables,
    program: OsString,
    args: Vec<OsString>,
) -> Result<ExitStatus, Error> {
    let owner = beside(folder, variables)?.migration_url;
    let mut command = unset(program, args);
    command.env.extend(
        database::owner(&owner)
            .variables()
            .into_iter()
            .map(|(name, value)| (name, Some(value))),
    );
    let command = command
        .env(APP_ENV.info.name, AppEnv::Development.as_str())
        .env(
            MIGRATION_DATABASE_URL.info.name,
            owner.to_secret().expose_secret(),
        );
    Ok(on_terminal(command).await?)
}

/// Runs tests: on databases of their own, beside the development database.
///
/// # Errors
/// The settings do not fit, the database does not answer, or the program does not run.
pub async fn test(
    folder: &Path,
    variables: Variables,
    program: OsString,
    args: Vec<OsString>,
) -> Result<ExitStatus, Error> {
    let url = database::for_tests(&beside(folder, variables)?).await?;
    Ok(
        on_terminal(unset(program, args).env("TEST_DATABASE_URL", url.to_secret().expose_secret()))
            .await?,
    )
}

/// The database beside this container.
fn beside(folder: &Path, variables: Variables) -> Result<External, Error> {
    let environment = Environment::in_container(folder, variables)?;
    let tool = environment.configuration.tool(&environment.checkout)?;
    Ok(tool.external.expect("in the container there always is one"))
}

/// A program without the settings of the container: it is told what it needs.
fn unset(program: OsString, args: Vec<OsString>) -> Configuration {
    let mut command = Configuration::new(program.to_string_lossy(), &program).args(args);
    command.env = declared::ALL
        .iter()
        .map(|info| (info.name.into(), None))
        .collect();
    command
}
