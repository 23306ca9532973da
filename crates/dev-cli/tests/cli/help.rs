use crate::support::Scratch;

const VERBS: [&[&str]; 28] = [
    &[],
    &["up"],
    &["down"],
    &["stop"],
    &["restart"],
    &["status"],
    &["logs"],
    &["test"],
    &["check"],
    &["migrate"],
    &["migrate", "up"],
    &["migrate", "down"],
    &["migrate", "to"],
    &["migrate", "status"],
    &["migrate", "new"],
    &["migrate", "verify"],
    &["db"],
    &["db", "shell"],
    &["db", "url"],
    &["db", "seed"],
    &["db", "password"],
    &["backup"],
    &["restore"],
    &["config"],
    &["config", "show"],
    &["config", "explain"],
    &["config", "check"],
    &["completions"],
];

#[test]
fn each_verb_has_an_example() {
    let scratch = Scratch::new();
    for verb in VERBS {
        let help = scratch.ok(&[verb, &["--help"]].concat());
        let example = [&["cargo", "dev"], verb].concat().join(" ");
        let (_, examples) = help
            .stdout
            .split_once("Examples:")
            .unwrap_or_else(|| panic!("no example: {help}"));
        assert!(
            examples.contains(&example),
            "no example of {example}: {help}"
        );
        help.prints(&format!("Usage: {example}"));
    }
}

#[test]
fn wrong_usage_is_status_2() {
    let scratch = Scratch::new();
    for wrong in [
        &["nonsense"][..],
        &["up", "--nonsense"],
        &[],
        &["restart", "cache"],
        &["migrate", "down", "0"],
        &["completions", "tcsh"],
    ] {
        let refused = scratch.dev(wrong).expect_code(2);
        assert!(refused.stdout.is_empty(), "{refused}");
        refused.says("--help");
    }
}

#[test]
fn completions_that_the_shell_understands() {
    let scratch = Scratch::new();
    let script = scratch.ok(&["completions", "bash"]).stdout;
    let path = scratch.script("complete.bash", &script);
    let check = std::process::Command::new("bash")
        .args(["-c", "source \"$1\" && type -t dev && complete -p dev && COMP_WORDS=(dev sta) COMP_CWORD=1 && _dev dev sta dev; echo \"${COMPREPLY[@]}\"", "-"])
        .arg(&path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&check.stdout);
    assert!(
        said.contains("function") && said.trim_end().ends_with("status"),
        "{said}{}",
        String::from_utf8_lossy(&check.stderr)
    );
    for shell in ["zsh", "fish", "powershell"] {
        scratch.ok(&["completions", shell]).prints("cargo dev");
    }
}

#[test]
fn colours_for_terminals_alone() {
    let mut scratch = Scratch::new();
    assert!(!scratch.ok(&["down"]).stderr.contains('\u{1b}'));
    scratch.set("CLICOLOR_FORCE", "1");
    assert!(scratch.ok(&["down"]).stderr.contains('\u{1b}'));
    scratch.set("NO_COLOR", "1");
    scratch.set("CLICOLOR_FORCE", "");
    assert!(!scratch.ok(&["down"]).stderr.contains('\u{1b}'));
    assert_eq!(scratch.ok(&["--quiet", "down"]).stderr, "");
}
