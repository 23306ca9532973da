//! Edits inside features go live the fast way, and what answers is never older than what was saved.

use crate::reload_builds::Edited;
use crate::support::Scratch;

const API: &str = "backend/entries/src/api.rs";
const SERVICES: &str = "backend/entries/src/services.rs";
const ACCOUNTS: &str = "backend/accounts/src/api.rs";

/// What the document says of the service, which is all made of its sources.
fn document(s: &Edited) -> String {
    s.answer("/openapi.json")
}

/// The names of calls, of two features; some longer than others, so that all that follows in a file moves.
const NAMES: [&str; 6] = [
    "list_entries",
    "a",
    "list_all_of_the_entries",
    "z9",
    "list_entries",
    "entries_list",
];

#[test]
#[ignore = "long: many builds"]
fn edits_of_features_go_live_the_fast_way() {
    let fast = cfg!(all(target_os = "linux", target_env = "gnu"));
    if !test_needs::met(fast, "fast builds", "run the tests on Linux with glibc") {
        return;
    }
    let Some(mut s) = Edited::start() else { return };

    // One edit after the other, all of them visible.
    for pair in NAMES.windows(2) {
        s.edit(
            API,
            &format!("operation_id = \"{}\"", pair[0]),
            &format!("operation_id = \"{}\"", pair[1]),
        );
        let live = s.next("live");
        assert_eq!(live["builder"], "fast", "{live}");
        assert!(
            document(&s).contains(&format!("\"operationId\":\"{}\"", pair[1])),
            "{live}"
        );
    }

    // Two features at once, and a function that is new.
    s.edit(SERVICES, "use ", "/// New.\n#[allow(dead_code)]\nfn new() -> String {\n    String::from(\"new\").repeat(3)\n}\n\nuse ");
    s.edit(
        ACCOUNTS,
        "operation_id = \"get_account\"",
        "operation_id = \"get_my_account\"",
    );
    let live = s.next("live");
    assert_eq!(
        (
            live["builder"].as_str(),
            document(&s).contains("get_my_account")
        ),
        (Some("fast"), true),
        "{live}"
    );
    assert!(
        document(&s).contains("entries_list"),
        "what was replaced before is still"
    );

    // An error is cargo's to say. Mended, it is as before.
    s.edit(API, "operation_id = \"entries_list\"", "operation_id = 3");
    assert!(
        s.next("failed")["compiler"]
            .as_str()
            .unwrap()
            .contains("error[E")
    );
    assert!(document(&s).contains("entries_list"));
    s.edit(API, "operation_id = 3", "operation_id = \"mended\"");
    s.next("live");
    assert!(
        document(&s).contains("\"operationId\":\"mended\"")
            && document(&s).contains("get_my_account")
    );

    // What other crates know, a new file, and a crate below: cargo. Then fast again.
    s.edit(
        "backend/entries/src/lib.rs",
        "api::router(",
        "{}\n    api::router(",
    );
    assert_eq!(s.next("live")["builder"], "cargo");
    s.scratch.write(
        "backend/entries/src/more.rs",
        "//! More.\n\npub(crate) const NAME: &str = include_str!(\"new.txt\");\n",
    );
    s.scratch.write("backend/entries/src/new.txt", "new below");
    s.edit(
        "backend/entries/src/lib.rs",
        "mod models;",
        "mod models;\nmod more;",
    );
    s.edit(
        SERVICES,
        "String::from(\"new\")",
        "String::from(crate::more::NAME)",
    );
    assert_eq!(s.next("live")["builder"], "cargo");
    s.edit(
        "backend/core/src/lib.rs",
        "mod envelope;",
        "/// New.\npub const NEW: &str = include_str!(\"../../entries/src/new.txt\");\nmod envelope;",
    );
    assert_eq!(s.next("live")["builder"], "cargo");
    s.edit(
        API,
        "description = \"The page\"",
        "description = emotionviz_core::NEW",
    );
    let live = s.next("live");
    assert_eq!(
        (live["builder"].as_str(), document(&s).contains("new below")),
        (Some("fast"), true),
        "{live}"
    );

    // There, what a function does is fast, where nobody else has it compiled in.
    s.edit(
        "backend/core/src/lib.rs",
        "/// New.",
        "/// New.\npub fn new() -> String {\n    format!(\"{NEW}\")\n}\n\n/// New.",
    );
    s.edit(
        API,
        "description = emotionviz_core::NEW",
        "description = format!(\"{}, {}\", emotionviz_core::NEW, emotionviz_core::new())",
    );
    assert_eq!(s.next("live")["builder"], "cargo");
    s.edit(
        "backend/core/src/lib.rs",
        "format!(\"{NEW}\")",
        "format!(\"{NEW}, new body\")",
    );
    let live = s.next("live");
    assert_eq!(
        (
            live["builder"].as_str(),
            document(&s).contains("new below, new body")
        ),
        (Some("fast"), true),
        "{live}"
    );

    // What callers see is compared with what they were compiled with, not with a build that failed.
    s.edit(
        "backend/core/src/lib.rs",
        "include_str!(\"../../entries/src/new.txt\")",
        "\"other below\"",
    );
    s.edit(
        "backend/core/src/lib.rs",
        "format!(\"{NEW}, new body\")",
        "1",
    );
    s.next("failed");
    s.edit(
        "backend/core/src/lib.rs",
        "{\n    1\n}",
        "{\n    format!(\"{NEW}, mended body\")\n}",
    );
    let live = s.next("live");
    assert_eq!(
        (
            live["builder"].as_str(),
            document(&s).contains("other below, other below, mended body")
        ),
        (Some("cargo"), true),
        "{live}"
    );
    s.edit(
        "backend/core/src/lib.rs",
        "\"other below\"",
        "include_str!(\"../../entries/src/new.txt\")",
    );
    s.next("live");

    // A file that a crate below is made of too.
    s.edit("backend/entries/src/new.txt", "new below", "newer below");
    let live = s.next("live");
    assert_eq!(
        (
            live["builder"].as_str(),
            document(&s).contains("newer below")
        ),
        (Some("cargo"), true),
        "{live}"
    );
    s.edit(
        API,
        "operation_id = \"mended\"",
        "operation_id = \"more_mended\"",
    );
    let live = s.next("live");
    assert_eq!(
        (
            live["builder"].as_str(),
            document(&s).contains("more_mended")
        ),
        (Some("fast"), true),
        "{live}"
    );

    // A service that dies comes back as it was, replaced parts and all.
    let pid = s.scratch.pid("api");
    crate::support::processes::kill(pid, nix::sys::signal::Signal::SIGKILL);
    crate::support::eventually("the API", || {
        document(&s).contains("newer below").then_some(())
    });

    // What cargo makes of it all is the same.
    let fast = document(&s);
    s.scratch.ok(&["restart", "api"]);
    let body = |answer: &str| answer.split("\r\n\r\n").nth(1).map(str::to_owned);
    assert_eq!(body(&document(&s)), body(&fast));
}

