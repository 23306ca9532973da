//! From a fresh clone to an API that serves: order, health, owners, rights, two checkouts.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::docker::finish;
use crate::support::project::is_root;
use crate::support::{Project, docker, eventually, get, post};

const SERVICES: [&str; 2] = ["db", "api"];

#[test]
#[ignore = "long: Docker"]
fn a_fresh_clone_starts_without_settings() {
    let Some(project) = Project::new() else {
        return;
    };
    let config = project.ok(&["--profile", "tools", "config"]);
    assert_eq!(config.stderr, "", "a warning");
    assert!(!project.path("data").exists());

    project.up();
    for service in SERVICES {
        assert_eq!(project.health(service), "healthy", "{service}");
    }
    assert!(project.get("/health").contains("\"healthy\""));
    assert!(
        project.get("/health/ready").contains("\"ready\""),
        "migrated, and the database answers"
    );
    let port = project.port("api", "8000");
    let registered = post(
        port,
        "/api/v1/auth/register",
        r#"{"email":"ann@example.com","password":"correct horse 1","name":"Ann"}"#,
    );
    assert!(registered.starts_with("HTTP/1.1 201"), "{registered}");

    // Files belong to the owner of the checkout, and nothing was made beside them.
    for path in [
        "data",
        "data/postgres",
        "data/postgres/PG_VERSION",
        "data/logs",
        "data/logs/app.log",
        "data/run",
    ] {
        assert_eq!(project.owner_of(path), project.owner(), "{path}");
    }
    let mine = std::fs::read_dir(project.root())
        .unwrap()
        .all(|entry| entry.unwrap().metadata().unwrap().uid() == project.owner());
    assert!(mine, "Docker made something as root");
    assert!(!project.path("target").exists());

    nobody_is_root(&project);
    nobody_else_reaches_the_database(&project);
    the_database_asks_for_a_password(&project);
    it_logs_and_limits(&project);
    it_comes_back_as_it_was(&project);
}

fn nobody_is_root(project: &Project) {
    let owner = project.owner().to_string();
    for (service, program) in [
        ("db", "postgres -D"),
        ("api", "emotionviz serve"),
        ("api", "dev-cli container up"),
    ] {
        let top = docker(&["top", &project.container(service), "-eo", "pid,uid,args"]);
        let line = top
            .stdout
            .lines()
            .find(|line| line.contains(program))
            .unwrap_or_else(|| panic!("no {program}: {top}"));
        assert_eq!(
            line.split_whitespace().nth(1),
            Some(owner.as_str()),
            "{line}"
        );
    }
    let api = "{{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.RestartPolicy.Name}}";
    assert_eq!(
        project.inspect("api", api),
        "[ALL] [no-new-privileges:true] true unless-stopped"
    );
    // What is typed in the container is done as that user, too; sources are to be read, and the database's files are out of sight.
    let look = "id -u; touch /app/backend/x 2>/dev/null && echo writable; ls -A /app/data | grep -vE '^(run|logs)$'; true";
    let whoami = project.exec("api", &["bash", "-c", look]).expect_code(0);
    assert_eq!(whoami.text(), owner, "{whoami}");
}

fn nobody_else_reaches_the_database(project: &Project) {
    let address = project.inspect(
        "db",
        "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
    );
    let reaches = |network: &str, host: &str| {
        let mut run = Command::new("docker");
        run.args([
            "run",
            "--rm",
            "--network",
            &format!("{}_{network}", project.name()),
            "--entrypoint",
            "pg_isready",
            "postgres:15-alpine",
        ]);
        run.args(["-t", "2", "-h", host]);
        finish(run, b"").code == 0
    };
    assert!(reaches("database", "db") && reaches("database", &address));
    assert!(!reaches("default", "db") && !reaches("default", &address));
}

fn the_database_asks_for_a_password(project: &Project) {
    let tcp = |user: &str, password: &str, sql: &str| {
        let script = format!(
            "PGPASSWORD='{password}' psql -h 127.0.0.1 -U {user} -d emotionviz_db -wXAtqc '{sql}'"
        );
        project.exec("db", &["sh", "-c", &script])
    };
    assert_eq!(
        tcp("emotionviz", "devpassword", "select 40 + 2")
            .expect_code(0)
            .text(),
        "42"
    );
    tcp("emotionviz", "wrong", "select 1")
        .expect_code(2)
        .says("authentication failed");
    tcp("emotionviz", "", "select 1")
        .expect_code(2)
        .says("no password supplied");
    let hba = project.exec(
        "db",
        &[
            "sh",
            "-c",
            "grep -E '^(host|local)' /var/lib/postgresql/data/pg_hba.conf",
        ],
    );
    assert!(hba.code == 1 || project.owner() != 0, "{hba}");
    let rights = "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR has_schema_privilege(rolname, $$public$$, $$CREATE$$) FROM pg_roles WHERE rolname = $$emotionviz_api$$";
    assert_eq!(project.sql(rights), "f");
    assert_eq!(
        project.sql("SELECT DISTINCT usename FROM pg_stat_activity WHERE client_addr IS NOT NULL AND application_name <> $$healthcheck$$"),
        "emotionviz_api"
    );
}

