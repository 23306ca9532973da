//! The status of the supervisor in the API's container.

use std::time::Duration;

use serde::Deserialize;

use super::tool::tool_inside;
use crate::report::reload::{Reload, Watching};
use crate::report::snapshot::WAITING_FOR_SOURCES;
use process::capture;

/// A container that compiles may not answer.
const BOUND: Duration = Duration::from_secs(4);

/// What the supervisor in the API's container tells of itself.
#[derive(Default, Deserialize)]
pub(super) struct Seen {
    pub(super) doing: Option<String>,
    pub(super) watching: Option<Watching>,
    #[serde(default)]
    pub(super) reloads: Vec<Reload>,
}

impl Seen {
    /// Whether it waits for another edit, since it could not let the one of a migration go live, or build anything at all.
    pub(super) fn has_given_up(&self, version: i64) -> bool {
        let is_of_it = |path: &String| {
            path.rsplit('/')
                .next()
                .is_some_and(|name| name.starts_with(&format!("{version}_")))
        };
        let waits_to_be_mended = self.doing.as_deref() == Some(WAITING_FOR_SOURCES);
        waits_to_be_mended
            || self.doing.is_none()
                && self
                    .reloads
                    .last()
                    .is_some_and(|last| last.failed() && last.changed.iter().any(is_of_it))
    }
}

pub(super) async fn seen(api: Option<&str>) -> Seen {
    let Some(api) = api else {
        return Seen::default();
    };
    // While it compiles itself it says nothing.
    let said = tokio::time::timeout(
        BOUND,
        capture(tool_inside(api, "status --json"), b"", BOUND),
    )
    .await;
    said.ok()
        .and_then(Result::ok)
        .and_then(|output| serde_json::from_slice(&output.stdout).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_reload_is_reported_once() {
        let seen = |doing: &str, outcome: &str| {
            let changed =
                r#"["backend/app/src/lib.rs","backend/db/migrations/20251124000000_a.up.sql"]"#;
            let reload = format!(r#"{{"at":"","changed":{changed},"outcome":{outcome}}}"#);
            serde_json::from_str::<Seen>(&format!(
                r#"{{"doing":{doing},"watching":null,"reloads":[{reload}]}}"#
            ))
            .unwrap()
        };
        let failed = r#""failed","reason":"it does not compile""#;
        assert!(seen("null", failed).has_given_up(20_251_124_000_000));
        assert!(
            !seen("null", failed).has_given_up(20_251_124_000_001),
            "that one was not there yet"
        );
        assert!(!seen("\"building\"", failed).has_given_up(20_251_124_000_000));
        assert!(!Seen::default().has_given_up(20_251_124_000_000));
        let mended = Seen {
            doing: Some(WAITING_FOR_SOURCES.to_owned()),
            ..Seen::default()
        };
        assert!(
            mended.has_given_up(20_251_124_000_000),
            "its very first build"
        );
    }
}
