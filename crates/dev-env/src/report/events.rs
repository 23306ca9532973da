//! What a long piece of work tells while it goes on. Whoever asked for it shows it, or does not.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::report::lan;
use crate::report::reload::Reload;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// What goes on from now, as a clause: "building the service".
    Phase(String),
    /// How far it has come.
    Progress {
        /// What goes on.
        what: String,
        /// Bytes done.
        done: u64,
        /// Bytes in all, when that is known.
        total: Option<u64>,
    },
    /// Something that a person wants to know.
    Note(String),
    /// Something that a person should do something about.
    Warning(String),
    /// A line that a service or a tool printed.
    Output {
        /// Who.
        from: Source,
        /// The line.
        line: String,
    },
    /// The build failed; what the compiler said of it has been told.
    BuildFailed,
    /// Everything that was asked for runs.
    Ready(Vec<Address>),
    /// Changed code or settings went live, or could not.
    Reload(Reload),
    /// Nothing goes on any more.
    Idle,
}

/// Whose output a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The HTTP service.
    Api,
    /// PostgreSQL.
    Db,
    /// cargo.
    Build,
    /// The environment itself.
    Dev,
}

impl Source {
    /// Its short name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Db => "db",
            Self::Build => "build",
            Self::Dev => "dev",
        }
    }
}

/// Where something answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// What answers there.
    pub name: String,
    /// The URL; a password in it is masked.
    pub url: String,
    /// The URL drawn for a phone's camera, where a phone is to go there.
    pub code: Option<String>,
}

impl Address {
    pub(crate) fn new(name: &str, url: String) -> Self {
        Self {
            name: name.to_owned(),
            url,
            code: None,
        }
    }

    /// Where a phone reaches the API.
    pub(crate) fn for_phones(url: String) -> Self {
        Self {
            code: lan::code(&url),
            ..Self::new("API in the local network", url)
        }
    }
}

/// Who is told.
#[derive(Clone)]
pub struct Events(Arc<dyn Fn(Event) + Send + Sync>);

impl Events {
    /// Tells `listener` everything.
    pub fn new(listener: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    /// Tells nobody.
    pub fn silent() -> Self {
        Self::new(drop)
    }

    /// Tells one thing.
    pub fn tell(&self, event: Event) {
        (self.0)(event);
    }

    /// Begins a phase.
    pub fn phase(&self, what: impl Into<String>) {
        self.tell(Event::Phase(what.into()));
    }

    /// Says something.
    pub fn note(&self, text: impl Into<String>) {
        self.tell(Event::Note(text.into()));
    }

    /// Warns.
    pub fn warn(&self, text: impl Into<String>) {
        self.tell(Event::Warning(text.into()));
    }
}
