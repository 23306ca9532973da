//! Adminer in a real browser: its own form, with the four values that the specification prints.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::{PATIENCE, Project, eventually, get};

/// The form's fields, and what is typed into them. The system and the specification's server stand there already.
const TYPED: [(&str, &str); 3] = [
    ("auth[username]", "emotionviz"),
    ("auth[password]", "devpassword"),
    ("auth[db]", "emotionviz_db"),
];

#[test]
#[ignore = "long: Docker"]
fn adminer_logs_in_with_the_values_of_the_specification() {
    if !Browser::is_there() {
        return;
    }
    let Some(project) = Project::new() else {
        return;
    };
    project.ok(&["--profile", "tools", "up", "-d", "--wait", "db", "adminer"]);
    project.sql("CREATE TABLE seen_in_a_browser ()");
    let port = project.port("adminer", "8080");
    eventually("Adminer", || {
        get(port, "/").starts_with("HTTP/1.1 200").then_some(())
    });
    let environment = project.inspect("adminer", "{{.Config.Env}}");
    assert!(
        environment.contains("ADMINER_DEFAULT_SERVER=db")
            && environment.contains("ADMINER_DESIGN=nette"),
        "{environment}"
    );

    let browser = Browser::start();
    browser.post(
        "/url",
        json!({ "url": format!("http://127.0.0.1:{port}/") }),
    );
    browser.find("[name='auth[driver]'] option[value=pgsql][selected]");
    browser.find("[name='auth[server]'][value=db]");
    for (field, text) in TYPED {
        browser.post(
            &format!("{}/value", browser.find(&format!("[name='{field}']"))),
            json!({ "text": text }),
        );
    }
    browser.click("input[type=submit][value=Login]");
    browser.find("a[href*=seen_in_a_browser]");
}

/// The official image loads the plugins of a folder. The image that machines without a registry have chooses PostgreSQL by itself.
const LOADS_PLUGINS: &str = "<?php
function adminer_object() {
    return new Adminer\\Plugins(array_map(fn($plugin) => require($plugin), glob('/var/www/html/plugins-enabled/*.php')));
}
chdir('/usr/share/adminer');
require('adminer.php');
";

#[test]
#[ignore = "long: Docker"]
fn adminer_opens_with_postgresql_selected() {
    let Some(project) = Project::new() else {
        return;
    };
    project.write("index.php", LOADS_PLUGINS);
    let override_file = project.read("docker-compose.override.yml");
    let with_index =
        "services:\n  adminer:\n    volumes: [./index.php:/var/www/html/index.php:ro]\n";
    project.write(
        "docker-compose.override.yml",
        &override_file.replacen("services:\n", with_index, 1),
    );
    project.ok(&["--profile", "tools", "up", "-d", "--wait", "db", "adminer"]);
    let port = project.port("adminer", "8080");
    eventually("Adminer", || {
        get(port, "/").starts_with("HTTP/1.1 200").then_some(())
    });
    let form = get(port, "/");
    assert!(
        form.contains("<option value=\"pgsql\" selected>")
            && !form.contains("<option value=\"server\" selected>"),
        "{form}"
    );
}

/// Chromium with one window, as its WebDriver moves it (<https://www.w3.org/TR/webdriver2/>). Both end with it.
struct Browser {
    driver: Child,
    agent: ureq::Agent,
    session: String,
}

impl Browser {
    fn is_there() -> bool {
        test_needs::program("chromedriver", "apt install chromium chromium-driver")
    }

    fn start() -> Self {
        let driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let config = ureq::Agent::config_builder()
            .proxy(None)
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false);
        let mut browser = Self {
            driver,
            agent: config.build().into(),
            session: String::new(),
        };
        let said = BufReader::new(browser.driver.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let port = said
            .filter_map(|line| {
                Some(
                    line.split_once("started successfully on port ")?
                        .1
                        .trim_end_matches('.')
                        .to_owned(),
                )
            })
            .next();
        browser.session = format!(
            "http://127.0.0.1:{}/session",
            port.expect("it says where it listens")
        );
        // What is looked for may come a moment later.
        let wanted = json!({
            "timeouts": { "implicit": 30_000 },
            "goog:chromeOptions": { "args": ["--headless", "--no-sandbox", "--disable-gpu"] },
        });
        let session = browser.post("", json!({ "capabilities": { "alwaysMatch": wanted } }));
        browser.session += &format!("/{}", session["sessionId"].as_str().unwrap());
        browser
    }

    #[track_caller]
    fn post(&self, path: &str, body: Value) -> Value {
        let mut answer = self
            .agent
            .post(format!("{}{path}", self.session))
            .send(body.to_string())
            .unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        assert_eq!(answer.status(), 200, "{path}: {text}");
        serde_json::from_str::<Value>(&text).unwrap()["value"].take()
    }

    /// The path of an element.
    #[track_caller]
    fn find(&self, selector: &str) -> String {
        let element = self.post(
            "/element",
            json!({ "using": "css selector", "value": selector }),
        );
        let id = element.as_object().unwrap().values().next().unwrap();
        format!("/element/{}", id.as_str().unwrap())
    }

    #[track_caller]
    fn click(&self, selector: &str) {
        self.post(&format!("{}/click", self.find(selector)), json!({}));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.agent.delete(&self.session).call().ok();
        self.driver.kill().ok();
        self.driver.wait().ok();
    }
}
