use serde_json::Value;

use crate::support::Scratch;
use crate::support::processes::expect_none;

/// The example file of the infrastructure's specification, byte for byte.
const SPECIFIED: &str = "\
# .env.example - Copy to .env and customize

#######################################################
# Database Configuration
#######################################################
POSTGRES_USER=emotionviz
POSTGRES_PASSWORD=devpassword
POSTGRES_DB=emotionviz_db
POSTGRES_PORT=5432

#######################################################
# API Configuration
#######################################################
API_PORT=8000
LOG_LEVEL=info

#######################################################
# External Services
#######################################################
GEMINI_API_KEY=your-gemini-api-key-here
NANOBANANA_API_KEY=your-nanobanana-api-key-here

#######################################################
# Security (Change in production!)
#######################################################
JWT_SECRET_KEY=dev-secret-key-please-change-this-in-production
JWT_ALGORITHM=HS256
ACCESS_TOKEN_EXPIRE_MINUTES=60

#######################################################
# CORS Configuration
#######################################################
ALLOWED_ORIGINS=http://localhost:*,capacitor://localhost,ionic://localhost

#######################################################
# Adminer (Optional)
#######################################################
ADMINER_PORT=8080
";

#[test]
fn the_specifications_example_file_works_byte_for_byte() {
    // The ports of the scratch checkout's shell come before those of the file: others may have these.
    let scratch = Scratch::new();
    scratch.write("backend/.env", SPECIFIED);
    scratch.up().says("POSTGRES_API_PASSWORD");
    assert!(scratch.get("/health/ready").contains("\"ready\""));
    scratch
        .ok(&["db", "url"])
        .prints("postgres://emotionviz:devpassword@127.0.0.1:");
    assert_eq!(scratch.read("backend/.env"), SPECIFIED);
    assert!(
        !scratch.read(".env").contains("POSTGRES_PASSWORD=")
            && !scratch.read(".env").contains("JWT_SECRET_KEY")
    );
    scratch.ok(&["config", "check"]);
}

#[test]
fn the_example_settings_file_works() {
    let scratch = Scratch::new();
    scratch.write(".env", &scratch.read("backend/.env.example"));
    scratch.up();
    assert!(scratch.get("/health/ready").contains("\"ready\""));
    assert!(
        scratch
            .read(".env")
            .starts_with(&scratch.read("backend/.env.example")),
        "existing lines are kept"
    );
}

#[test]
fn a_malformed_line_of_a_settings_file_is_reported() {
    let scratch = Scratch::new();
    scratch.write(".env", "LOG_LEVEL=info\n\nthis is no setting\n");
    for verb in [
        &["up"][..],
        &["up", "--detach"],
        &["status"],
        &["config", "check"],
    ] {
        let refused = scratch.dev(verb).expect_code(1);
        refused.says(&format!(
            "{}:3 cannot be read",
            scratch.path(".env").display()
        ));
        refused.says("NAME=value");
    }
    assert_eq!(
        scratch.read(".env"),
        "LOG_LEVEL=info\n\nthis is no setting\n"
    );
    // It does not keep anything running.
    scratch.ok(&["down"]);
    expect_none(scratch.root());
}

#[test]
fn a_reference_to_an_unset_variable_is_reported() {
    let mut scratch = Scratch::new();
    // What is no setting of ours is nobody's business; what is set elsewhere counts.
    scratch.write(
        ".env",
        "MINE=$NOBODY\nUSER_OF_OURS=ann\nPOSTGRES_PASSWORD=pa$planted\n",
    );
    for verb in [&["up", "--detach"][..], &["status"], &["config", "check"]] {
        let refused = scratch.dev(verb).expect_code(1);
        refused.says(&format!(
            "{}:3 cannot be read",
            scratch.path(".env").display()
        ));
        refused.says("POSTGRES_PASSWORD='…'");
        assert!(
            !refused.stderr.contains("planted"),
            "it may be a part of the password: {refused}"
        );
    }
    scratch.set("POSTGRES_PASSWORD", "set");
    scratch.ok(&["config", "check"]);
    scratch.set("POSTGRES_PASSWORD", "");

    scratch.write(
        ".env",
        "MINE=$NOBODY\nUSER_OF_OURS=ann\nPOSTGRES_PASSWORD='pa$planted'\n",
    );
    scratch.write(
        "backend/.env",
        "POSTGRES_DB=\"of_${USER_OF_OURS}\"\nPOSTGRES_USER=$USER_OF_OURS # as above\n",
    );
    scratch.up();
    scratch
        .ok(&["db", "url"])
        .prints("postgres://ann:pa%24planted@127.0.0.1:");
    assert_eq!(scratch.sql("SELECT current_database()"), "of_ann");
}

#[test]
fn all_invalid_settings_are_reported_together() {
    let scratch = Scratch::new();
    scratch.write(".env", "LOG_LEVEL=loud\nJWT_ALGORITHM=none\nMINE=1\n");
    for verb in [&["up", "--detach"][..], &["config", "check"]] {
        let refused = scratch.dev(verb).expect_code(1);
        refused.says("LOG_LEVEL must be debug, info, warning, error or critical");
        refused.says("JWT_ALGORITHM must be HS256");
        refused.says(".env:2");
    }
    scratch.dev(&["config", "check"]).says("MINE");
    expect_none(scratch.root());
}

