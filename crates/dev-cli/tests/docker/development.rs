//! Edit, and it is live.

use crate::support::{Project, eventually, get};

const FILE: &str = "backend/app/src/health.rs";
const TEXT: &str = "EmotionVisualizer API";

#[test]
fn an_edit_goes_live() {
    let Some(project) = Project::with_caches_of_its_own() else { return };
    project.up();
    let port = project.port("api", "8000");
    let says = |text: &str| eventually(&format!("{text} live"), || get(port, "/").contains(text).then_some(()));
    says(TEXT);
    project.edit(FILE, TEXT, "Edited API");
    says("Edited API");

    // What does not compile leaves the old one serving, and its error in the log.
    project.edit(FILE, "\"Edited API\"", "Edited API");
    project.logged("what ran goes on; the next change is tried again");
    says("Edited API");
    project.edit(FILE, "Edited API", "\"Mended API\"");
    says("Mended API");

    // A migration is applied before the code that needs it serves.
    project.write("backend/db/migrations/29990101000000_mine.up.sql", "CREATE TABLE mine ();\n");
    project.write("backend/db/migrations/29990101000000_mine.down.sql", "DROP TABLE mine;\n");
    project.logged("applied 29990101000000");
    assert_eq!(project.sql("SELECT count(*) FROM mine"), "0");

    // A setting, without making the container anew.
    project.write(".env", "LOG_LEVEL=error\n");
    project.logged(".env changed");
    eventually("quiet logs", || {
        let before = project.read("data/logs/app.log").len();
        get(port, "/api/v1/entries");
        (project.read("data/logs/app.log").len() == before).then_some(())
    });

    // A dependency: Cargo.lock is written, as its owner, without making the image anew. It is one of the workspace already.
    project.edit("backend/app/Cargo.toml", "tracing.workspace = true", "tracing.workspace = true\nhumantime.workspace = true");
    project.edit(FILE, "\"Mended API\"", "humantime::FormattedDuration::NAME");
    project.edit(FILE, "humantime::FormattedDuration::NAME", "{ let _ = humantime::format_duration; \"Dependent API\" }");
    says("Dependent API");
    let lock = project.read("Cargo.lock");
    let (_, service) = lock.split_once("name = \"emotionviz\"\n").unwrap();
    assert!(service.split("\n\n").next().unwrap().contains("\"humantime\""));
    assert_eq!(project.owner_of("Cargo.lock"), project.owner());
}
