//! What the fast way leaves to cargo, although the edited crate compiles.

use std::os::unix::fs::PermissionsExt;

use crate::support::{Files, Scratch, has_fast_way, manifests};

/// `app` prints what `top` and `low` return. `top` is closed; the body of the function in `low` is plain.
fn files() -> Files {
    let mut files = manifests(&[("app", &["top", "low"]), ("top", &["low"]), ("low", &[])]);
    for (file, text) in [
        (
            "app/src/main.rs",
            "fn main() {\n    println!(\"{} {}\", top::text(), low::text());\n}\n",
        ),
        (
            "top/src/lib.rs",
            "mod inner;\n\n#[inline(never)]\npub fn text() -> String {\n    inner::text()\n}\n",
        ),
        (
            "top/src/inner.rs",
            "pub fn text() -> String {\n    format!(\"top1 {}\", include_str!(\"note.txt\"))\n}\n",
        ),
        ("top/src/note.txt", "note1"),
        (
            "low/src/lib.rs",
            "pub fn text() -> String {\n    \"low1\".to_owned()\n}\n",
        ),
    ] {
        files.insert(file.to_owned(), text.to_owned());
    }
    files
}

async fn built(files: &Files) -> Option<Scratch> {
    let mut scratch = Scratch::new(files);
    if !has_fast_way() {
        return None;
    }
    scratch.build().await.unwrap();
    scratch.workspace.replay().unwrap().is_prepared().unwrap();
    Some(scratch)
}

const INNER: &str = "top/src/inner.rs";
const NOTE: &str = "top/src/note.txt";
const READ_BY_OTHERS: &str = "another crate or a build script reads a changed file";

#[tokio::test]
async fn edits_of_closed_crates_and_plain_bodies_are_fast_and_add_up() {
    let Some(mut s) = built(&files()).await else {
        return;
    };
    assert_eq!(s.printed(), "top1 note1 low1\n");
    for (file, from, to, printed) in [
        (INNER, "top1", "top2", "top2 note1 low1\n"),
        (NOTE, "note1", "note2", "top2 note2 low1\n"),
        ("low/src/lib.rs", "low1", "low2", "top2 note2 low2\n"),
        (
            INNER,
            "pub fn text() -> String {",
            "fn new() -> &'static str {\n    \"new\"\n}\n\npub fn text() -> String {\n    return new().into();",
            "new low2\n",
        ),
    ] {
        s.edit(file, from, to);
        let changed = [s.path(file)].into();
        assert_eq!(s.replace(&changed).await, Ok(true), "{file}: {to}");
        assert_eq!(s.printed(), printed);
    }
    s.build().await.unwrap();
    assert_eq!(s.printed(), "new low2\n", "cargo builds the same");
}

#[tokio::test]
async fn a_file_that_a_crate_below_includes_is_left_to_cargo() {
    let mut files = files();
    files.insert(
        "low/src/lib.rs".to_owned(),
        "pub fn text() -> String {\n    include_str!(\"../../top/src/note.txt\").to_owned()\n}\n"
            .to_owned(),
    );
    let Some(mut s) = built(&files).await else {
        return;
    };
    s.edit(NOTE, "note1", "note2");
    assert_eq!(s.declined(&[NOTE]).await, READ_BY_OTHERS);
    s.build().await.unwrap();
    assert_eq!(s.printed(), "top1 note2 note2\n");
}

#[tokio::test]
async fn a_file_that_a_build_script_reads_is_left_to_cargo() {
    const SCRIPT: &str = "fn main() {\n    println!(\"cargo::rerun-if-changed=build.rs\");\n}\n";
    const WHOLE_PACKAGE: &str = "fn main() {}\n";
    const OTHERS_FILE: &str =
        "fn main() {\n    println!(\"cargo::rerun-if-changed=../top/src/inner.rs\");\n}\n";
    const INCLUDED: &str = "fn main() {\n    let _ = include_str!(\"../top/src/inner.rs\");\n    println!(\"cargo::rerun-if-changed=build.rs\");\n}\n";
    for (package, script, declines) in [
        ("top", SCRIPT, false),
        ("top", WHOLE_PACKAGE, true),
        ("low", WHOLE_PACKAGE, false),
        ("low", OTHERS_FILE, true),
        ("low", INCLUDED, true),
    ] {
        let mut files = files();
        files.insert(format!("{package}/build.rs"), script.to_owned());
        let Some(mut s) = built(&files).await else {
            return;
        };
        s.edit(INNER, "top1", "top2");
        let changed = [s.path(INNER)].into();
        let replaced = s.replace(&changed).await.map_err(|why| why.to_string());
        let expected = if declines {
            Err(READ_BY_OTHERS.to_owned())
        } else {
            Ok(true)
        };
        assert_eq!(replaced, expected, "{package}: {script}");
    }
}

