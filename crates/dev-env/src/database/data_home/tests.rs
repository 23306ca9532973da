use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

/// A folder with a checkout that the server's user cannot access, and a folder for databases.
struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Self {
        let scratch = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::set_permissions(scratch.folder.path(), Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(scratch.closed()).unwrap();
        scratch.make_checkout("checkout");
        fs::set_permissions(scratch.closed(), Permissions::from_mode(0o700)).unwrap();
        scratch
    }

    fn closed(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("closed")
    }

    fn checkout(&self) -> PathBuf {
        self.closed().join("checkout")
    }

    fn room(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("elsewhere")
    }

    fn make_checkout(&self, name: &str) -> PathBuf {
        let checkout = self.closed().join(name);
        fs::create_dir_all(checkout.join("backend")).unwrap();
        fs::create_dir_all(checkout.join("data")).unwrap();
        fs::write(checkout.join("Cargo.toml"), "").unwrap();
        fs::write(checkout.join("backend/.env.example"), "").unwrap();
        checkout
    }

    fn copy(&self, from: &Path, name: &str) -> PathBuf {
        let copy = self.make_checkout(name);
        symlink(
            from.join("data/postgres").read_link().unwrap(),
            copy.join("data/postgres"),
        )
        .unwrap();
        copy
    }

    fn find(&self, checkout: &Path) -> Result<DataHome, HomeError> {
        find(checkout, &stranger(), &self.room())
    }

    fn prepare(&self, checkout: &Path) -> DataHome {
        let home = self.find(checkout).unwrap();
        home.prepare(checkout).unwrap();
        home
    }

    /// Prepares the folders and creates a database.
    fn up(&self, checkout: &Path) -> PathBuf {
        let data_dir = self.prepare(checkout).data_dir;
        fs::create_dir_all(&data_dir).unwrap();
        fs::write(data_dir.join("PG_VERSION"), "15\n").unwrap();
        data_dir
    }

    fn note(&self, data_dir: &Path) -> PathBuf {
        data_dir.with_file_name("checkout")
    }
}

fn stranger() -> User {
    User {
        uid: 4_000_000,
        gid: 4_000_000,
        name: "stranger".to_owned(),
    }
}

fn link_of(checkout: &Path) -> PathBuf {
    checkout.join("data/postgres")
}

fn state(home: &DataHome) -> Option<&LinkState> {
    home.elsewhere.as_ref().map(|elsewhere| &elsewhere.state)
}

#[test]
fn the_data_directory_is_in_the_checkout_if_the_server_can_access_it() {
    let checkout = tempfile::tempdir().unwrap();
    fs::set_permissions(checkout.path(), Permissions::from_mode(0o755)).unwrap();
    let home = data_home(checkout.path(), &User::current().unwrap()).unwrap();
    assert_eq!(
        home,
        DataHome {
            data_dir: checkout.path().join("data/postgres"),
            elsewhere: None,
            copied_from: None
        }
    );
    assert!(
        !checkout.path().join("data").exists(),
        "looking makes nothing"
    );
}

#[test]
fn a_users_link_is_followed_and_its_folder_is_unchanged() {
    let checkout = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let target = other.path().join("postgres");
    fs::create_dir_all(&target).unwrap();
    fs::create_dir(checkout.path().join("data")).unwrap();
    symlink(&target, link_of(checkout.path())).unwrap();
    let home = data_home(checkout.path(), &User::current().unwrap()).unwrap();
    home.prepare(checkout.path()).unwrap();
    assert_eq!(
        (home.data_dir.clone(), state(&home)),
        (target, Some(&LinkState::Kept))
    );
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 1);
}

#[test]
fn a_broken_link_is_refused_as_data_directory() {
    let scratch = Scratch::new();
    let target = scratch.folder.path().join("not mounted/postgres");
    symlink(&target, link_of(&scratch.checkout())).unwrap();
    let refused = scratch.find(&scratch.checkout()).unwrap_err().to_string();
    assert!(
        refused.contains("not mounted/postgres") && refused.contains("mkdir -p"),
        "{refused}"
    );
    assert!(link_of(&scratch.checkout()).is_symlink() && !target.exists());

    // The tool's own folder, emptied or not mounted.
    fs::remove_file(link_of(&scratch.checkout())).unwrap();
    let data_dir = scratch.up(&scratch.checkout());
    fs::remove_dir_all(scratch.room()).unwrap();
    scratch.find(&scratch.checkout()).unwrap_err();
    // The folder exists, and only the database was removed.
    fs::create_dir_all(data_dir.parent().unwrap()).unwrap();
    fs::write(scratch.note(&data_dir), "").unwrap();
    assert_eq!(scratch.prepare(&scratch.checkout()).data_dir, data_dir);
}

