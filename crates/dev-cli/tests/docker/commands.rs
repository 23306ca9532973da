//! The specification's commands as they are typed, in its order; the README's table has a row for each.

use crate::support::Project;

#[test]
fn as_the_specification_has_them() {
    let Some(project) = Project::new() else { return };
    let psql = ["psql", "-U", "emotionviz", "-d", "emotionviz_db"];
    project.up();

    // Migrations: nothing is pending, one is made, reverted, applied.
    project
        .exec("api", &["alembic", "upgrade", "head"])
        .expect_code(0)
        .says("alembic upgrade head is here: emotionviz migrate up")
        .says("up to date");
    let made = project.exec("api", &["alembic", "revision", "--autogenerate", "-m", "description of mine"]).expect_code(0);
    let file = made.stdout.lines().find_map(|line| line.strip_prefix("/app/")).unwrap_or_else(|| panic!("{made}")).to_owned();
    assert!(file.ends_with("_description_of_mine.up.sql"), "{file}");
    assert_eq!(project.owner_of(&file), project.owner());
    project.exec("api", &["alembic", "current"]).expect_code(0).says("applied");
    project.exec("api", &["alembic", "history"]).expect_code(0).says("20251124000000");
    project.exec("api", &["alembic", "downgrade", "-1"]).expect_code(0).says("reverted");
    project.exec("api", &["alembic", "upgrade", "head"]).expect_code(0).says("applied");
    project.exec("api", &["alembic", "stamp", "x"]).expect_code(2).says("no counterpart");

    // Backup, and onto a database that was made anew.
    let dump = project.ok(&["exec", "-T", "db", "pg_dump", "-U", "emotionviz", "emotionviz_db"]).stdout;
    assert!(dump.contains("CREATE TABLE public.users"), "{dump}");
    project.exec("db", &["createdb", "-U", "emotionviz", "restored"]).expect_code(0);
    let into = ["exec", "-T", "db", "psql", "-U", "emotionviz", "-v", "ON_ERROR_STOP=1", "-q", "restored"];
    project.feed(&into, dump.as_bytes()).expect_code(0);

    // Looking at things.
    project.exec("db", &[&psql[..], &["-c", "\\dt"]].concat()).expect_code(0).says("emotion_entries");
    project.exec("db", &["pg_isready", "-U", "emotionviz"]).expect_code(0).says("accepting connections");
    project.ok(&["ps"]).says("(healthy)");
    project.ok(&["logs", "api"]).says("listening on");
    project.ok(&["logs", "db"]).says("ready to accept connections");
    project.exec("api", &["psql", "-c", "select 40 + 2 as answer"]).expect_code(0).says("42");
    assert!(project.get("/health").contains("\"status\":\"healthy\""));

    // Tools of the development image.
    for tool in [
        &["cargo", "clippy", "--version"][..],
        &["cargo", "fmt", "--version"],
        &["cargo", "nextest", "--version"],
        &["pg_dump", "--version"],
    ] {
        project.exec("api", tool).expect_code(0);
    }

    // Stopping.
    project.ok(&["stop"]);
    project.ok(&["up", "-d"]);
    project.ok(&["down"]);
    assert!(project.path("data/postgres/PG_VERSION").exists());
}

#[test]
fn tests_in_the_container_leave_the_development_database_alone() {
    let Some(project) = Project::new() else { return };
    project.up();
    project.sql("CREATE TABLE kept AS SELECT 1");
    let tests = project.exec("api", &["pytest", "-k", "health"]).expect_code(0);
    let tests = tests.says("pytest -k health is here: cargo nextest run --package emotionviz");
    assert!(tests.stderr.contains(" passed") && !tests.stderr.contains(" 0 passed"), "{tests}");
    assert_eq!(project.sql("SELECT count(*) FROM kept"), "1");
    assert_eq!(project.sql("SELECT count(*) FROM pg_database WHERE datname LIKE $$test\\_%$$"), "0", "a test's database stays");
}