#[tokio::test]
async fn sources_that_were_saved_and_not_reported_yet_are_checked_too() {
    let Some(mut s) = built(&files()).await else {
        return;
    };
    s.edit(INNER, "top1", "top2");
    s.edit("top/src/lib.rs", "mod inner;", "pub mod inner;");
    assert_eq!(
        s.declined(&[INNER]).await,
        "other crates are compiled with what changed"
    );
    s.edit("top/src/lib.rs", "pub mod inner;", "mod inner;");
    let changed = [s.path(INNER)].into();
    assert_eq!(s.replace(&changed).await, Ok(true));
    s.edit(NOTE, "note1", "#[no_mangle]");
    assert_eq!(
        s.declined(&[INNER]).await,
        "other crates are compiled with what changed"
    );
}

#[tokio::test]
async fn a_build_of_another_command_during_a_fast_build_makes_it_decline() {
    let Some(mut s) = built(&files()).await else {
        return;
    };
    // This rustc behaves as if cargo recorded the command again while it runs.
    let arguments = s.recorded("top-", ".arguments");
    let metadata = std::fs::metadata(&arguments).unwrap();
    let text = std::fs::read_to_string(&arguments).unwrap();
    let (rustc, rest) = text.split_once('\0').unwrap();
    let script = s.path("target/rustc");
    std::fs::write(
        &script,
        format!(
            "#!/bin/sh\ntouch '{}'\nexec {rustc} \"$@\"\n",
            arguments.display()
        ),
    )
    .unwrap();
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(&arguments, format!("{}\0{rest}", script.display())).unwrap();
    std::fs::File::options()
        .write(true)
        .open(&arguments)
        .unwrap()
        .set_modified(metadata.modified().unwrap())
        .unwrap();
    s.edit(INNER, "top1", "top2");
    assert_eq!(
        s.declined(&[INNER]).await,
        "the running program is not the last one that cargo linked"
    );
    s.build().await.unwrap();
    assert_eq!(s.printed(), "top2 note1 low1\n");
}

#[tokio::test]
async fn an_edit_that_does_not_compile_is_left_to_cargo_which_prints_the_error() {
    let Some(mut s) = built(&files()).await else {
        return;
    };
    s.edit(INNER, "top1", "{}");
    assert_eq!(s.declined(&[INNER]).await, "the crate does not compile");
    let failed = s.build().await.unwrap_err().to_string();
    assert!(failed.contains("\nerror"), "{failed}");
    assert_eq!(s.printed(), "top1 note1 low1\n", "what runs still runs");
}

#[tokio::test]
async fn cargo_gives_way_to_other_programs_and_a_replayed_rustc_does_not() {
    if !has_fast_way() {
        return;
    }
    let mut s = Scratch::new(&files());
    let (log, rustc) = (s.path("target/log"), s.path("target/rustc"));
    let script = format!("#!/bin/sh\nnice >>'{}'\nexec rustc \"$@\"\n", log.display());
    std::fs::write(&rustc, script).unwrap();
    std::fs::set_permissions(&rustc, PermissionsExt::from_mode(0o755)).unwrap();
    s.write(
        ".cargo/config.toml",
        &format!("[build]\nrustc = \"{}\"\n", rustc.display()),
    );
    let ours = std::process::Command::new("nice").output().unwrap().stdout;
    let ours: i32 = String::from_utf8(ours).unwrap().trim().parse().unwrap();
    let expect = |niceness: i32, of: &str| {
        let log_text = std::fs::read_to_string(&log).unwrap();
        let expected = niceness.min(19).to_string();
        assert!(
            !log_text.is_empty() && log_text.lines().all(|line| line == expected),
            "{of}: {log_text}"
        );
        std::fs::remove_file(&log).unwrap();
    };
    s.build().await.unwrap();
    expect(ours + 10, "cargo");
    s.workspace.replay().unwrap().prime().await;
    expect(ours + 10, "the first run for the cache");
    s.edit(INNER, "top1", "top2");
    let changed = [s.path(INNER)].into();
    assert_eq!(s.replace(&changed).await, Ok(true));
    expect(ours, "the fast way");
}
