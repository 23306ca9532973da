//! What CI checks beside the tests: format, lints, dependencies.

use std::path::Path;
use std::time::Duration;

use crate::build::cargo;
use crate::report::events::Events;
use crate::{Checkout, Error};
use process::{Configuration, capture, on_terminal};

const PROBE_BOUND: Duration = Duration::from_secs(60);
const ADVISORIES_BOUND: Duration = Duration::from_secs(120);

/// How a check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passed.
    Passed,
    /// It failed; what is wrong is on the terminal.
    Failed,
    /// Its tool is not installed.
    Missing {
        /// The command that installs it.
        install: &'static str,
    },
    /// What it needs cannot be reached.
    Unreachable,
}

/// One check.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    args: &'static [&'static str],
    probe: &'static [&'static str],
    install: &'static str,
    /// What CI does without when its network is down.
    needs_network: bool,
}

/// All of them, the quick ones first.
pub const ALL: [Check; 4] = [
    Check {
        name: "format",
        args: &["fmt", "--all", "--check"],
        probe: &["fmt", "--version"],
        install: "rustup component add rustfmt",
        needs_network: false,
    },
    Check {
        name: "licences, sources, bans",
        args: &["deny", "check", "bans", "licenses", "sources"],
        probe: DENY_PROBE,
        install: INSTALL_DENY,
        needs_network: false,
    },
    Check {
        name: "advisories",
        args: &["deny", "check", "advisories"],
        probe: DENY_PROBE,
        install: INSTALL_DENY,
        needs_network: true,
    },
    Check {
        name: "lints",
        args: &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ],
        probe: &["clippy", "--version"],
        install: "rustup component add clippy",
        needs_network: false,
    },
];

const DENY_PROBE: &[&str] = &["deny", "--version"];
const INSTALL_DENY: &str = "cargo install --locked cargo-deny";

impl Check {
    /// What keeps it from being run, if anything does.
    ///
    /// # Errors
    /// cargo cannot be started.
    pub async fn obstacle(
        &self,
        checkout: &Checkout,
        events: &Events,
    ) -> Result<Option<Outcome>, Error> {
        let root = checkout.root();
        let probe = capture(cargo(root, self.probe), b"", PROBE_BOUND).await?;
        if !probe.status.success() {
            return Ok(Some(Outcome::Missing {
                install: self.install,
            }));
        }
        events.note(format!("{}: cargo {}", self.name, self.args.join(" ")));
        let unreachable = self.needs_network && !is_reachable(root).await?;
        Ok(unreachable.then_some(Outcome::Unreachable))
    }

    /// Runs it on the terminal, whose Ctrl-C it hears itself.
    ///
    /// # Errors
    /// cargo cannot be started.
    pub async fn run(&self, checkout: &Checkout) -> Result<Outcome, Error> {
        let status = on_terminal(cargo(checkout.root(), self.args)).await?;
        Ok(if status.success() {
            Outcome::Passed
        } else {
            Outcome::Failed
        })
    }
}

/// Whether the database of advisories can be fetched.
async fn is_reachable(root: &Path) -> Result<bool, Error> {
    match capture(cargo(root, &["deny", "fetch", "db"]), b"", ADVISORIES_BOUND).await {
        Ok(output) => Ok(output.status.success()),
        Err(process::ProcessError::NotReady { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn cargo(root: &Path, args: &[&str]) -> Configuration {
    cargo::cargo(root).args(args)
}