#[test]
fn an_invalid_database_url_is_refused_and_nothing_is_started() {
    let mut scratch = Scratch::new();
    scratch.set("DATABASE_URL", "mysql://a:secret@b/c");
    let refused = scratch.dev(&["up", "--detach"]).expect_code(1);
    refused.says("DATABASE_URL must begin with postgres://");
    assert!(!refused.stderr.contains("secret"));

    // One where nobody listens.
    let (listener, port) = crate::support::taken_port();
    drop(listener);
    scratch.set(
        "DATABASE_URL",
        format!("postgresql+asyncpg://ann:planted@127.0.0.1:{port}/journal"),
    );
    let refused = scratch.dev(&["up", "--detach", "--yes"]).expect_code(1);
    refused.says("cannot be reached");
    refused.says(&format!("postgres://ann:***@127.0.0.1:{port}/journal"));
    assert!(!refused.stderr.contains("planted"), "{refused}");
    assert!(!scratch.path("data/postgres").exists());
    scratch
        .dev(&["db", "password"])
        .expect_code(1)
        .says("DATABASE_URL");
    expect_none(scratch.root());
}

#[test]
fn an_external_database_is_used_and_never_stopped() {
    let (theirs, mut ours) = (Scratch::new(), Scratch::new());
    theirs.up();
    let url = theirs.ok(&["db", "url"]).stdout.trim().to_owned();
    ours.write(".env", &format!("DATABASE_URL={url}\n"));
    ours.ok(&["up", "--detach", "--yes"])
        .says("none is started here");
    assert_eq!(ours.service("db")["state"], "external");
    assert_eq!(ours.status()["schema"]["state"], "current");
    assert!(ours.get("/health/ready").contains("\"ready\""));
    assert!(!ours.path("data/postgres").exists() && !ours.read(".env").contains("POSTGRES_"));
    assert_eq!(ours.sql("SELECT current_user"), "emotionviz");
    ours.ok(&["down"]);
    assert!(theirs.get("/health/ready").contains("\"ready\""));
    ours.set("DATABASE_URL", "");
}

#[test]
fn config_reports_the_origin_of_each_setting() {
    let mut scratch = Scratch::new();
    scratch.write(".env", "POSTGRES_PASSWORD=planted\nLOG_LEVEL=\n");
    scratch.write(
        "backend/.env",
        "LOG_LEVEL=debug\nPOSTGRES_PASSWORD=hidden\n",
    );
    scratch.set("ADMINER_PORT", "8181");
    let shown = scratch.ok(&["config", "show", "--json"]);
    assert!(!shown.stdout.contains("planted") && !shown.stdout.contains("hidden"));
    let settings: Value = serde_json::from_str(&shown.stdout).unwrap();
    let one = |name: &str| {
        settings
            .as_array()
            .unwrap()
            .iter()
            .find(|setting| setting["name"] == name)
            .unwrap()
    };
    assert_eq!(
        (
            one("POSTGRES_PASSWORD")["value"].as_str(),
            one("POSTGRES_PASSWORD")["origin"].as_str()
        ),
        (Some("***"), Some("file"))
    );
    assert!(
        one("POSTGRES_PASSWORD")["place"]
            .as_str()
            .unwrap()
            .ends_with("/.env:1")
    );
    assert!(
        one("LOG_LEVEL")["place"]
            .as_str()
            .unwrap()
            .ends_with("backend/.env:1"),
        "an empty value counts as not set"
    );
    assert_eq!(
        (
            one("ADMINER_PORT")["origin"].as_str(),
            one("POSTGRES_DB")["origin"].as_str()
        ),
        (Some("environment"), Some("default"))
    );
    assert_eq!(one("APP_ENV")["value"], "development");
    scratch.ok(&["config", "show"]).prints("LOG_LEVEL");

    let explained = scratch.ok(&["config", "explain", "log_level"]);
    explained.prints("takes    debug, info, warning, error or critical");
    explained.prints("now      debug (from ");
    scratch
        .dev(&["config", "explain", "POSTGRES_PASSWROD"])
        .expect_code(1)
        .says("did you mean POSTGRES_");
}

#[test]
fn secrets_are_generated_once_and_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new();
    scratch.write(".env", "# mine\nLOG_LEVEL=debug");
    scratch
        .up()
        .says("made POSTGRES_PASSWORD, POSTGRES_API_PASSWORD, JWT_SECRET_KEY");
    let text = scratch.read(".env");
    assert!(text.starts_with("# mine\nLOG_LEVEL=debug\n"), "{text}");
    for name in [
        "POSTGRES_PASSWORD=",
        "POSTGRES_API_PASSWORD=",
        "JWT_SECRET_KEY=",
    ] {
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        assert!(
            value.len() >= 32 && value.bytes().all(|b| b.is_ascii_alphanumeric()),
            "{name}"
        );
    }
    assert_eq!(
        std::fs::metadata(scratch.path(".env"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
    scratch.ok(&["restart"]);
    assert_eq!(scratch.read(".env"), text);
}
