use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::setting::Setting;
use crate::{Info, Kind};

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The environment of the process.
    Environment,
    /// A file, and the line in it.
    File(PathBuf, usize),
    /// Nobody set it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("the environment"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Default => f.write_str("the default"),
        }
    }
}

/// Something wrong with a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The setting.
    pub name: &'static str,
    /// Where its value comes from.
    pub origin: Origin,
    /// What is wrong, as a clause that follows the name.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.what)?;
        match &self.origin {
            Origin::Default => Ok(()),
            origin => write!(f, " (from {origin})"),
        }
    }
}

/// All that is wrong with the settings, reported together.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings do not fit:")?;
        self.0
            .iter()
            .try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// What was set, layer over layer. An empty value counts as not set.
#[derive(Clone, Default)]
pub struct Values(BTreeMap<String, (String, Origin)>);

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.0.iter().map(|(name, (_, origin))| (name, origin)))
            .finish()
    }
}

impl Values {
    /// Puts a layer below the ones that are there: what they set stays.
    #[must_use]
    pub fn or(mut self, layer: impl IntoIterator<Item = (String, String, Origin)>) -> Self {
        for (name, text, origin) in layer {
            if !text.is_empty() {
                self.0.entry(name).or_insert((text, origin));
            }
        }
        self
    }

    /// Sets a value over whatever is there.
    pub fn set(&mut self, name: &str, text: String, origin: Origin) {
        self.0.insert(name.to_owned(), (text, origin));
    }

    /// The process environment as the top layer. Names or values that are no UTF-8 are passed over.
    pub fn from_environment(
        vars: impl IntoIterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
    ) -> Self {
        Self::default().or(vars.into_iter().filter_map(|(name, text)| {
            Some((
                name.into_string().ok()?,
                text.into_string().ok()?,
                Origin::Environment,
            ))
        }))
    }

    /// The text of a setting and where it comes from; the default when nobody set it.
    pub fn text(&self, info: &Info) -> Option<(&str, Origin)> {
        match self.0.get(info.name) {
            Some((text, origin)) => Some((text, origin.clone())),
            None => info.default.map(|text| (text, Origin::Default)),
        }
    }

    /// Returns the value and origin of a variable that is not a setting of this project.
    pub fn foreign(&self, name: &str) -> Option<(&str, &Origin)> {
        self.0
            .get(name)
            .map(|(text, origin)| (text.as_str(), origin))
    }

    /// Whether somebody set it.
    pub fn is_set(&self, info: &Info) -> bool {
        self.0.contains_key(info.name)
    }

    /// The value of a setting, `None` when it has none.
    ///
    /// # Errors
    /// The problem, when the text is no value of the setting's type.
    pub fn read<T: Kind>(&self, setting: &Setting<T>) -> Result<Option<T>, Problem> {
        let Some((text, origin)) = self.text(&setting.info) else {
            return Ok(None);
        };
        T::read(text).map(Some).map_err(|what| Problem {
            name: setting.info.name,
            origin,
            what,
        })
    }

    /// The value of a setting that has a default.
    ///
    /// # Errors
    /// The problem, when the text is no value of the setting's type.
    ///
    /// # Panics
    /// When the setting is declared without a default.
    pub fn get<T: Kind>(&self, setting: &Setting<T>) -> Result<T, Problem> {
        self.read(setting).map(|value| {
            value.unwrap_or_else(|| panic!("{} is declared without a default", setting.info.name))
        })
    }

    /// The value of a setting that somebody must set.
    ///
    /// # Errors
    /// The problem, when it is not set, or the text is no value of the setting's type.
    pub fn require<T: Kind>(&self, setting: &Setting<T>) -> Result<T, Problem> {
        self.read(setting)?
            .ok_or_else(|| self.problem(&setting.info, "is not set"))
    }

    /// A problem with a setting's value, whatever it is.
    pub fn problem(&self, info: &Info, what: impl Into<String>) -> Problem {
        let origin = self
            .text(info)
            .map_or(Origin::Default, |(_, origin)| origin);
        Problem {
            name: info.name,
            origin,
            what: what.into(),
        }
    }
}
