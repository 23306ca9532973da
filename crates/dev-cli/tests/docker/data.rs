//! Rows and files: what was half made, what somebody else made, what is the wrong one.

use crate::support::project::image_name;
use crate::support::{Project, docker, eventually};

#[test]
#[ignore = "long: Docker"]
fn the_database_container_repeats_an_interrupted_initialisation() {
    let Some(project) = Project::new() else {
        return;
    };
    // Inside initdb.
    project.ok(&["up", "-d", "db"]);
    eventually("initdb", || {
        project
            .path("data/postgres/.unfinished")
            .exists()
            .then_some(())
    });
    docker(&["kill", &project.container("db")]);
    assert!(!project.path("data/postgres/PG_VERSION").exists());
    project.ok(&["up", "-d", "--wait", "db"]);
    project.logged("an initialisation was interrupted: it begins again");
    assert_eq!(project.sql("SELECT current_database()"), "emotionviz_db");
    assert!(!project.path("data/postgres/.unfinished").exists());

    // Complete, and not yet in its place.
    project.sql("CREATE TABLE kept AS SELECT 1");
    project.ok(&["stop", "db"]);
    let data = project.path("data/postgres");
    let unfinished = data.join(".unfinished");
    std::fs::create_dir(&unfinished).unwrap();
    for name in ["PG_VERSION", "base", "global"] {
        std::fs::rename(data.join(name), unfinished.join(name)).unwrap();
    }
    std::fs::write(data.join(".unfinished.complete"), "").unwrap();
    project.ok(&["up", "-d", "--wait", "db"]);
    assert_eq!(project.sql("SELECT count(*) FROM kept"), "1");
}

#[test]
#[ignore = "long: Docker"]
fn the_database_container_refuses_foreign_data() {
    let Some(project) = Project::new() else {
        return;
    };
    let data = project.path("data/postgres");
    let refused = |what: &str| {
        project.ok(&["up", "-d", "db"]);
        project.logged(what);
        project.ok(&["rm", "--stop", "--force", "db"]);
    };
    std::fs::create_dir_all(&data).unwrap();
    project.write("data/postgres/notes.txt", "mine");
    refused(
        "data/postgres is no database, and it is not empty; it was not touched. It holds: notes.txt",
    );
    assert_eq!(project.read("data/postgres/notes.txt"), "mine");

    project.write("data/postgres/PG_VERSION", "17\n");
    refused("data/postgres is of PostgreSQL 17, and this is PostgreSQL 15");
    let up = project
        .dev(&["up", "--engine", "docker", "--detach"])
        .expect_code(1);
    up.says("Use an image of that major (postgres:17-alpine in docker-compose.yml), or dump it there and restore it here");
    project.write("data/postgres/PG_VERSION", "15\n");
    project.write(
        "data/postgres/pg_hba.conf",
        "local all \"emotionviz\" peer map=owner\n",
    );
    refused("data/postgres was made by `cargo dev`");

    // While `cargo dev` runs on it, nobody else does.
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::create_dir_all(project.path("data/run")).unwrap();
    let lock = std::fs::File::create(project.path("data/run/supervisor.lock")).unwrap();
    lock.lock().unwrap();
    refused("`cargo dev` runs the database of this checkout. Stop it first: cargo dev down");
}

#[test]
#[ignore = "long: Docker"]
fn a_data_folder_of_the_python_backend_is_adopted() {
    let Some(project) = Project::new() else {
        return;
    };
    // As that file made it: user 70, everybody trusted, no database role but one.
    let data = project.path("data/postgres");
    std::fs::create_dir_all(&data).unwrap();
    let volume = format!("{}:/var/lib/postgresql/data", data.display());
    let name = format!("{}-python", project.name());
    let settings = [
        "POSTGRES_USER=emotionviz",
        "POSTGRES_PASSWORD=devpassword",
        "POSTGRES_DB=emotionviz_db",
        "POSTGRES_HOST_AUTH_METHOD=trust",
    ];
    let mut run = vec![
        "run",
        "--detach",
        "--rm",
        "--name",
        &name,
        "--network=none",
        "--volume",
        &volume,
    ];
    settings
        .iter()
        .for_each(|setting| run.extend(["--env", setting]));
    docker(&[&run[..], &["postgres:15-alpine"]].concat());
    let ready = [
        "exec",
        &name,
        "psql",
        "-h",
        "127.0.0.1",
        "-U",
        "emotionviz",
        "-d",
        "emotionviz_db",
        "-qc",
        "CREATE TABLE IF NOT EXISTS kept ()",
    ];
    eventually("the old server", || {
        let mut psql = std::process::Command::new("docker");
        psql.args(ready);
        (crate::support::docker::finish(psql, b"").code == 0).then_some(())
    });
    let dump = project.read("backend/tests/data/python_backend.sql");
    let mut restore = std::process::Command::new("docker");
    restore.args([
        "exec",
        "-i",
        &name,
        "psql",
        "-q",
        "-v",
        "ON_ERROR_STOP=1",
        "-U",
        "emotionviz",
        "-d",
        "emotionviz_db",
    ]);
    crate::support::docker::finish(restore, dump.as_bytes()).expect_code(0);
    docker(&["stop", &name]);
    assert_ne!(
        project.owner_of("data/postgres/PG_VERSION"),
        project.owner()
    );

    project.up();
    let logs = project.logs();
    assert!(logs.contains("data/postgres belonged to 70:"), "{logs}");
    assert!(
        logs.contains("they ask for one now. The old file is pg_hba.conf.trust"),
        "{logs}"
    );
    assert!(
        logs.contains("adopted a database of the Python backend"),
        "{logs}"
    );
    assert_eq!(
        project.owner_of("data/postgres/PG_VERSION"),
        project.owner()
    );
    let open = "psql -h 127.0.0.1 -U emotionviz -d emotionviz_db -wc 'select 1'";
    project
        .exec("db", &["sh", "-c", open])
        .expect_code(2)
        .says("no password supplied");
    assert!(project.get("/health/ready").contains("\"ready\""));
}

