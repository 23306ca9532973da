//! docker-compose.yml against the declared settings. (What it does is tested in `tests/docker`.)

use emotionviz_settings::declared::{self, API_HOST, API_PORT, DATABASE_URL, LOG_DIR, MIGRATION_DATABASE_URL};
use emotionviz_settings::{Info, Use};

use crate::support::workspace;

fn compose_file() -> String {
    std::fs::read_to_string(workspace().join("docker-compose.yml")).unwrap()
}

/// The `${NAME:-default}` of the file.
fn variables(text: &str) -> Vec<(&str, &str)> {
    text.split("${")
        .skip(1)
        .map(|rest| rest.split_once('}').unwrap().0)
        .map(|inside| inside.split_once(":-").unwrap_or((inside, "?")))
        .collect()
}

#[test]
fn defaults_are_those_of_the_declarations() {
    let text = compose_file();
    let variables = variables(&text);
    assert!(variables.len() > 15, "{variables:?}");
    // Every tool's, and no setting of ours.
    for (name, default) in variables.into_iter().filter(|(name, _)| *name != "NO_COLOR") {
        let info = declared::find(name).unwrap_or_else(|| panic!("{name} is no setting"));
        assert!(default.is_empty() || Some(default) == info.default, "{name} has another default than the code: {default:?}");
    }
}

#[test]
fn every_setting_of_the_service_is_passed_on() {
    let text = compose_file();
    // Where the service runs and what it connects to is the container's own business.
    let own =
        [&API_HOST.info, &API_PORT.info, &DATABASE_URL.info, &MIGRATION_DATABASE_URL.info, &LOG_DIR.info].map(|info: &Info| info.name);
    for info in declared::ALL.iter().filter(|info| info.used_by != Use::Tool && !own.contains(&info.name)) {
        let line = format!("{0}: ${{{0}:-}}", info.name);
        assert!(text.contains(&line), "docker-compose.yml has no {line}");
    }
}

#[test]
fn nothing_that_ties_it_to_one_checkout() {
    let text = compose_file();
    for key in ["version:", "container_name:", "    name:", ":latest", "privileged"] {
        assert!(!text.contains(key), "{key}");
    }
    // As the Dockerfile and the scripts of the database have them.
    let settings = std::fs::read_to_string(workspace().join("backend/docker/db/settings")).unwrap();
    for info in [&declared::POSTGRES_USER.info, &declared::POSTGRES_PASSWORD.info, &declared::POSTGRES_DB.info] {
        let default = info.default.or(info.example).unwrap();
        assert!(settings.contains(&format!("${{{}:-{default}}}", info.name)), "{}", info.name);
    }
}
