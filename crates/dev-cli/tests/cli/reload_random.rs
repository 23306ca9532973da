//! Slices of `cargo dev bench reload`, which take minutes.
//!
//! `crates/fast-reload/tests` compares the fast way with cargo after random edits of a small workspace. What these add is the real service: its
//! crates and their dependencies, the switch to the new process, and the answers over HTTP.

use std::path::Path;

use dev_bench::{Target, checked_edits, random_edits};
use dev_env::Environment;
use dev_env::report::events::Events;

use crate::support::{built, workspace};

const EDITS: usize = 12;
/// Another seed makes other edits.
const SEED: u64 = 20;

#[test]
#[ignore = "long: builds the service after each edit, twice"]
fn edits_at_random_answer_as_an_ordinary_build() {
    let environment = Environment::find(&workspace(), []).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let tool = Path::new(env!("CARGO_BIN_EXE_dev-cli"));
    let figure = runtime
        .block_on(random_edits(
            &environment,
            tool,
            EDITS,
            SEED,
            &built(),
            &Events::silent(),
        ))
        .unwrap();
    assert_eq!(
        (figure.value, figure.target),
        (1.0, Some(Target::AtLeast(1.0))),
        "{}",
        figure.compared
    );
    let none = figure.compared.contains(", 0 of them by the fast way");
    assert!(
        !none || !cfg!(all(target_os = "linux", target_env = "gnu")),
        "{}",
        figure.compared
    );
}

#[test]
#[ignore = "long: measures builds next to an editor, on a quiet machine"]
fn edits_beside_an_editor_that_checks_go_live_within_a_second() {
    let environment = Environment::find(&workspace(), []).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let tool = Path::new(env!("CARGO_BIN_EXE_dev-cli"));
    let figures = runtime
        .block_on(checked_edits(&environment, tool, &Events::silent()))
        .unwrap();
    for figure in figures {
        let Some(Target::AtMost(most)) = figure.target else {
            panic!("{} has no target", figure.name)
        };
        println!(
            "{}: {:.0} ms ({})",
            figure.name, figure.value, figure.compared
        );
        assert!(
            figure.value <= most,
            "{}: {:.0} ms; {}",
            figure.name,
            figure.value,
            figure.compared
        );
    }
}
