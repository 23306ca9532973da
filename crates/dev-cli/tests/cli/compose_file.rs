//! docker-compose.yml against the declared settings. (What it does is tested in `tests/docker`.)

use emotionviz_settings::declared::{
    self, API_HOST, API_PORT, DATABASE_URL, LOG_DIR, MIGRATION_DATABASE_URL,
};
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
fn the_compose_file_has_the_defaults_of_the_settings() {
    let text = compose_file();
    let variables = variables(&text);
    assert!(variables.len() > 15, "{variables:?}");
    // Every tool's, and no setting of ours.
    for (name, default) in variables
        .into_iter()
        .filter(|(name, _)| *name != "NO_COLOR")
    {
        let info = declared::find(name).unwrap_or_else(|| panic!("{name} is no setting"));
        assert!(
            default.is_empty() || Some(default) == info.default,
            "{name} has another default than the code: {default:?}"
        );
    }
}

#[test]
fn the_compose_file_passes_every_setting_to_the_service() {
    let text = compose_file();
    // Where the service runs and what it connects to is the container's own business.
    let own = [
        &API_HOST.info,
        &API_PORT.info,
        &DATABASE_URL.info,
        &MIGRATION_DATABASE_URL.info,
        &LOG_DIR.info,
    ]
    .map(|info: &Info| info.name);
    for info in declared::ALL
        .iter()
        .filter(|info| info.used_by != Use::Tool && !own.contains(&info.name))
    {
        let line = format!("{0}: ${{{0}:-}}", info.name);
        assert!(text.contains(&line), "docker-compose.yml has no {line}");
    }
}

#[test]
fn the_compose_file_has_no_names_that_two_checkouts_would_share() {
    let text = compose_file();
    for key in [
        "version:",
        "container_name:",
        "    name:",
        ":latest",
        "privileged",
    ] {
        assert!(!text.contains(key), "{key}");
    }
    // As the Dockerfile and the scripts of the database have them.
    let settings = std::fs::read_to_string(workspace().join("backend/docker/db/settings")).unwrap();
    for info in [
        &declared::POSTGRES_USER.info,
        &declared::POSTGRES_PASSWORD.info,
        &declared::POSTGRES_DB.info,
    ] {
        let default = info.default.or(info.example).unwrap();
        assert!(
            settings.contains(&format!("${{{}:-{default}}}", info.name)),
            "{}",
            info.name
        );
    }
}

/// What a program has in its environment after the scripts of the database's container have read their settings.
fn environment_in_the_container(variables: &[(&str, &str)]) -> String {
    let mut script = std::process::Command::new("sh");
    script
        .args(["-eu", "-c", ". ./backend/docker/db/settings && env"])
        .current_dir(workspace())
        .env_clear()
        .env("PATH", "/usr/bin:/bin");
    let ended = script.envs(variables.iter().copied()).output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    String::from_utf8(ended.stdout).unwrap()
}

#[test]
fn libpq_variables_in_env_do_not_affect_the_database_container() {
    let foreign = [
        ("PGPORT", "6000"),
        ("PGHOST", "nowhere.invalid"),
        ("PGHOSTADDR", "192.0.2.1"),
        ("PGDATA", "/elsewhere"),
        ("PGUSER", "stranger"),
        ("PGDATABASE", "nothing"),
        ("PGPASSWORD", "wrong"),
        ("PGPASSFILE", "/nowhere"),
        ("PGSSLMODE", "verify-full"),
        ("PGSSLROOTCERT", "two\nlines"),
        ("PGOPTIONS", "-c work_mem=1MB -c 'a b'"),
        ("PGSERVICE", "theirs"),
        ("PGTZ", "Asia/Kolkata"),
        ("PG_MAJOR", "99"),
        ("TZ", "Asia/Kolkata"),
        ("LC_ALL", "tr_TR.UTF-8"),
        ("POSTGRES_HOST_AUTH_METHOD", "trust"),
        ("POSTGRES_INITDB_ARGS", "--encoding=LATIN1"),
        ("POSTGRES_INITDB_WALDIR", "/elsewhere"),
        ("POSTGRES_PASSWORD_FILE", "/run/secrets/x"),
    ];
    let plain = environment_in_the_container(&[("POSTGRES_DB", "journal")]);
    assert!(
        plain.contains("POSTGRES_DB=journal") && plain.contains("POSTGRES_USER=emotionviz"),
        "{plain}"
    );
    let mut variables = foreign.to_vec();
    variables.push(("POSTGRES_DB", "journal"));
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(
        sorted(&environment_in_the_container(&variables)),
        sorted(&plain)
    );
}

#[test]
fn the_health_check_of_the_api_runs_the_script_of_the_checkout() {
    let checkout = tempfile::tempdir().unwrap();
    let script = std::fs::read_to_string(workspace().join("backend/docker/patiently")).unwrap();
    std::fs::create_dir_all(checkout.path().join("backend/docker")).unwrap();
    // As a checkout of Windows may have it.
    std::fs::write(
        checkout.path().join("backend/docker/patiently"),
        script.replace('\n', "\r\n"),
    )
    .unwrap();
    let text = compose_file();
    let (_, api) = text
        .split_once("test: [CMD, /bin/sh, -c, '")
        .expect("the check of the API is a command line of a shell");
    let (line, arguments) = api.split_once("', ").unwrap();
    assert!(
        arguments
            .starts_with("patiently, /tmp/healthy, /cache/target/dev-env/emotionviz, healthcheck]"),
        "{arguments}"
    );
    let line = line
        .replace("$$", "$")
        .replace("/app/", &format!("{}/", checkout.path().display()));
    let mark = checkout.path().join("healthy");
    let check = || {
        std::process::Command::new("/bin/sh")
            .args(["-c", &line, "patiently"])
            .arg(&mark)
            .arg("true")
            .output()
            .unwrap()
    };

    let ended = check();
    assert!(ended.status.success() && mark.exists(), "{ended:?}");
    std::fs::remove_file(checkout.path().join("backend/docker/patiently")).unwrap();
    assert!(
        !check().status.success(),
        "a check without its script succeeds"
    );
}
