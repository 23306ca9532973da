//! Both settings files, ports, passwords of any kind.

use std::net::TcpListener;

use crate::support::{Project, get};

/// A password that breaks whatever is put together of strings.
const PASSWORD: &str = r#"a$b c/d@e:f#g?h%i"j\k&l"#;

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

#[test]
fn backend_env_holds_for_the_database_and_the_api() {
    let Some(mut project) = Project::new() else { return };
    project.unset("API_PORT");
    project.write("backend/.env", &format!("POSTGRES_PASSWORD='{PASSWORD}'\nPOSTGRES_DB=journal\nAPI_PORT=1\nLOG_LEVEL=debug\n"));
    // `.env` beside the Compose file comes before it, and is the place for ports.
    let port = free_port();
    project.unset("POSTGRES_PORT");
    project.write(".env", &format!("API_PORT={port}\nPOSTGRES_PORT={}\nPOSTGRES_USER=ann\nLOG_LEVEL=\n", free_port()));
    assert_eq!(project.ok(&["config"]).stderr, "");
    project.up();
    assert!(get(port, "/health/ready").contains("\"ready\""));
    let who = project.exec("db", &["psql", "-U", "ann", "-d", "journal", "-XAtqc", "SELECT current_user, current_database()"]);
    assert_eq!(who.expect_code(0).text(), "ann|journal");
    for line in [project.logs(), project.read("data/logs/app.log")] {
        assert!(!line.contains("a$b c") && !line.contains("a%24b"), "a password is in a log");
    }
    // A port that nobody can see there is said. The other is not: `.env` sets it too.
    let logs = project.logs();
    assert!(!logs.contains("API_PORT is 1 in backend/.env"), "{logs}");
    project.write("backend/.env", &format!("POSTGRES_PASSWORD='{PASSWORD}'\nPOSTGRES_DB=journal\nADMINER_PORT=9\n"));
    project.ok(&["restart", "api"]);
    project.logged("ADMINER_PORT is 9 in backend/.env, which Docker Compose does not read");
}

#[test]
fn the_specifications_example_file() {
    let Some(project) = Project::new() else { return };
    let example = project.read("backend/.env.example").replace("POSTGRES_PASSWORD=devpassword", "POSTGRES_PASSWORD=of-the-file");
    project.write("backend/.env", &example);
    project.up();
    assert!(project.get("/health/ready").contains("\"ready\""));
    let tcp = "PGPASSWORD=of-the-file psql -h 127.0.0.1 -U emotionviz -d emotionviz_db -wXAtqc 'select 1'";
    project.exec("db", &["sh", "-c", tcp]).expect_code(0);
}

#[test]
fn settings_that_do_not_fit_the_database() {
    let Some(project) = Project::new() else { return };
    project.ok(&["up", "-d", "--wait", "db"]);
    let cases = [
        ("POSTGRES_PASSWORD=another", "POSTGRES_PASSWORD does not fit the database", "\\password"),
        ("POSTGRES_USER=another", "POSTGRES_USER is another", "Set POSTGRES_USER back"),
        ("POSTGRES_DB=another", "POSTGRES_DB is another", "createdb -U emotionviz 'another'"),
    ];
    for (line, what, remedy) in cases {
        project.write(".env", &format!("{line}\n"));
        project.ok(&["up", "-d", "db"]);
        project.logged(what);
        assert!(project.logs().contains(remedy), "{}", project.logs());
        assert_ne!(project.health("db"), "healthy");
    }
}