#[test]
fn files_created_in_a_users_folder_belong_to_that_user() {
    let folder = tempfile::tempdir().unwrap();
    if Uid::effective().is_root() {
        stranger().give(folder.path()).unwrap();
    }
    let made = folder.path().join("data/run");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| make_parents(&made.join("file")).unwrap());
        }
    });
    let expected = fs::metadata(folder.path()).unwrap().uid();
    for path in [made.clone(), folder.path().join("data")] {
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(
            (metadata.uid(), metadata.mode() & 0o777),
            (expected, 0o755),
            "{}",
            path.display()
        );
        assert_eq!(
            fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1,
            "nothing else stays"
        );
    }
}

#[test]
fn two_checkouts_have_different_data_directories() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert_ne!(checkout_hash(one.path()), checkout_hash(two.path()));
    assert_eq!(checkout_hash(one.path()).len(), 12);
}

#[test]
fn an_inaccessible_checkout_keeps_its_data_outside() {
    let scratch = Scratch::new();
    let checkout = scratch.checkout();
    let home = scratch.find(&checkout).unwrap();
    assert_eq!(
        home.data_dir,
        scratch
            .room()
            .join(checkout_hash(&checkout))
            .join("postgres")
    );
    assert_eq!(state(&home), Some(&LinkState::Blocked(scratch.closed())));
    assert!(
        !link_of(&checkout).is_symlink() && !scratch.room().exists(),
        "looking makes nothing"
    );
    let data_dir = scratch.up(&checkout);
    assert_eq!(
        (link_of(&checkout).read_link().unwrap(), &data_dir),
        (home.data_dir.clone(), &home.data_dir)
    );
    assert_eq!(scratch.find(&checkout).unwrap().data_dir, data_dir);
    // It stays there when the way is free.
    fs::set_permissions(scratch.closed(), Permissions::from_mode(0o755)).unwrap();
    assert_eq!(state(&scratch.prepare(&checkout)), Some(&LinkState::Kept));
    fs::remove_file(link_of(&checkout)).unwrap();
    assert_eq!(scratch.prepare(&checkout).data_dir, data_dir);
}

#[test]
fn a_copied_checkout_gets_a_new_data_directory_and_a_moved_one_keeps_it() {
    let scratch = Scratch::new();
    let data_dir = scratch.up(&scratch.checkout());
    let copy = scratch.copy(&scratch.checkout(), "copy");
    let found = scratch.find(&copy).unwrap();
    assert_eq!(found.copied_from, Some(scratch.checkout()));
    assert_eq!(
        link_of(&copy).read_link().unwrap(),
        data_dir,
        "looking changes nothing"
    );
    let own = scratch.up(&copy);
    assert_eq!(
        own,
        scratch.room().join(checkout_hash(&copy)).join("postgres")
    );
    assert_eq!(link_of(&copy).read_link().unwrap(), own);
    assert_eq!(link_of(&scratch.checkout()).read_link().unwrap(), data_dir);

    let moved = scratch.closed().join("moved");
    fs::rename(scratch.checkout(), &moved).unwrap();
    assert_eq!(scratch.prepare(&moved).data_dir, data_dir);
    // Its link is lost: the note knows the new path.
    fs::remove_file(link_of(&moved)).unwrap();
    assert_eq!(scratch.prepare(&moved).data_dir, data_dir);
    assert_eq!(link_of(&moved).read_link().unwrap(), data_dir);
}

#[test]
fn a_copy_that_is_started_before_the_checkout_that_was_moved_takes_nothing() {
    let scratch = Scratch::new();
    let data_dir = scratch.up(&scratch.checkout());
    let copy = scratch.copy(&scratch.checkout(), "copy");
    let moved = scratch.closed().join("moved");
    fs::rename(scratch.checkout(), &moved).unwrap();
    let message = scratch.find(&copy).unwrap_err().to_string();
    assert!(
        message.contains("Nothing was changed")
            && message.contains(&scratch.checkout().display().to_string()),
        "{message}"
    );
    assert_eq!(scratch.prepare(&moved).data_dir, data_dir);
    // The moved one is known by its new path now.
    assert_eq!(scratch.find(&copy).unwrap().copied_from, Some(moved));
}

