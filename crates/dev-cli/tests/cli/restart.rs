//! `restart`: what runs is stopped when what comes instead is known to be good.

use crate::support::processes::{expect_end, is_alive};
use crate::support::{Scratch, taken_port};

#[test]
fn restart_with_a_taken_port_stops_nothing() {
    let mut scratch = Scratch::new();
    scratch.set("API_PORT", "");
    scratch.set("POSTGRES_PORT", "");
    scratch.write(".env", "API_PORT=0\nPOSTGRES_PORT=0\n");
    scratch.up();
    let (api, db) = (scratch.pid("api"), scratch.pid("db"));
    let (_listener, port) = taken_port();
    let kept = scratch.read(".env");
    for setting in ["API_PORT", "POSTGRES_PORT"] {
        scratch.write(
            ".env",
            &kept.replace(&format!("{setting}=0"), &format!("{setting}={port}")),
        );
        scratch
            .dev(&["restart"])
            .expect_code(1)
            .says(&format!("port {port} ({setting}) is taken by"));
        assert_eq!((scratch.pid("api"), scratch.pid("db")), (api, db));
    }
    scratch.write(".env", &kept);
    assert!(scratch.get("/health/ready").contains("\"ready\""));
    // The port that it has is no hindrance.
    let port = scratch.port("api");
    scratch.write(
        ".env",
        &kept.replace("API_PORT=0", &format!("API_PORT={port}")),
    );
    scratch.ok(&["restart", "api"]);
    assert_eq!(scratch.port("api"), port);
    expect_end(api);
}

#[test]
fn restart_with_a_wrong_password_stops_nothing() {
    let scratch = Scratch::new();
    scratch.up();
    let (api, db) = (scratch.pid("api"), scratch.pid("db"));
    let kept = scratch.read(".env");
    scratch.write(
        ".env",
        &kept.replace("POSTGRES_PASSWORD=", "POSTGRES_PASSWORD=x"),
    );
    for args in [&["restart"][..], &["restart", "db"], &["restart", "api"]] {
        scratch
            .dev(args)
            .expect_code(1)
            .says("cargo dev db password");
        assert_eq!((scratch.pid("api"), scratch.pid("db")), (api, db));
    }
    scratch.write(".env", &kept);
    scratch.ok(&["restart", "db"]);
    assert!(!is_alive(api) && !is_alive(db));
    assert!(scratch.get("/health/ready").contains("\"ready\""));
}

#[test]
fn restart_keeps_the_old_process_when_the_new_one_fails() {
    let mut scratch = Scratch::new();
    let real = crate::support::service_binary();
    let broken = scratch.path("broken");
    let wrapper = format!(
        "test \"$1\" = serve && test -e '{}' && {{ echo 'a bad day' >&2; exit 3; }}\nexec '{}' \"$@\"",
        broken.display(),
        real.display()
    );
    scratch.set("SERVICE_BINARY", "");
    scratch.write(".env", &format!("SERVICE_BINARY={}\n", real.display()));
    scratch.up();
    let script = scratch.script("service", &wrapper);
    scratch.write("broken", "");
    let kept = scratch.read(".env");
    scratch.write(
        ".env",
        &kept.replace(&real.display().to_string(), &script.display().to_string()),
    );
    let refused = scratch.dev(&["restart", "api"]).expect_code(1);
    refused.says("a bad day");
    refused.says("goes on with the old settings");
    assert!(scratch.get("/health/ready").contains("\"ready\""));
}

#[test]
fn restart_switches_between_an_external_database_and_its_own() {
    let (theirs, ours) = (Scratch::new(), Scratch::new());
    theirs.up();
    let url = format!("DATABASE_URL={}\n", theirs.ok(&["db", "url"]).stdout.trim());
    ours.write(".env", &url);
    ours.ok(&["up", "--detach", "--yes"]);
    ours.write(".env", &ours.read(".env").replace(&url, ""));
    ours.ok(&["restart"]);
    assert_eq!(ours.service("db")["state"], "running");
    assert!(ours.get("/health/ready").contains("\"ready\""));
    // Nobody listens there: its own goes on.
    let db = ours.pid("db");
    let own = ours.read(".env");
    ours.write(
        ".env",
        &format!("{own}DATABASE_URL=postgres://a:b@127.0.0.1:1/c\n"),
    );
    ours.dev(&["restart"])
        .expect_code(1)
        .says("cargo dev up --yes");
    assert_eq!(ours.pid("db"), db);
    ours.write(".env", &format!("{own}{url}"));
    ours.ok(&["restart"]);
    assert_eq!(ours.service("db")["state"], "external");
    assert!(!is_alive(db));
    assert!(ours.get("/health/ready").contains("\"ready\""));
    ours.write(".env", &own);
}
