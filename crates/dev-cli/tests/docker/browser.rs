//! Adminer in a real browser, with the four values that the specification prints.

use std::process::Command;

use crate::support::docker::finish;
use crate::support::{Project, eventually, get};

/// The form that Adminer shows, filled in and sent off: what somebody types, and the button.
const FORM: &str = r#"<form method="post" action="http://127.0.0.1:PORT/">
<input name="auth[driver]" value="pgsql"><input name="auth[server]" value="db"><input name="auth[username]" value="emotionviz">
<input name="auth[password]" value="devpassword"><input name="auth[db]" value="emotionviz_db"></form>
<script>document.forms[0].submit()</script>"#;

#[test]
fn adminer_logs_in() {
    let Some(project) = Project::new() else { return };
    project.ok(&["--profile", "tools", "up", "-d", "--wait", "db", "adminer"]);
    project.sql("CREATE TABLE seen_in_a_browser ()");
    let port = project.port("adminer", "8080");
    let page = eventually("Adminer", || Some(get(port, "/")).filter(|page| page.starts_with("HTTP/1.1 200")));
    assert!(page.contains("name=\"auth[server]\" value=\"db\""), "the specification's server is there already: {page}");
    let environment = project.inspect("adminer", "{{.Config.Env}}");
    assert!(environment.contains("ADMINER_DEFAULT_SERVER=db") && environment.contains("ADMINER_DESIGN=nette"), "{environment}");

    let form = project.path("form.html");
    std::fs::write(&form, FORM.replace("PORT", &port.to_string())).unwrap();
    let mut browser = Command::new("chromium");
    let profile = format!("--user-data-dir={}", project.path("profile").display());
    browser.args(["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=15000", "--dump-dom", &profile]).arg(&form);
    let seen = finish(browser, b"").expect_code(0);
    assert!(seen.stdout.contains("seen_in_a_browser"), "{seen}");
}