fn it_logs_and_limits(project: &Project) {
    let logging = "{{.HostConfig.LogConfig.Type}} {{.HostConfig.LogConfig.Config}}";
    for service in ["setup", "db", "api"] {
        assert_eq!(
            project.inspect(service, logging),
            "json-file map[max-file:3 max-size:10m]",
            "{service}"
        );
    }
    let limits =
        "{{.HostConfig.NanoCpus}} {{.HostConfig.Memory}} {{.HostConfig.MemoryReservation}}";
    assert_eq!(
        project.inspect("api", limits),
        format!("0 {} {}", 4_u64 << 30, 512 << 20)
    );
    assert_eq!(project.inspect("db", limits), format!("0 {} 0", 1 << 30));
    let log = project.read("data/logs/app.log");
    assert!(
        log.contains("/api/v1/auth/register") && !log.contains("correct horse"),
        "{log}"
    );
    assert!(!project.logs().contains("devpassword"));
}

/// Everything is there again after a restart of each kind, and quickly.
fn it_comes_back_as_it_was(project: &Project) {
    project.ok(&["restart", "api"]);
    eventually("the API after a restart", || {
        project
            .get("/health/ready")
            .contains("\"ready\"")
            .then_some(())
    });
    project.ok(&["stop"]);
    assert_eq!(
        project.inspect("api", "{{.State.ExitCode}}"),
        "0",
        "{}",
        project.logs()
    );
    project.ok(&["down", "--volumes"]);
    let took = project.up();
    eprintln!("up on built images and existing data: {took:?}");
    assert_eq!(project.sql("SELECT count(*) FROM users"), "1");
}

#[test]
#[ignore = "long: Docker"]
fn the_api_survives_a_database_that_dies_and_returns() {
    let Some(project) = Project::new() else {
        return;
    };
    project.up();
    let port = project.port("api", "8000");
    project.ok(&["stop", "db"]);
    eventually("the API without its database", || {
        get(port, "/health/ready")
            .contains("not_ready")
            .then_some(())
    });
    assert!(get(port, "/health").contains("healthy"));
    // A setting that is none of the database's does not wait for it.
    project.write(".env", "LOG_LEVEL=debug\n");
    project.logged("reloaded .env: live in");
    project.ok(&["start", "db"]);
    eventually("the API with its database", || {
        get(port, "/health/ready")
            .contains("\"ready\"")
            .then_some(())
    });

    // Killed (what `docker kill` ends stays down), each is started again by Docker. Only root may.
    for service in SERVICES.into_iter().filter(|_| is_root()) {
        let pid = project.inspect(service, "{{.State.Pid}}");
        kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap();
        eventually(&format!("another {service}"), || {
            let now = project.inspect(service, "{{.State.Pid}} {{.State.Health.Status}}");
            (now.ends_with(" healthy") && !now.starts_with(&format!("{pid} "))).then_some(())
        });
    }
    eventually("the API after both died", || {
        get(project.port("api", "8000"), "/health/ready")
            .contains("\"ready\"")
            .then_some(())
    });
}

#[test]
#[ignore = "long: Docker"]
fn two_compose_projects_share_nothing() {
    let Some(one) = Project::new() else { return };
    one.up();
    one.sql("CREATE TABLE of_the_first AS SELECT 1");
    // A second one in a folder of the same name: COMPOSE_PROJECT_NAME tells them apart.
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("check out");
    std::fs::create_dir_all(root.join("backend/init-scripts")).unwrap();
    for path in ["docker-compose.yml", "backend/docker"] {
        let copied = Command::new("cp")
            .arg("-a")
            .args([one.path(path), root.join(path)])
            .status()
            .unwrap();
        assert!(copied.success());
    }
    let name = format!("{}-other", one.name());
    let other = |args: &[&str]| {
        let mut compose = Command::new("docker");
        compose
            .arg("compose")
            .args(args)
            .current_dir(&root)
            .env("COMPOSE_PROJECT_NAME", &name)
            .env("POSTGRES_PORT", "0");
        finish(compose, b"")
    };
    let up = other(&["up", "-d", "--wait", "db"]);
    let tables = other(&[
        "exec",
        "-T",
        "db",
        "psql",
        "-U",
        "emotionviz",
        "-d",
        "emotionviz_db",
        "-XAtqc",
        "SELECT to_regclass($$of_the_first$$)",
    ]);
    let down = other(&["down", "--volumes"]);
    up.expect_code(0);
    assert_eq!(
        tables.expect_code(0).text(),
        "",
        "the second sees the first one's data"
    );
    down.expect_code(0);
    assert_eq!(one.sql("SELECT count(*) FROM of_the_first"), "1");
    assert!(one.get("/health/ready").contains("\"ready\""));
    let names = docker(&[
        "ps",
        "--filter",
        &format!("label=com.docker.compose.project={}", one.name()),
        "--format",
        "{{.Names}}",
    ]);
    assert!(
        names
            .stdout
            .lines()
            .all(|name| name.starts_with(one.name())),
        "{names}"
    );
    let networks = docker(&[
        "network",
        "ls",
        "--filter",
        &format!("label=com.docker.compose.project={}", one.name()),
        "--format",
        "{{.Name}}",
    ]);
    assert_eq!(networks.stdout.lines().count(), 2, "{networks}");
    assert!(
        networks
            .stdout
            .lines()
            .all(|name| name.starts_with(one.name())),
        "{networks}"
    );
}

