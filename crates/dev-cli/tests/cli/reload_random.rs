//! What answers is what was saved: a slice of `cargo dev bench reload`, which does the same three hundred times.

use std::path::Path;

use dev_env::Environment;
use dev_env::report::events::Events;
use dev_env::verbs::bench::{Target, random_edits};

use crate::support::{built, workspace};

const EDITS: usize = 12;
/// Another seed makes other edits.
const SEED: u64 = 20;

#[test]
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
