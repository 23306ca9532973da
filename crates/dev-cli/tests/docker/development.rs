//! Edit, and it is live, and no request is lost.

use std::time::Duration;

use crate::support::load::Load;
use crate::support::{Project, eventually, get};

/// What answers take at most while one process follows on another: far more than they do on an idle machine.
const LONGEST: Duration = Duration::from_secs(2);
const FILE: &str = "backend/app/src/health.rs";
const TEXT: &str = "EmotionVisualizer API";

#[test]
#[ignore = "long: Docker"]
fn edits_in_the_container_go_live_and_lose_no_request() {
    let Some(project) = Project::with_caches_of_its_own() else {
        return;
    };
    project.up();
    let port = project.port("api", "8000");
    let says = |text: &str| {
        eventually(&format!("{text} live"), || {
            get(port, "/").contains(text).then_some(())
        })
    };
    says(TEXT);
    let load = Load::start(port);
    project.edit(FILE, TEXT, "Edited API");
    says("Edited API");
    project.logged("reloaded backend/app/src/health.rs: live in");
    project.edit(
        "backend/entries/src/api.rs",
        "operation_id = \"list_entries\"",
        "operation_id = \"edited\"",
    );
    project.logged("reloaded backend/entries/src/api.rs: live in");
    project.logged("(fast ");
    assert!(get(port, "/openapi.json").contains("\"operationId\":\"edited\""));

    // What does not compile leaves the old one serving, and its error in the log.
    project.edit(FILE, "\"Edited API\"", "Edited API");
    project.logged("not reloaded, and what ran before goes on: backend/app/src/health.rs");
    says("Edited API");
    // As rustc prints it in Docker's log, and plain wherever it is kept or looked for.
    assert!(
        project
            .logs()
            .lines()
            .any(|line| line.contains("health.rs:") && line.contains("\u{1b}[")),
        "{}",
        project.logs()
    );
    let kept = project
        .exec("api", &["sh", "-c", "cat /app/data/logs/dev.log"])
        .expect_code(0);
    let read = project
        .dev(&["--engine", "docker", "logs", "-n", "300"])
        .expect_code(0);
    for plain in [kept, read] {
        assert!(
            plain.stdout.contains("health.rs:") && !plain.stdout.contains('\u{1b}'),
            "{plain}"
        );
    }
    project.edit(FILE, "Edited API", "\"Mended API\"");
    says("Mended API");

    // A migration is applied before the code that needs it serves.
    project.write(
        "backend/db/migrations/29990101000000_mine.up.sql",
        "CREATE TABLE mine ();\n",
    );
    project.write(
        "backend/db/migrations/29990101000000_mine.down.sql",
        "DROP TABLE mine;\n",
    );
    project.logged("applied 29990101000000");
    assert_eq!(project.sql("SELECT count(*) FROM mine"), "0");

    // A setting, without making the container anew.
    project.write(".env", "LOG_LEVEL=error\n");
    // The code after the migration may not be live yet: then both go live at once.
    project.logged("reloaded .env");
    eventually("quiet logs", || {
        let before = project.read("data/logs/app.log").len();
        get(port, "/api/v1/entries");
        (project.read("data/logs/app.log").len() == before).then_some(())
    });

    // A dependency: Cargo.lock is written, as its owner, without making the image anew. It is one of the workspace already.
    project.edit(
        "backend/app/Cargo.toml",
        "tracing.workspace = true",
        "tracing.workspace = true\nhumantime.workspace = true",
    );
    project.edit(FILE, "\"Mended API\"", "humantime::FormattedDuration::NAME");
    project.edit(
        FILE,
        "humantime::FormattedDuration::NAME",
        "{ let _ = humantime::format_duration; \"Dependent API\" }",
    );
    says("Dependent API");
    let lock = project.read("Cargo.lock");
    let (_, service) = lock.split_once("name = \"emotionviz\"\n").unwrap();
    assert!(
        service
            .split("\n\n")
            .next()
            .unwrap()
            .contains("\"humantime\"")
    );
    assert_eq!(project.owner_of("Cargo.lock"), project.owner());

    // As `git switch` does: another file takes the place of one that is mounted by itself. It can be read.
    project.write("Cargo.lock.new", &lock);
    std::fs::rename(project.path("Cargo.lock.new"), project.path("Cargo.lock")).unwrap();
    project.edit(FILE, "Dependent API", "Switched API");
    says("Switched API");

    let counted = load.finish();
    assert!(
        counted.failed.is_empty() && counted.longest < LONGEST && counted.answered > 1000,
        "{counted:?}"
    );

    // Settings that the new service refuses: the old one has its database still, whose password was about to change.
    project.write(
        ".env",
        "LOG_LEVEL=error\nPOSTGRES_API_PASSWORD=another\nJWT_ALGORITHM=none\n",
    );
    project.logged("not reloaded, and what ran before goes on: .env");
    project.sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'emotionviz_api'");
    eventually("new connections to the database", || {
        get(port, "/health/ready").contains("200 OK").then_some(())
    });
    project.write(".env", "LOG_LEVEL=error\n");

    // One that cannot be written is another matter.
    let again = "{{.RestartCount}} {{.State.Health.Status}}";
    assert_eq!(project.inspect("api", again), "0 healthy");
    project.edit(
        "backend/app/Cargo.toml",
        "humantime.workspace = true",
        "humantime.workspace = true\nthiserror.workspace = true",
    );
    project.logged("cargo has to write Cargo.lock, which was replaced and cannot be written");
    eventually("the container started again", || {
        (project.inspect("api", again) == "1 healthy").then_some(())
    });
    // It may be published on another port now.
    assert!(project.get("/").contains("Switched API"));
}