#[test]
fn a_copied_checkout_in_an_accessible_folder_keeps_its_database_there() {
    let scratch = Scratch::new();
    let data_dir = scratch.up(&scratch.checkout());
    let copy = scratch.copy(&scratch.checkout(), "copy");
    fs::set_permissions(scratch.closed(), Permissions::from_mode(0o755)).unwrap();
    let home = scratch.prepare(&copy);
    assert_eq!((home.data_dir, home.elsewhere), (link_of(&copy), None));
    assert!(!link_of(&copy).is_symlink());
    assert_eq!(link_of(&scratch.checkout()).read_link().unwrap(), data_dir);
}

#[test]
fn an_uncertain_note_never_removes_the_link() {
    let scratch = Scratch::new();
    let checkout = scratch.checkout();
    let data_dir = scratch.up(&checkout);
    let whole = fs::read(scratch.note(&data_dir)).unwrap();
    let path = checkout.as_os_str().as_encoded_bytes();
    let deleted = b"/nowhere/checkout".to_vec();
    let no_checkout = scratch.closed().as_os_str().as_encoded_bytes().to_vec();
    let not_text = vec![0xff, 0, b'\n', b'\n'];
    let cuts = (0..whole.len())
        .step_by(7)
        .map(|length| whole[..length].to_vec());
    let odd = [
        path.to_vec(),
        path[..path.len() - 3].to_vec(),
        deleted,
        no_checkout,
        not_text,
        b"\n\n\n".to_vec(),
    ];
    for bytes in cuts.chain(odd) {
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        fs::write(scratch.note(&data_dir), &bytes).unwrap();
        let home = scratch.prepare(&checkout);
        assert_eq!(
            (&home.data_dir, home.copied_from),
            (&data_dir, None),
            "{shown}"
        );
        assert_eq!(link_of(&checkout).read_link().unwrap(), data_dir, "{shown}");
        assert_eq!(fs::read(scratch.note(&data_dir)).unwrap(), whole, "{shown}");

        // The database is also never hidden if the link is missing.
        fs::write(scratch.note(&data_dir), &bytes).unwrap();
        fs::remove_file(link_of(&checkout)).unwrap();
        match scratch.find(&checkout) {
            Ok(home) => assert_eq!(home.data_dir, data_dir, "{shown}"),
            Err(refused) => assert!(
                refused.to_string().contains(data_dir.to_str().unwrap()),
                "{refused}"
            ),
        }
        symlink(&data_dir, link_of(&checkout)).unwrap();
    }
    let remove = |path: &Path| fs::remove_file(path);
    for break_note in [remove as fn(&Path) -> std::io::Result<()>, |path| {
        fs::create_dir(path)
    }] {
        break_note(&scratch.note(&data_dir)).unwrap();
        assert_eq!(scratch.find(&checkout).unwrap().data_dir, data_dir);
        fs::remove_file(link_of(&checkout)).unwrap();
        assert_eq!(scratch.find(&checkout).unwrap().data_dir, data_dir);
        symlink(&data_dir, link_of(&checkout)).unwrap();
    }
}

#[test]
fn a_database_without_a_link_is_linked_again() {
    let scratch = Scratch::new();
    let checkout = scratch.checkout();
    let data_dir = scratch.up(&checkout);
    let empty = |path: &Path| fs::create_dir(path).unwrap();
    for instead in [(|_: &Path| ()) as fn(&Path), empty] {
        fs::remove_file(link_of(&checkout)).unwrap();
        instead(&link_of(&checkout));
        for open in [false, true] {
            fs::set_permissions(
                scratch.closed(),
                Permissions::from_mode(if open { 0o755 } else { 0o700 }),
            )
            .unwrap();
            let found = scratch.find(&checkout).unwrap();
            assert!(found.is_lost() && found.data_dir == data_dir);
        }
        scratch.prepare(&checkout);
        assert_eq!(link_of(&checkout).read_link().unwrap(), data_dir);
        assert_eq!(
            fs::read_dir(checkout.join("data")).unwrap().count(),
            1,
            "nothing else stays"
        );
    }
    // A database in the checkout is the one that counts.
    fs::remove_file(link_of(&checkout)).unwrap();
    fs::create_dir(link_of(&checkout)).unwrap();
    fs::write(link_of(&checkout).join("PG_VERSION"), "15\n").unwrap();
    assert_eq!(
        scratch.find(&checkout).unwrap().data_dir,
        link_of(&checkout)
    );
}