#[test]
#[ignore = "long: Docker"]
fn init_scripts_run_once() {
    let Some(project) = Project::new() else {
        return;
    };
    project.write(
        "backend/init-scripts/10-table.sql",
        "CREATE TABLE of_a_script AS SELECT 1 AS n;\n",
    );
    project.write(
        "backend/init-scripts/20-row.sh",
        "psql -v ON_ERROR_STOP=1 -U \"$POSTGRES_USER\" -d \"$POSTGRES_DB\" -c 'INSERT INTO of_a_script VALUES (2)'\n",
    );
    project.ok(&["up", "-d", "--wait", "db"]);
    assert_eq!(project.sql("SELECT sum(n) FROM of_a_script"), "3");
    project.ok(&["restart", "db"]);
    project.ok(&["up", "-d", "--wait", "db"]);
    assert_eq!(project.sql("SELECT sum(n) FROM of_a_script"), "3");
}

#[test]
#[ignore = "long: Docker"]
fn container_scripts_and_settings_with_crlf_work_like_those_with_lf() {
    let Some(project) = Project::new() else {
        return;
    };
    project.write(".env", "POSTGRES_USER=ann\nPOSTGRES_DB=journal\n");
    project.write(
        "backend/init-scripts/10-table.sql",
        "CREATE TABLE of_a_script AS SELECT 1 AS n;\n",
    );
    let insert = "psql -v ON_ERROR_STOP=1 -U \"$POSTGRES_USER\" -d \"$POSTGRES_DB\" -c 'INSERT INTO of_a_script VALUES (2)'";
    project.write(
        "backend/init-scripts/20-row.sh",
        &format!("if true; then\n{insert}\nfi\n"),
    );
    let to_crlf = "find docker-compose.yml .env backend/docker backend/Dockerfile backend/init-scripts -type f ! -name .gitkeep -exec sed -i 's/$/\\r/' {} +";
    project.typed(to_crlf).expect_code(0);
    assert!(
        project.read("backend/docker/db/start").contains("\r\n")
            && project.read(".env").contains("ann")
    );
    // Other tests use the image at the same time.
    project.edit(
        "docker-compose.override.yml",
        &image_name(),
        "emotionviz-test:crlf",
    );
    project.ok(&["build", "--quiet", "api"]);
    project.ok(&["up", "-d", "--wait", "db"]);
    let sum = [
        "psql",
        "-U",
        "ann",
        "-d",
        "journal",
        "-XAtqc",
        "SELECT sum(n) FROM of_a_script",
    ];
    assert_eq!(project.exec("db", &sum).expect_code(0).text(), "3");
    project
        .compose(&["run", "--rm", "--no-deps", "-T", "api", "alembic", "merge"])
        .expect_code(2)
        .says("there is no Alembic here");
    assert_eq!(
        project.owner_of("data/postgres/PG_VERSION"),
        project.owner()
    );
}

#[test]
#[ignore = "long: Docker"]
fn the_database_container_reports_a_full_disk_and_recovers() {
    if !test_needs::root() {
        return;
    }
    let Some(project) = Project::new() else {
        return;
    };
    let (data, owner) = (project.path("data/postgres"), project.owner());
    std::fs::create_dir_all(&data).unwrap();
    let options = format!("size=30m,mode=0700,uid={owner},gid={owner}");
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
        .arg(&data)
        .status();
    assert!(mounted.unwrap().success());
    project.ok(&["up", "-d", "db"]);
    project.logged("No space left on device");
    project.logged("MB are left on its disk. It begins again by itself");
    let up = project
        .dev(&["up", "--engine", "docker", "--detach"])
        .expect_code(1);
    up.says("the database's disk is full")
        .says("No space left on device")
        .says("df -h data/postgres");
    // Room is made.
    let larger = std::process::Command::new("mount")
        .args(["-o", "remount,size=500m"])
        .arg(&data)
        .status();
    assert!(larger.unwrap().success());
    project.ok(&["up", "-d", "--wait", "db"]);
    assert_eq!(project.sql("SELECT current_database()"), "emotionviz_db");
    project.ok(&["down"]);
    assert!(
        std::process::Command::new("umount")
            .arg("--lazy")
            .arg(&data)
            .status()
            .unwrap()
            .success()
    );
}
