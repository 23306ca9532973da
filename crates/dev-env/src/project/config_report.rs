//! The settings as they are, for people: secrets masked.

use emotionviz_settings::{DatabaseUrl, Info, Origin, declared};
use serde::Serialize;

use crate::Error;
use crate::project::configuration::Configuration;

/// A setting's value and where it comes from.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// Its name.
    pub name: &'static str,
    /// Its value, masked when it is a secret; `None` when it has none.
    pub value: Option<String>,
    /// Where the value comes from: `environment`, `file` or `default`.
    pub origin: &'static str,
    /// The file and line, when it is one.
    pub place: Option<String>,
    /// Whether it is a secret.
    pub secret: bool,
}

/// Everything about one setting.
#[derive(Clone, Debug)]
pub struct Explained {
    /// What it is now.
    pub shown: Shown,
    /// What it does.
    pub meaning: String,
    /// The values that it takes.
    pub takes: &'static str,
    /// What holds when nobody sets it.
    pub default: Option<&'static str>,
}

/// All settings.
pub fn all(configuration: &Configuration) -> Vec<Shown> {
    declared::ALL
        .iter()
        .map(|info| shown(configuration, info))
        .collect()
}

/// One setting, whatever the case of its name.
///
/// # Errors
/// There is none of this name.
pub fn explain(configuration: &Configuration, name: &str) -> Result<Explained, Error> {
    let wanted = name.to_ascii_uppercase();
    let info = declared::find(&wanted).ok_or_else(|| {
        let suggestion = nearest(&wanted)
            .map(|nearest| format!("; did you mean {nearest}?"))
            .unwrap_or_default();
        Error::hinted(
            format!("there is no setting {name}{suggestion}"),
            "all of them: cargo dev config show",
        )
    })?;
    Ok(Explained {
        shown: shown(configuration, info),
        meaning: info.meaning(),
        takes: info.takes,
        default: info.default,
    })
}

fn shown(configuration: &Configuration, info: &Info) -> Shown {
    let (value, origin) = configuration
        .values()
        .text(info)
        .map_or((None, Origin::Default), |(text, origin)| {
            (Some(text), origin)
        });
    let value = value.map(|text| match (info.secret, text.parse::<DatabaseUrl>()) {
        (false, _) => text.to_owned(),
        (true, Ok(url)) => url.masked(),
        (true, Err(_)) => "***".to_owned(),
    });
    let (origin, place) = match origin {
        Origin::Environment => ("environment", None),
        Origin::File(path, line) => ("file", Some(format!("{}:{line}", path.display()))),
        Origin::Default => ("default", None),
    };
    Shown {
        name: info.name,
        value,
        origin,
        place,
        secret: info.secret,
    }
}

/// The name that shares most words with a mistyped one.
fn nearest(wanted: &str) -> Option<String> {
    let shared = |info: &&Info| {
        wanted
            .split('_')
            .filter(|word| info.name.split('_').any(|part| part == *word))
            .count()
    };
    let best = declared::ALL.iter().max_by_key(shared)?;
    (shared(&best) > 0).then(|| best.name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_setting_is_reported_with_the_closest_name() {
        assert_eq!(
            nearest("POSTGRES_PASWORD_API").as_deref(),
            Some("POSTGRES_API_PASSWORD")
        );
        assert_eq!(nearest("JWT_KEY").as_deref(), Some("JWT_SECRET_KEY"));
        assert_eq!(nearest("NONSENSE"), None);
    }
}
