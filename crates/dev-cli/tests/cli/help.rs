use crate::support::Scratch;

#[test]
fn wrong_usage_exits_with_status_2() {
    let scratch = Scratch::new();
    for wrong in [&["nonsense"][..], &[]] {
        let refused = scratch.dev(wrong).expect_code(2);
        assert!(refused.stdout.is_empty(), "{refused}");
        refused.says("--help");
    }
}

#[test]
fn completions_work_in_their_shells() {
    if !test_needs::program("bash", "apt install bash") {
        return;
    }
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
fn colours_are_printed_to_terminals_only() {
    let mut scratch = Scratch::new();
    assert!(!scratch.ok(&["down"]).stderr.contains('\u{1b}'));
    scratch.set("CLICOLOR_FORCE", "1");
    assert!(scratch.ok(&["down"]).stderr.contains('\u{1b}'));
    scratch.set("NO_COLOR", "1");
    scratch.set("CLICOLOR_FORCE", "");
    assert!(!scratch.ok(&["down"]).stderr.contains('\u{1b}'));
    assert_eq!(scratch.ok(&["--quiet", "down"]).stderr, "");
}
