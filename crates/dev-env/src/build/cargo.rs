//! Building the service.

use std::path::PathBuf;
use std::sync::Arc;

use fast_reload::{Listener, Notice, Workspace};

use crate::build::fast::Fast;
use crate::build::pid_file;
use crate::project::configuration::Tool;
use crate::report::events::{Event, Events, Source};
use crate::service::program::Program;
use crate::{Checkout, Environment, Error};

pub use fast_reload::{BuildOptions as Options, cargo};

/// The service's package, and its program.
const PACKAGE: &str = "emotionviz";
/// Folders at the top of a checkout that nothing is built of.
const NOT_SOURCES: [&str; 4] = ["data", "docs", "node_modules", "target"];

/// The service's program, built when no setting names one.
///
/// # Errors
/// It does not compile.
pub async fn program(
    environment: &Environment,
    tool: &Tool,
    options: Options,
    events: &Events,
) -> Result<Program, Error> {
    match &tool.service_binary {
        Some((path, _)) if path.is_file() => Ok(Program::at(path.clone())?),
        Some((path, origin)) => Err(Error::hinted(
            format!(
                "SERVICE_BINARY (from {origin}) is {}, which is not a file",
                path.display()
            ),
            "set it to a built emotionviz, or to nothing to build one",
        )),
        None => build(&environment.checkout, options, events).await,
    }
}

/// Builds the program, or returns the last build if the sources do not compile.
///
/// # Errors
/// The sources do not compile, and there is no earlier build.
pub async fn newest_program(
    environment: &Environment,
    tool: &Tool,
    options: Options,
    events: &Events,
) -> Result<Program, Error> {
    let error = match program(environment, tool, options, events).await {
        Err(error @ Error::Build { .. }) => error,
        other => return other,
    };
    let built = [
        environment.kept_program(),
        environment.checkout.build_folder().join("debug/emotionviz"),
    ];
    let time = |path: &PathBuf| {
        std::fs::metadata(path)
            .and_then(|metadata| metadata.modified())
            .ok()
    };
    let Some(last) = built
        .into_iter()
        .filter(|path| path.is_file())
        .max_by_key(time)
    else {
        return Err(error);
    };
    events.warn(format!(
        "the sources do not compile; using the last build of the service ({})",
        last.display()
    ));
    Ok(Program::at(last)?)
}

async fn build(checkout: &Checkout, options: Options, events: &Events) -> Result<Program, Error> {
    let built = workspace(checkout).build(options, &listener(events)).await;
    if let Err(fast_reload::Error::Compile { .. }) = built {
        events.tell(Event::BuildFailed);
    }
    Ok(built?)
}

/// The workspace of a checkout, whose program is the service.
pub fn workspace(checkout: &Checkout) -> Workspace {
    let (root, build_dir) = (checkout.root().to_owned(), checkout.intermediate_folder());
    Workspace {
        root,
        package: PACKAGE.to_owned(),
        binary: PACKAGE.to_owned(),
        target_dir: checkout.build_folder(),
        sources_file: build_dir.join(format!("sources-{}", checkout.hash())),
        build_dir,
        pid_file: pid_file::path(checkout),
        ignored: NOT_SOURCES.map(str::to_owned).into(),
    }
}

/// Converts what a build or a watcher reports.
pub(super) fn listener(events: &Events) -> Listener {
    let events = events.clone();
    Arc::new(move |notice| match notice {
        Notice::Waiting { holder } => events.phase(format!("waiting for the build of {holder}")),
        Notice::Building => events.phase("building the service"),
        Notice::Output(line) => events.tell(Event::Output {
            from: Source::Build,
            line,
        }),
        Notice::Polling { every, reason } => events.note(format!(
            "files are looked at every {} ms for changes: {reason}",
            every.as_millis()
        )),
        Notice::Unwatched { folder, reason } => {
            events.warn(format!("{} cannot be watched: {reason}", folder.display()));
        }
        Notice::Lost { reason } => events.warn(format!(
            "{reason}\nchanges are not noticed any more: cargo dev down, then cargo dev up"
        )),
    })
}

/// How the crates of the service are replaced.
///
/// # Errors
/// The reason why that is not possible here.
pub(crate) fn fast(checkout: &Checkout) -> Result<Fast, &'static str> {
    workspace(checkout).replay().map(Fast)
}

impl From<fast_reload::Error> for Error {
    fn from(error: fast_reload::Error) -> Self {
        use fast_reload::Error as Failed;
        match error {
            Failed::Io {
                doing,
                path,
                source,
            } => Self::io(doing, &path, source),
            Failed::Compile { errors } => Self::Build { said: errors },
            Failed::NoProgram { .. } => Self::hinted(
                "cargo built no program `emotionviz`",
                "look: cargo build --package emotionviz --bin emotionviz",
            ),
            Failed::Locked { waited } => Self::hinted(
                format!(
                    "another build of the service did not finish in {} s",
                    waited.as_secs()
                ),
                "look what it waits for, or end it: pgrep -af 'cargo build'",
            ),
            Failed::Watch { reason } => Self::hinted(
                format!("changes of files cannot be noticed: {reason}"),
                "without that: cargo dev up --no-reload, and cargo dev restart after a change",
            ),
            Failed::Process(source) => source.into(),
        }
    }
}
