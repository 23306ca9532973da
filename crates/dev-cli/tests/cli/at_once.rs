//! Concurrent commands: no command fails because another command runs, and the result is unchanged.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Uid, User, chown};

use crate::support::{Finished, Running, Scratch, service_binary};

const ROUNDS: usize = 6;
/// The concurrent commands.
const COMMANDS: [&[&str]; 8] = [
    &["db", "shell", "-c", "SELECT 1"],
    &["status"],
    &["db", "shell", "-c", "SELECT count(*) FROM kept"],
    &["up", "--detach"],
    &["db", "url"],
    &["config", "show"],
    &["migrate", "status"],
    &["db", "shell", "-c", "SELECT 2"],
];

/// A checkout in which root or another user runs commands.
struct Place {
    scratch: Scratch,
    user: Option<User>,
}

impl Place {
    /// A checkout of root in a folder that the server's user cannot access. `None` if this process is not root.
    fn closed() -> Option<Self> {
        let place = Self {
            scratch: Scratch::new(),
            user: None,
        };
        place.set_mode(0o700);
        test_needs::root().then_some(place)
    }

    /// A checkout of an ordinary user, also if root runs this test.
    fn of_a_user() -> Self {
        let mut scratch = Scratch::new();
        if !Uid::effective().is_root() {
            return Self {
                scratch,
                user: None,
            };
        }
        let user = User::from_name("nobody").unwrap().unwrap();
        scratch.set("HOME", scratch.beside().to_owned());
        // The programs of this build may be in an inaccessible folder.
        let service = scratch.beside().join("emotionviz");
        fs::copy(service_binary(), &service).unwrap();
        fs::copy(
            env!("CARGO_BIN_EXE_dev-cli"),
            scratch.beside().join("dev-cli"),
        )
        .unwrap();
        scratch.set("SERVICE_BINARY", &service);
        let give = |path: &Path| chown(path, Some(user.uid), Some(user.gid)).unwrap();
        give(scratch.beside());
        walk(scratch.root()).iter().for_each(|path| give(path));
        Self {
            scratch,
            user: Some(user),
        }
    }

    fn set_mode(&self, mode: u32) {
        fs::set_permissions(self.scratch.beside(), Permissions::from_mode(mode)).unwrap();
    }

