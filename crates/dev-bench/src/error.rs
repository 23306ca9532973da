use std::collections::BTreeMap;
use std::path::PathBuf;

use dev_env::Error;
use process::ProcessError;

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The environment said no.
    #[error(transparent)]
    Environment(#[from] Error),
    /// A process said no.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// Another benchmark is under way.
    #[error(
        "another benchmark of this checkout is under way, and both would measure each other\nwait for it"
    )]
    Busy,
    /// What is measured does not compile.
    #[error(
        "the release build failed; the compiler's messages are above\nmend them, then: cargo dev bench"
    )]
    Build,
    /// cargo built something else.
    #[error("cargo built no program {name}\nlook: cargo build --release --package {name}")]
    NoProgram {
        /// The program.
        name: &'static str,
    },
    /// A server never answered, and its log says more than it printed.
    #[error("{name} did not answer GET {path}; its log ends with:\n{log}")]
    Silent {
        /// The server.
        name: String,
        /// What was asked.
        path: &'static str,
        /// The end of its log.
        log: String,
    },
    /// A server answered something else than was needed to go on.
    #[error("{what} was answered with {status}: {body}")]
    Refused {
        /// What was asked.
        what: String,
        /// The status.
        status: u16,
        /// The answer's body.
        body: String,
    },
    /// A request could not be made.
    #[error("{what} was not answered: {source}")]
    Unanswered {
        /// What was asked.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A load was not answered as it should have been: its figures would mean nothing.
    #[error(
        "{what}: {answered} requests succeeded, and others did not ({}); the figures would mean nothing",
        listed(failures)
    )]
    Failures {
        /// What was asked.
        what: String,
        /// How often that went well.
        answered: u64,
        /// How often what else happened.
        failures: BTreeMap<String, u64>,
    },
    /// The load generator did not report.
    #[error("{} gave no report: {reason}", program.display())]
    NoReport {
        /// The generator.
        program: PathBuf,
        /// What it said instead.
        reason: String,
    },
    /// The service ended while it was measured.
    #[error("the service ended while it was measured")]
    Ended,
    /// The database is not as safe as the development one: the figures would be too good.
    #[error(
        "the database of the benchmark has {setting} = {value}, and the figures of writes would be too good"
    )]
    NotDurable {
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: String,
    },
    /// The files of the checkout are not known.
    #[error("git does not name the files of this checkout: {said}")]
    NoFiles {
        /// What git said.
        said: String,
    },
    /// The sources are not what the benchmark expects.
    #[error(
        "{file} has no {text:?} any more, which the benchmark edits\nit has to follow: crates/dev-env/src/bench/reload"
    )]
    Unplantable {
        /// The file.
        file: String,
        /// What it should hold.
        text: String,
    },
    /// An edit did not go live as it should.
    #[error("{what} did not do what it should: {reason}")]
    NotLive {
        /// The edit.
        what: String,
        /// What happened instead.
        reason: String,
    },
    /// What answers is not what was saved.
    #[error("after {what} the service answers:\n{shown}\nan ordinary build answers:\n{expected}")]
    Stale {
        /// The edit.
        what: String,
        /// By the environment.
        shown: String,
        /// By cargo.
        expected: String,
    },
    /// Fewer rows were found than answers said were written.
    #[error("{answered} entries were answered as created, and {found} are in the database")]
    Lost {
        /// Answers.
        answered: u64,
        /// Rows.
        found: u64,
    },
}

fn listed(failures: &BTreeMap<String, u64>) -> String {
    if failures.is_empty() {
        return "no answer at all".to_owned();
    }
    failures
        .iter()
        .map(|(how, count)| format!("{how}: {count}"))
        .collect::<Vec<_>>()
        .join(", ")
}
