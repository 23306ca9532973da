//! What is changed goes live on bad days too, or what runs goes on and says why.

use std::process::{Child, Command};

use test_needs::SmallDisk;

use crate::reload::reload;
use crate::reload_builds::Edited;
use crate::support::{Running, Scratch, eventually};

const WELCOME: &str = "backend/app/src/health.rs";
const TEXT: &str = "EmotionVisualizer API";

#[test]
#[ignore = "long: many builds"]
fn a_full_disk_and_a_missing_toolchain_leave_the_running_process() {
    let Some(mut scratch) = Scratch::with_sources() else {
        return;
    };
    let (disk, target) = (
        scratch.beside().join("disk"),
        scratch.beside().join("disk/target"),
    );
    let Some(disk) = SmallDisk::mount(&disk, 400) else {
        return;
    };
    scratch.set("CARGO_TARGET_DIR", &target);
    let mut s = Edited::of(scratch);

    let filler = disk.fill();
    s.edit(WELCOME, TEXT, "Edited API");
    let failed = s.next("failed");
    assert!(
        failed.to_string().contains("No space left on device"),
        "{failed}"
    );
    assert!(s.answer("/").contains(TEXT));
    std::fs::remove_file(filler).unwrap();
    s.edit(WELCOME, "Edited API", "Saved again API");
    s.next("live");
    assert!(s.answer("/").contains("Saved again API"));

    let toolchain = s.scratch.read("rust-toolchain.toml");
    s.scratch.write(
        "rust-toolchain.toml",
        "[toolchain]\nchannel = \"not-installed\"\n",
    );
    let failed = s.next("failed");
    assert!(failed.to_string().contains("not-installed"), "{failed}");
    assert!(s.answer("/").contains("Saved again API"));
    s.scratch.write("rust-toolchain.toml", &toolchain);
    s.edit(WELCOME, "Saved again API", "Same compiler API");
    s.next("live");
    assert!(s.answer("/").contains("Same compiler API"));
    s.scratch.ok(&["down"]);
}

#[test]
fn reload_works_through_a_link_to_the_checkout() {
    let scratch = Scratch::new();
    let link = scratch.beside().join("link");
    std::os::unix::fs::symlink(scratch.root(), &link).unwrap();
    let mut up = scratch.command(&["up", "--detach"]);
    up.current_dir(&link);
    Running::start(up).finish().expect_code(0);
    std::fs::write(
        link.join(".env"),
        format!(
            "{}ALLOWED_ORIGINS=https://linked.example\n",
            scratch.read(".env")
        ),
    )
    .unwrap();
    let live = reload(&scratch, 1);
    assert_eq!(
        (live["outcome"].as_str(), &live["changed"]),
        (Some("live"), &serde_json::json!([".env"])),
        "{live}"
    );
}

/// A namespace of users in which one folder can be watched and no more. Only root can make one whose users are those outside.
struct FewWatches(Child);

impl FewWatches {
    fn new() -> Option<Self> {
        let child = Command::new("unshare")
            .args(["--user", "sleep", "1000"])
            .spawn();
        let Ok(child) = child else {
            test_needs::skip("unshare", "apt install util-linux");
            return None;
        };
        let namespace = Self(child);
        let mapped = eventually("a namespace", || {
            let own = std::fs::read_link("/proc/self/ns/user").ok()?;
            (std::fs::read_link(namespace.proc("ns/user")).ok()? != own).then(|| {
                let map = |name: &str| std::fs::write(namespace.proc(name), "0 0 100000\n");
                map("uid_map").and_then(|()| map("gid_map"))
            })
        });
        let limited = mapped.is_ok()
            && namespace
                .enter("sh")
                .args(["-c", "echo 1 > /proc/sys/user/max_inotify_watches"])
                .status()
                .is_ok_and(|status| status.success());
        test_needs::met(
            limited,
            "a limit on watched folders (a user namespace)",
            "run the tests as root, with util-linux",
        )
        .then_some(namespace)
    }

    fn proc(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.0.id())
    }

    fn enter(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args([
            "--user",
            "--target",
            &self.0.id().to_string(),
            "--",
            program,
        ]);
        command
    }
}

impl Drop for FewWatches {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn reload_polls_when_no_more_folders_can_be_watched() {
    let Some(namespace) = FewWatches::new() else {
        return;
    };
    let scratch = Scratch::new();
    let typed = scratch.command(&["up", "--detach"]);
    let mut up = namespace.enter(typed.get_program().to_str().unwrap());
    up.args(typed.get_args())
        .current_dir(scratch.root())
        .env_clear()
        .envs(
            typed
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    Running::start(up)
        .finish()
        .expect_code(0)
        .says("sudo sysctl fs.inotify.max_user_watches=");
    assert_eq!(scratch.status()["watching"]["by"], "polling");
    scratch.write(
        ".env",
        &format!(
            "{}ALLOWED_ORIGINS=https://seen.example\n",
            scratch.read(".env")
        ),
    );
    assert_eq!(reload(&scratch, 1)["outcome"], "live");
}
