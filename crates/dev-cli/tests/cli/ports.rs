use std::net::TcpListener;

use crate::support::processes::expect_none;
use crate::support::{Scratch, get_from, taken_port};

const IPV6: &str = "the address ::1";
const IPV6_HINT: &str = "enable IPv6 on the loopback interface";

#[test]
fn a_port_from_the_settings_is_used_or_its_holder_is_reported() {
    let mut scratch = Scratch::new();
    for setting in ["API_PORT", "POSTGRES_PORT"] {
        let (listener, port) = taken_port();
        scratch.set(setting, port.to_string());
        let refused = scratch.dev(&["up", "--detach"]).expect_code(1);
        refused.says(&format!("port {port} ({setting}) is taken by"));
        refused.says(&format!("(pid {})", std::process::id()));
        expect_none(scratch.root());
        drop(listener);
        scratch.up();
        assert_eq!(
            scratch.port(if setting == "API_PORT" { "api" } else { "db" }),
            port
        );
        scratch.ok(&["down"]);
        scratch.set(setting, "0");
    }
}

#[test]
fn up_checks_the_address_of_the_api_before_it_creates_anything() {
    let mut scratch = Scratch::new();
    let listener = std::net::TcpListener::bind(("127.0.0.2", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    scratch.set("API_PORT", port.to_string());
    let refused = |scratch: &Scratch, args: &[&str]| {
        let refused = scratch.dev(args).expect_code(1);
        refused.says(&format!("port {port} (API_PORT) is taken by"));
        refused.says(&format!("(pid {})", std::process::id()));
        assert!(!scratch.path("data/postgres").exists());
    };
    refused(&scratch, &["up", "--detach", "--lan"]);
    scratch.set("API_HOST", "127.0.0.2");
    refused(&scratch, &["up", "--detach"]);
    scratch.set("API_HOST", "192.0.2.1");
    scratch
        .dev(&["up", "--detach"])
        .expect_code(1)
        .says("192.0.2.1 (API_HOST) is no address of this machine");
    assert!(!scratch.path("data/postgres").exists());
}

#[test]
fn a_taken_default_port_is_replaced_and_the_choice_is_kept() {
    let mut scratch = Scratch::new();
    scratch.set("API_PORT", "");
    // Whoever has the default: this test, or somebody else on this machine.
    let listener = std::net::TcpListener::bind(("127.0.0.1", 8000));
    let up = scratch.up();
    up.says("port 8000 (API_PORT) is taken by");
    up.says("kept for this checkout");
    let port = scratch.port("api");
    assert_ne!(port, 8000);
    scratch.ok(&["down"]);
    drop(listener);
    let again = scratch.up();
    assert_eq!(scratch.port("api"), port, "{again}");
}

#[test]
fn two_checkouts_run_side_by_side() {
    let (one, two) = (Scratch::named("same name"), Scratch::named("same name"));
    let (first, second) = (
        one.start(&["up", "--detach"]),
        two.start(&["up", "--detach"]),
    );
    first.finish().expect_code(0);
    second.finish().expect_code(0);
    assert!(one.port("api") != two.port("api") && one.port("db") != two.port("db"));
    one.ok(&["db", "shell", "-c", "CREATE TABLE of_one (n int)"]);
    two.dev(&["db", "shell", "-c", "SELECT n FROM of_one"])
        .expect_code(1)
        .says("does not exist");
    one.ok(&["down"]);
    assert!(two.get("/health/ready").contains("\"ready\""));
}

#[test]
fn the_api_answers_on_both_loopback_addresses() {
    let has_both = TcpListener::bind("[::1]:0").is_ok();
    if !test_needs::met(has_both, IPV6, IPV6_HINT) {
        return;
    }
    let scratch = Scratch::new();
    scratch.up();
    let expect_answers = || {
        for host in ["127.0.0.1", "::1"] {
            let answer = get_from(host, scratch.port("api"), "/health/ready");
            assert!(answer.contains("\"ready\""), "{host}: {answer}");
        }
    };
    expect_answers();
    scratch.ok(&["restart", "api"]);
    expect_answers();
}

#[test]
fn a_program_that_uses_the_port_on_the_other_loopback_address_is_reported() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        test_needs::skip(IPV6, IPV6_HINT);
        return;
    };
    let port = listener.local_addr().unwrap().port();
    let mut scratch = Scratch::new();
    scratch.set("API_PORT", port.to_string());
    let refused = scratch.dev(&["up", "--detach"]).expect_code(1);
    refused.says(&format!("port {port}"));
    refused.says(&format!("pid {}", std::process::id()));
}