#[test]
#[ignore = "long: many builds"]
fn a_foreign_rustc_wrapper_turns_off_fast_builds() {
    let Some(mut scratch) = Scratch::with_sources() else {
        return;
    };
    let log = scratch.beside().join("log");
    let wrapper = scratch.script(
        "wrapper",
        &format!("echo \"$(nice) $1\" >> '{}'\nexec \"$@\"\n", log.display()),
    );
    scratch.set("RUSTC_WRAPPER", wrapper);
    let mut s = Edited::of(scratch);
    assert!(
        s.scratch
            .ok(&["logs", "dev"])
            .stdout
            .contains("each edit is built by cargo: another wrapper of rustc")
    );
    s.edit(
        API,
        "operation_id = \"list_entries\"",
        "operation_id = \"wrapped\"",
    );
    assert_eq!(s.next("live")["builder"], "cargo");
    assert!(document(&s).contains("wrapped"));
    let started = std::fs::read_to_string(log).unwrap();
    let ours = std::process::Command::new("nice").output().unwrap().stdout;
    let niceness = (String::from_utf8(ours)
        .unwrap()
        .trim()
        .parse::<i32>()
        .unwrap()
        + 10)
        .min(19);
    for line in started.lines() {
        let (nice, program) = line.split_once(' ').unwrap();
        assert!(
            program.ends_with("rustc") && !program.contains("/target/"),
            "{line}"
        );
        assert_eq!(nice, niceness.to_string(), "{line}");
    }
}
