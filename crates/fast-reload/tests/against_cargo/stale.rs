//! Sources with modification times that cargo does not notice.

use std::path::PathBuf;

use crate::support::{Files, Scratch, manifests};

const MAIN: &str = "app/src/main.rs";
const LOW: &str = "low/src/lib.rs";

fn files() -> Files {
    let mut files = manifests(&[("app", &["low"]), ("low", &[])]);
    files.insert(
        MAIN.to_owned(),
        "fn main() {\n    println!(\"app1 {}\", low::text());\n}\n".to_owned(),
    );
    files.insert(
        LOW.to_owned(),
        "pub fn text() -> &'static str {\n    \"low1\"\n}\n".to_owned(),
    );
    files
}

fn all(s: &Scratch) -> Vec<PathBuf> {
    [MAIN, LOW].map(|file| s.path(file)).into()
}

#[tokio::test]
async fn a_file_that_bears_an_older_time_than_the_build_is_compiled() {
    let mut s = Scratch::new(&files());
    s.build().await.unwrap();
    s.edit(LOW, "low1", "low2");
    s.age(all(&s));
    s.build().await.unwrap();
    assert_eq!(s.printed(), "app1 low2\n");
    // The crate above was linked after the file below was saved, and not since.
    s.edit(MAIN, "app1", "app2");
    s.age([s.path(MAIN)]);
    s.build().await.unwrap();
    assert_eq!(s.printed(), "app2 low2\n");
}

#[tokio::test]
async fn a_crate_that_was_compiled_in_a_failed_build_is_compared_with_its_own_list() {
    let mut s = Scratch::new(&files());
    s.build().await.unwrap();
    let linked = std::fs::metadata(s.workspace.program())
        .unwrap()
        .modified()
        .unwrap();
    // `low` is compiled, and `app` fails: the program is older than the list of `low`.
    s.edit(LOW, "low1", "low2");
    s.edit(MAIN, "println!", "print_line!");
    s.build().await.unwrap_err();
    // Newer than the program, older than the list.
    s.edit(LOW, "low2", "low3");
    let between = linked + std::time::Duration::from_millis(1);
    std::fs::File::options()
        .write(true)
        .open(s.path(LOW))
        .unwrap()
        .set_modified(between)
        .unwrap();
    s.edit(MAIN, "print_line!", "println!");
    s.build().await.unwrap();
    assert_eq!(s.printed(), "app1 low3\n");
}

#[tokio::test]
async fn the_first_build_with_a_record_compiles_what_another_build_missed() {
    let mut s = Scratch::new(&files());
    s.build().await.unwrap();
    std::fs::remove_file(&s.workspace.sources_file).unwrap();
    std::fs::remove_file(s.workspace.program()).unwrap();
    s.edit(LOW, "low1", "low2");
    s.age(all(&s));
    s.build().await.unwrap();
    assert_eq!(s.printed(), "app1 low2\n");
}

#[tokio::test]
async fn a_build_folder_of_the_users_configuration_is_found() {
    // cargo reads the variable for the build folder as a template, so a path with braces cannot be given.
    let mut s = Scratch::named("a {folder}", &files());
    s.write(
        ".cargo/config.toml",
        "[build]\nbuild-dir = \"intermediate\"\n",
    );
    s.workspace.ignored.push("intermediate".to_owned());
    s.build().await.unwrap();
    assert!(s.path("intermediate/debug/.fingerprint").is_dir());
    s.edit(LOW, "low1", "low2");
    s.age(all(&s));
    s.build().await.unwrap();
    assert_eq!(s.printed(), "app1 low2\n");
}

#[tokio::test]
async fn a_manifest_that_cannot_be_read_is_a_failed_build_and_loses_no_change() {
    let mut s = Scratch::new(&files());
    s.build().await.unwrap();
    s.edit(LOW, "low1", "low2");
    s.age(all(&s));
    s.edit("low/Cargo.toml", "[package]", "[package");
    let failed = s.build().await.unwrap_err().to_string();
    assert!(failed.contains("low/Cargo.toml"), "{failed}");
    s.edit("low/Cargo.toml", "[package", "[package]");
    s.build().await.unwrap();
    assert_eq!(s.printed(), "app1 low2\n");
}