#[test]
#[ignore = "long: Docker"]
fn two_checkouts_of_the_same_name_start_at_once() {
    let Some(one) = Project::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join(one.root().file_name().unwrap());
    assert!(
        Command::new("cp")
            .arg("-a")
            .args([one.root(), &other])
            .status()
            .unwrap()
            .success()
    );
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    // Without the name that tells the tests apart.
    let dev = |root: &Path, args: &[&str]| {
        let mut command = one.dev_command(&[&["--engine", "docker"], args].concat());
        command.env_remove("COMPOSE_PROJECT_NAME").current_dir(root);
        finish(command, b"")
    };
    let roots = [one.root(), &other];
    let both = |args: &[&str]| {
        std::thread::scope(|scope| {
            roots
                .map(|root| scope.spawn(|| dev(root, args)))
                .map(|run| run.join().unwrap())
        })
    };
    let up = both(&["up", "--detach"]);
    let status = both(&["status", "--json"]);
    let names = roots.map(|root| std::fs::read_to_string(root.join(".env")).unwrap_or_default());
    let down = both(&["down"]);
    let ports = status.map(|status| {
        let status: Value = serde_json::from_str(&status.expect_code(0).stdout).unwrap();
        let services = status["services"].as_array().unwrap().clone();
        services
            .into_iter()
            .map(|service| service["port"].as_u64().unwrap())
            .collect::<Vec<_>>()
    });
    up.into_iter()
        .chain(down)
        .for_each(|done| drop(done.expect_code(0)));
    assert!(
        ports[0].iter().all(|port| !ports[1].contains(port)),
        "{ports:?}"
    );
    let name = |env: &str| {
        env.lines()
            .find_map(|line| line.strip_prefix("COMPOSE_PROJECT_NAME="))
            .unwrap()
            .to_owned()
    };
    assert_ne!(name(&names[0]), name(&names[1]));
}

#[test]
#[ignore = "long: Docker"]
fn the_tools_profile_starts_adminer_with_limits() {
    let Some(project) = Project::new() else {
        return;
    };
    project.write(
        ".env",
        "DB_MEMORY_LIMIT=512m\nDB_MEMORY_RESERVATION=128m\nADMINER_MEMORY_LIMIT=200m\n",
    );
    project.ok(&["--profile", "tools", "up", "-d", "--wait", "db", "adminer"]);
    let limits = |service: &str| {
        project.inspect(
            service,
            "{{.HostConfig.Memory}} {{.HostConfig.MemoryReservation}}",
        )
    };
    // What was stopped stays so when Docker itself is started again.
    for service in ["db", "adminer"] {
        assert_eq!(
            project.inspect(service, "{{.HostConfig.RestartPolicy.Name}}"),
            "unless-stopped",
            "{service}"
        );
    }
    assert_eq!(
        (limits("db"), limits("adminer")),
        (
            format!("{} {}", 512 << 20, 128 << 20),
            format!("{} 0", 200 << 20)
        )
    );
    let port = project.port("adminer", "8080");
    let page = eventually("Adminer", || {
        Some(get(port, "/")).filter(|page| page.starts_with("HTTP/1.1 200"))
    });
    assert!(
        page.contains("auth[server]") && page.contains("value=\"db\""),
        "{page}"
    );
    project.ok(&["--profile", "tools", "down"]);
    assert_eq!(
        project
            .ok(&["--profile", "tools", "ps", "--all", "--quiet"])
            .text(),
        ""
    );
}

#[test]
#[ignore = "long: Docker"]
fn a_checkout_of_root_runs_its_services_without_root() {
    if !test_needs::root() {
        return;
    }
    let Some(project) = Project::of_this_user() else {
        return;
    };
    project.up();
    let user_of = |service: &str, program: &str| {
        let top = docker(&["top", &project.container(service), "-eo", "pid,uid,args"]);
        let line = top
            .stdout
            .lines()
            .find(|line| line.contains(program))
            .unwrap_or_else(|| panic!("no {program}: {top}"));
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!(
        (
            user_of("db", "postgres -D"),
            user_of("api", "emotionviz serve")
        ),
        ("70".to_owned(), "1000".to_owned())
    );
    assert_eq!(
        (
            project.owner_of("data"),
            project.owner_of("data/postgres"),
            project.owner_of("data/logs")
        ),
        (0, 70, 1000)
    );
    project
        .exec(
            "api",
            &["alembic", "revision", "--autogenerate", "-m", "root may"],
        )
        .expect_code(0);
    let status: Value = serde_json::from_str(
        &project
            .exec("api", &["emotionviz", "migrate", "status", "--json"])
            .expect_code(0)
            .stdout,
    )
    .unwrap();
    assert_eq!(status["paused"], false);
}
