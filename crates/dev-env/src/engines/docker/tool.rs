//! This tool in the API's container.

use process::Configuration;

/// This tool in the API's container, of this id, where it asks the supervisor.
pub(crate) fn tool_inside(api: &str, verb: &str) -> Configuration {
    let script = format!("exec \"$CARGO_TARGET_DIR/debug/dev-cli\" --engine=native {verb}");
    Configuration::new("docker exec", "docker").args(["exec", api, "sh", "-c", &script])
}
