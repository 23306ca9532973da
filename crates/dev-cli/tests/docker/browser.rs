//! Adminer in a real browser: its own form, with the four values that the specification prints.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use thirtyfour::prelude::*;

use crate::support::{PATIENCE, POLL, Project, eventually, get};

/// The form's fields, and what is typed into them. The system is chosen, and the specification's server stands there already.
const TYPED: [(&str, &str); 3] = [("auth[username]", "emotionviz"), ("auth[password]", "devpassword"), ("auth[db]", "emotionviz_db")];

#[test]
fn adminer_logs_in() {
    let Some(project) = Project::new() else { return };
    project.ok(&["--profile", "tools", "up", "-d", "--wait", "db", "adminer"]);
    project.sql("CREATE TABLE seen_in_a_browser ()");
    let port = project.port("adminer", "8080");
    eventually("Adminer", || get(port, "/").starts_with("HTTP/1.1 200").then_some(()));
    let environment = project.inspect("adminer", "{{.Config.Env}}");
    assert!(environment.contains("ADMINER_DEFAULT_SERVER=db") && environment.contains("ADMINER_DESIGN=nette"), "{environment}");

    let chrome = Chrome::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let page = runtime.block_on(async {
        let mut chromium = DesiredCapabilities::chrome();
        chromium.set_headless()?;
        chromium.set_no_sandbox()?;
        chromium.set_disable_gpu()?;
        let browser = WebDriver::new(&chrome.url, chromium).await?;
        let page = log_in(&browser, &format!("http://127.0.0.1:{port}/")).await;
        // Whatever came of it: nobody else ends the browser.
        browser.quit().await?;
        page
    });
    let page = page.unwrap();
    assert!(page.contains("seen_in_a_browser"), "{page}");
}

/// Fills in the form, and returns the page that comes of it.
async fn log_in(browser: &WebDriver, adminer: &str) -> WebDriverResult<String> {
    browser.goto(adminer).await?;
    browser.find(By::Css("[name='auth[driver]'] option[value=pgsql]")).await?.click().await?;
    browser.find(By::Css("[name='auth[server]'][value=db]")).await?;
    for (field, text) in TYPED {
        browser.find(By::Name(field)).await?.send_keys(text).await?;
    }
    browser.find(By::Css("input[type=submit][value=Login]")).await?.click().await?;
    browser.query(By::LinkText("seen_in_a_browser")).wait(PATIENCE, POLL).exists().await?;
    browser.source().await
}

/// The WebDriver of Chromium, which ends with it (<https://www.w3.org/TR/webdriver2/>).
struct Chrome {
    driver: Child,
    url: String,
}

impl Chrome {
    fn start() -> Self {
        let mut driver = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port =
            said.filter_map(|line| Some(line.split_once("started successfully on port ")?.1.trim_end_matches('.').to_owned())).next();
        let port = port.expect("chromedriver says where it listens");
        Self { driver, url: format!("http://127.0.0.1:{port}") }
    }
}

impl Drop for Chrome {
    fn drop(&mut self) {
        self.driver.kill().ok();
        self.driver.wait().ok();
    }
}