    fn start(&self, args: &[&str]) -> Running {
        let typed = self.scratch.command(args);
        let Some(user) = &self.user else {
            return Running::start(typed);
        };
        let mut command = Command::new(self.scratch.beside().join("dev-cli"));
        command
            .args(args)
            .current_dir(self.scratch.root())
            .env_clear()
            .uid(user.uid.as_raw())
            .gid(user.gid.as_raw());
        command.envs(
            typed
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        Running::start(command)
    }

    fn ok(&self, args: &[&str]) -> Finished {
        self.start(args).finish().expect_code(0)
    }

    /// Starts a database with rows.
    fn up(&self) {
        self.ok(&["up", "--detach"]);
        self.ok(&[
            "db",
            "shell",
            "-c",
            "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n",
        ]);
    }

    fn up_again(&self) {
        self.ok(&["up", "--detach"]);
        self.ok(&["db", "shell", "-c", "SELECT count(*) FROM kept"])
            .prints("1000");
    }

    fn link(&self) -> PathBuf {
        self.scratch.path("data/postgres")
    }

    /// The note next to the database outside the checkout.
    fn note(&self) -> PathBuf {
        self.link().read_link().unwrap().with_file_name("checkout")
    }

    /// The files that commands share.
    fn shared(&self) -> Vec<Option<Vec<u8>>> {
        let files = [
            ".env",
            "data/run/engine",
            "data/run/ports.json",
            "data/run/supervisor.lock",
        ]
        .map(|file| self.scratch.path(file));
        let link = self
            .link()
            .read_link()
            .ok()
            .map(|target| target.into_os_string().into_encoded_bytes());
        [link]
            .into_iter()
            .chain(files.iter().map(|file| fs::read(file).ok()))
            .collect()
    }

    /// Runs many rounds of the commands.
    fn storm(&self, between: impl Fn()) {
        let before = self.shared();
        for round in 0..ROUNDS {
            between();
            let typed: Vec<_> = COMMANDS.iter().map(|command| self.start(command)).collect();
            let ended: Vec<_> = typed
                .into_iter()
                .map(|running| running.finish().expect_code(0))
                .collect();
            ended[2].prints("1000");
            assert_eq!(self.shared(), before, "round {round}");
        }
    }

    /// Stops the environment, and removes the files outside the checkout.
    fn clean_up(self) {
        self.ok(&["down"]);
        if let Ok(target) = self.link().read_link() {
            fs::remove_dir_all(target.parent().unwrap()).unwrap();
        }
        self.set_mode(0o755);
    }
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let inside = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let found = inside.flat_map(|path| {
        if path.is_dir() {
            walk(&path)
        } else {
            vec![path]
        }
    });
    found.chain([folder.to_owned()]).collect()
}

#[test]
fn concurrent_commands_leave_an_ordinary_users_environment_unchanged() {
    let place = Place::of_a_user();
    place.up();
    place.storm(|| {});
    place.clean_up();
}

#[test]
fn concurrent_commands_leave_a_database_outside_the_checkout_unchanged() {
    let Some(place) = Place::closed() else { return };
    place.up();
    place.storm(|| {});
    place.clean_up();
}

#[test]
fn concurrent_commands_keep_the_database_when_its_note_is_empty() {
    let Some(place) = Place::closed() else { return };
    place.up();
    place.set_mode(0o755);
    let note = fs::read(place.note()).unwrap();
    place.storm(|| fs::write(place.note(), "").unwrap());
    // The next start writes the note again, and the database is the same.
    place.ok(&["down"]);
    place.up_again();
    assert_eq!(fs::read(place.note()).unwrap(), note);
    place.clean_up();
}

#[test]
fn concurrent_first_starts_create_one_environment() {
    for place in [Some(Place::of_a_user()), Place::closed()]
        .into_iter()
        .flatten()
    {
        let typed: Vec<_> = (0..8).map(|_| place.start(&["up", "--detach"])).collect();
        typed
            .into_iter()
            .for_each(|up| drop(up.finish().expect_code(0)));
        for name in [
            "POSTGRES_PASSWORD=",
            "POSTGRES_API_PASSWORD=",
            "JWT_SECRET_KEY=",
        ] {
            assert_eq!(
                place
                    .scratch
                    .read(".env")
                    .lines()
                    .filter(|line| line.starts_with(name))
                    .count(),
                1,
                "{name}"
            );
        }
        place.ok(&["db", "shell", "-c", "SELECT 1"]);
        let typed: Vec<_> = (0..8).map(|_| place.start(&["down"])).collect();
        typed
            .into_iter()
            .for_each(|down| drop(down.finish().expect_code(0)));
        place.clean_up();
    }
}

#[test]
fn up_links_a_database_without_a_link_again_and_never_replaces_it() {
    let Some(place) = Place::closed() else { return };
    place.up();
    place.ok(&["down"]);
    let target = place.link().read_link().unwrap();
    for an_empty_folder in [false, true] {
        for mode in [0o700, 0o755] {
            fs::remove_file(place.link()).unwrap();
            if an_empty_folder {
                fs::create_dir(place.link()).unwrap();
            }
            place.set_mode(mode);
            // Commands that only read find the database, and leave the link to `up`.
            place
                .ok(&["db", "shell", "-c", "SELECT count(*) FROM kept"])
                .prints("1000");
            assert!(!place.link().is_symlink());
            place
                .start(&["up", "--detach", "--engine", "docker"])
                .finish()
                .expect_code(1)
                .says("--engine native");
            place
                .start(&["engine", "switch", "docker"])
                .finish()
                .expect_code(1)
                .says("data/postgres is missing, and the database");
            let up = place.ok(&["up", "--detach"]);
            up.says("the link data/postgres was missing; it was created again");
            up.says(&format!(
                "to the database of this checkout in {}",
                target.display()
            ));
            assert_eq!(place.link().read_link().unwrap(), target);
            place.up_again();
            place.ok(&["down"]);
        }
    }
    place.clean_up();
}

#[test]
fn up_creates_no_database_behind_a_broken_link() {
    let place = Place {
        scratch: Scratch::new(),
        user: None,
    };
    let disk = place.scratch.beside().join("disk");
    fs::create_dir(&disk).unwrap();
    fs::create_dir(place.scratch.path("data")).unwrap();
    std::os::unix::fs::symlink(disk.join("postgres"), place.link()).unwrap();
    for verb in [
        &["up", "--detach"][..],
        &["db", "shell", "-c", "SELECT 1"],
        &["backup"],
        &["up", "--detach", "--engine", "docker"],
    ] {
        let refused = place.start(verb).finish().expect_code(1);
        refused.says(&format!(
            "data/postgres is a link to {}, which does not exist",
            disk.join("postgres").display()
        ));
        refused.says("hint: mount that disk");
    }
    assert_eq!(fs::read_dir(&disk).unwrap().count(), 0);
    // The command of the hint.
    fs::create_dir(disk.join("postgres")).unwrap();
    place.up();
    assert!(disk.join("postgres/PG_VERSION").exists());
}

#[test]
fn a_copied_checkout_gets_its_own_database_and_reports_it() {
    let Some(place) = Place::closed() else { return };
    place.up();
    let copy = Place {
        scratch: Scratch::new(),
        user: None,
    };
    copy.set_mode(0o700);
    fs::copy(place.scratch.path(".env"), copy.scratch.path(".env")).unwrap();
    fs::create_dir(copy.scratch.path("data")).unwrap();
    let target = place.link().read_link().unwrap();
    std::os::unix::fs::symlink(&target, copy.link()).unwrap();
    copy.start(&["db", "shell", "-c", "SELECT 1"])
        .finish()
        .expect_code(1)
        .says("there is no database");
    assert_eq!(copy.link().read_link().unwrap(), target);
    let up = copy.ok(&["up", "--detach"]);
    up.says(&format!(
        "this checkout is a copy of {}",
        place.scratch.root().display()
    ));
    up.says("now has its own database");
    assert_ne!(copy.link().read_link().unwrap(), target);
    assert_eq!(copy.scratch.sql("SELECT to_regclass('kept') IS NULL"), "t");
    copy.clean_up();
    place.up_again();
    place.clean_up();
}