#[test]
fn a_new_checkout_at_an_old_path_does_not_take_the_old_database() {
    let scratch = Scratch::new();
    let data_dir = scratch.up(&scratch.checkout());
    let moved = scratch.closed().join("moved");
    fs::rename(scratch.checkout(), &moved).unwrap();
    let new = scratch.make_checkout("checkout");
    let refused = scratch.find(&new).unwrap_err().to_string();
    assert!(
        refused.contains(data_dir.to_str().unwrap()) && refused.contains("hint: "),
        "{refused}"
    );
    // After a start of the moved checkout, the owner of the database is certain.
    assert_eq!(scratch.prepare(&moved).data_dir, data_dir);
    let own = scratch.up(&new);
    assert_eq!(
        own,
        scratch
            .room()
            .join(format!("{}-2", checkout_hash(&new)))
            .join("postgres")
    );
    for (checkout, data_dir) in [(&moved, &data_dir), (&new, &own)] {
        assert_eq!(&scratch.prepare(checkout).data_dir, data_dir);
        fs::remove_file(link_of(checkout)).unwrap();
        assert_eq!(&scratch.prepare(checkout).data_dir, data_dir);
    }
}

#[test]
fn a_moved_checkout_is_distinguished_from_a_copy_at_its_old_path() {
    let scratch = Scratch::new();
    let data_dir = scratch.up(&scratch.checkout());
    let moved = scratch.closed().join("moved");
    fs::rename(scratch.checkout(), &moved).unwrap();
    let copy = scratch.copy(&moved, "checkout");
    assert_eq!(scratch.prepare(&moved).data_dir, data_dir);
    assert_eq!(scratch.find(&copy).unwrap().copied_from, Some(moved));
}

#[test]
fn no_link_is_created_if_the_note_cannot_be_written() {
    let scratch = Scratch::new();
    let home = scratch.find(&scratch.checkout()).unwrap();
    fs::create_dir_all(scratch.note(&home.data_dir).join("in the way")).unwrap();
    let refused = home.prepare(&scratch.checkout()).unwrap_err().to_string();
    assert!(refused.contains("no database was created"), "{refused}");
    assert!(!link_of(&scratch.checkout()).is_symlink());
}

#[test]
fn an_existing_database_works_without_its_note() {
    let scratch = Scratch::new();
    let data_dir = scratch.up(&scratch.checkout());
    fs::remove_file(scratch.note(&data_dir)).unwrap();
    fs::create_dir_all(scratch.note(&data_dir).join("in the way")).unwrap();
    assert_eq!(scratch.prepare(&scratch.checkout()).data_dir, data_dir);
    fs::remove_file(link_of(&scratch.checkout())).unwrap();
    scratch.prepare(&scratch.checkout());
    assert_eq!(link_of(&scratch.checkout()).read_link().unwrap(), data_dir);
}

#[test]
fn concurrent_prepares_of_the_data_directory_change_nothing() {
    let scratch = Scratch::new();
    let checkout = scratch.checkout();
    let data_dir = scratch.up(&checkout);
    let before = fs::read(scratch.note(&data_dir)).unwrap();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (scratch, checkout, data_dir) = (&scratch, &checkout, &data_dir);
            scope.spawn(move || {
                for round in 0..100 {
                    // One command at a time prepares it; a full disk of an earlier version left an empty note.
                    if number == 0 && round % 10 == 0 {
                        fs::write(scratch.note(data_dir), "").unwrap();
                    }
                    if number == 0 {
                        scratch.prepare(checkout);
                    }
                    let home = scratch.find(checkout).unwrap();
                    assert_eq!(
                        (&home.data_dir, state(&home)),
                        (data_dir, Some(&LinkState::Kept))
                    );
                }
            });
        }
    });
    assert_eq!(fs::read(scratch.note(&data_dir)).unwrap(), before);
    assert_eq!(link_of(&checkout).read_link().unwrap(), data_dir);
}
