//! Which files the service is made of.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use notify::RecursiveMode;

use crate::Checkout;

/// Folders at the top of a checkout that nothing is built of.
const NOT_SOURCES: [&str; 4] = ["data", "docs", "node_modules", "target"];

/// Which files the service is made of: what cargo says of its last build, and what may become part of the next one.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    root: PathBuf,
    settings: [PathBuf; 2],
    /// A program that is built by somebody else, if that is what runs.
    given: Option<PathBuf>,
    built: Option<Built>,
}

/// What cargo says.
#[derive(Clone, Debug)]
struct Built {
    files: BTreeSet<PathBuf>,
    packages: BTreeSet<PathBuf>,
}

impl Sources {
    /// Those of a checkout; `given` is a program that is not built here.
    pub(crate) fn new(checkout: &Checkout, given: Option<PathBuf>) -> Self {
        Self {
            root: checkout.root().to_owned(),
            settings: [checkout.env_file(), checkout.backend_env_file()],
            given,
            built: None,
        }
    }

    /// Reads what cargo wrote beside a program that it built: all the files that went into it
    /// (<https://doc.rust-lang.org/cargo/reference/build-cache.html#dep-info-files>).
    pub(crate) fn learn(&mut self, program: &Path) {
        let Ok(text) = std::fs::read_to_string(program.with_extension("d")) else {
            return;
        };
        let files: BTreeSet<PathBuf> = dependencies(&text)
            .into_iter()
            .filter(|file| file.starts_with(&self.root))
            .collect();
        let package = |file: &PathBuf| {
            file.ancestors()
                .find(|folder| folder.join("Cargo.toml").is_file())
                .map(Path::to_owned)
        };
        let packages = files
            .iter()
            .filter_map(package)
            .filter(|folder| *folder != self.root)
            .collect();
        self.built = Some(Built { files, packages });
    }

    /// The files that were there when it was built: what cargo names, and what lies in the folders that it names.
    pub(crate) fn built(&self) -> Vec<PathBuf> {
        let named = self.built.iter().flat_map(|built| &built.files);
        named
            .flat_map(|path| {
                if path.is_dir() {
                    files(path, true)
                } else {
                    vec![path.clone()]
                }
            })
            .collect()
    }

    /// Returns all known files, including settings files.
    pub(super) fn all(&self) -> BTreeSet<PathBuf> {
        let settings = self.settings.iter().chain(&self.given).cloned();
        settings.chain(self.rust()).chain(self.built()).collect()
    }

    /// The program that is not built here, if that is what runs.
    pub(crate) fn given(&self) -> Option<&Path> {
        self.given.as_deref()
    }

    /// The files of settings, whether they are there or not.
    pub(crate) fn settings(&self) -> &[PathBuf] {
        &self.settings
    }

    /// Whether a file is one of settings.
    pub(crate) fn is_settings(&self, path: &Path) -> bool {
        self.settings.iter().any(|file| file == path)
    }

    /// What is to be watched.
    pub(crate) fn folders(&self) -> Vec<(PathBuf, RecursiveMode)> {
        let mut folders = vec![(self.root.clone(), RecursiveMode::NonRecursive)];
        match self.given.as_ref().and_then(|program| program.parent()) {
            Some(folder) => {
                folders.push((self.root.join("backend"), RecursiveMode::NonRecursive));
                folders.push((folder.to_owned(), RecursiveMode::NonRecursive));
            }
            None => {
                let inside = std::fs::read_dir(&self.root)
                    .into_iter()
                    .flatten()
                    .flatten()
                    .map(|entry| entry.path());
                folders.extend(
                    inside
                        .filter(|path| self.is_watched_folder(path))
                        .map(|path| (path, RecursiveMode::Recursive)),
                );
            }
        }
        folders.retain(|(folder, _)| folder.is_dir());
        folders
    }

    /// Whether a path is a folder at the top of the checkout that sources are in.
    pub(crate) fn is_watched_folder(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.given.is_none()
            && path.parent() == Some(&self.root)
            && (name == ".cargo" || !name.starts_with('.') && !NOT_SOURCES.contains(&&*name))
            && path.is_dir()
    }

    /// The Rust sources that are there.
    pub(crate) fn rust(&self) -> Vec<PathBuf> {
        let folders = self
            .folders()
            .into_iter()
            .filter(|(_, mode)| *mode == RecursiveMode::Recursive);
        folders
            .flat_map(|(folder, _)| files(&folder, true))
            .filter(|file| has_extension(file, "rs"))
            .collect()
    }

    /// The files at or below a path that matter, whether they are there or not any more.
    pub(crate) fn that_matter(&self, path: &Path) -> Vec<PathBuf> {
        let mut found = match path
            .strip_prefix(&self.root)
            .ok()
            .and_then(|inside| inside.components().next())
        {
            _ if !path.is_dir() => vec![path.to_owned()],
            Some(top) if self.is_watched_folder(&self.root.join(top)) => files(path, true),
            Some(_) => Vec::new(),
            None => files(path, false),
        };
        if let Some(built) = &self.built {
            found.extend(
                built
                    .files
                    .iter()
                    .filter(|file| file.starts_with(path) && !file.is_dir())
                    .cloned(),
            );
        }
        found.retain(|file| self.matters(file));
        found
    }

    fn matters(&self, file: &Path) -> bool {
        if self.is_settings(file) {
            return true;
        }
        if let Some(program) = &self.given {
            return file == program;
        }
        let Ok(inside) = file.strip_prefix(&self.root) else {
            return false;
        };
        // What cargo generates is named among its sources, and changes with each build.
        if inside
            .iter()
            .next()
            .is_some_and(|top| NOT_SOURCES.iter().any(|name| top == *name))
        {
            return false;
        }
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if matches!(
            &*name,
            "Cargo.toml" | "Cargo.lock" | "build.rs" | "rust-toolchain.toml" | "rust-toolchain"
        ) || inside.starts_with(".cargo")
        {
            return true;
        }
        let hidden = |part: &std::ffi::OsStr| part.to_string_lossy().starts_with(['.', '#']);
        let odd = name.ends_with('~') || inside.iter().any(hidden);
        match &self.built {
            Some(built) if built.files.contains(file) => true,
            // A folder that is named: whatever lies in it, such as the migrations. A new module: whoever names it makes it known.
            Some(built) => {
                let named = || {
                    file.ancestors()
                        .skip(1)
                        .take_while(|path| *path != self.root)
                        .any(|path| built.files.contains(path))
                };
                let module = || {
                    has_extension(file, "rs")
                        && built
                            .packages
                            .iter()
                            .any(|package| file.starts_with(package))
                };
                !odd && (named() || module())
            }
            // Before the first build nobody knows: cargo will say.
            None => !odd && inside.components().count() > 1,
        }
    }
}

/// Whether a file's name ends so.
pub(crate) fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension()
        .is_some_and(|extension| extension == wanted)
}

/// Returns the files in a folder and in its subfolders, except hidden ones. Links to folders are followed.
pub(crate) fn files(folder: &Path, deep: bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(folder, deep, &mut Vec::new(), &mut found);
    found
}

/// `above`: the targets of the links on the way here. A link to one of them, or to a parent of itself, is not followed.
fn collect(folder: &Path, deep: bool, above: &mut Vec<PathBuf>, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let kind = entry.file_type();
        let target = kind
            .as_ref()
            .is_ok_and(|kind| kind.is_symlink())
            .then(|| path.canonicalize().ok())
            .flatten();
        let is_dir = kind.is_ok_and(|kind| kind.is_dir())
            || target.as_ref().is_some_and(|target| target.is_dir());
        if !is_dir {
            found.push(path);
        } else if deep && !entry.file_name().to_string_lossy().starts_with('.') {
            let leads_back = |target: &PathBuf| {
                above.contains(target)
                    || folder
                        .canonicalize()
                        .is_ok_and(|folder| folder.starts_with(target))
            };
            match target {
                Some(target) if leads_back(&target) => {}
                Some(target) => {
                    above.push(target);
                    collect(&path, true, above, found);
                    above.pop();
                }
                None => collect(&path, true, above, found),
            }
        }
    }
}

/// What a rule of a Makefile depends on. Blanks in names have a backslash before them.
pub(crate) fn dependencies(text: &str) -> Vec<PathBuf> {
    let mut names = vec![String::new()];
    let (_, rest) = text.split_once(": ").unwrap_or_default();
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => names
                .last_mut()
                .expect("one is there")
                .extend(characters.next()),
            ' ' | '\n' => names.push(String::new()),
            other => names.last_mut().expect("one is there").push(other),
        }
    }
    names
        .into_iter()
        .filter(|name| !name.is_empty())
        .map(PathBuf::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkout() -> (tempfile::TempDir, Checkout) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for file in [
            "Cargo.toml",
            "backend/.env.example",
            "backend/db/Cargo.toml",
            "backend/db/src/lib.rs",
            "backend/db/m/1.sql",
        ] {
            std::fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            std::fs::write(root.join(file), "").unwrap();
        }
        let checkout = Checkout::find(root).unwrap();
        (folder, checkout)
    }

    #[test]
    fn before_the_first_build_and_after_it() {
        let (_folder, checkout) = checkout();
        let mut sources = Sources::new(&checkout, None);
        let root = checkout.root().to_owned();
        let matters = |sources: &Sources, path: &str| sources.matters(&root.join(path));
        let always = [
            ".env",
            "backend/.env",
            "Cargo.toml",
            "Cargo.lock",
            ".cargo/config.toml",
            "rust-toolchain.toml",
            "backend/new/Cargo.toml",
        ];
        let never = [
            ".env.swp",
            "README.md",
            "data/run/a.rs",
            "target/debug/build/out/a.rs",
            ".git/index",
            "backend/db/src/.lib.rs.swp",
            "backend/db/src/lib.rs~",
            "backend/db/src/#lib.rs#",
        ];
        let (yes, then_no) = (
            [
                "backend/db/src/lib.rs",
                "backend/db/src/new.rs",
                "backend/db/m/2.sql",
            ],
            ["backend/tests/a.rs", "crates/x/a.rs"],
        );
        let check = |sources: &Sources, paths: &[&str], expected: bool| {
            for path in paths {
                assert_eq!(matters(sources, path), expected, "{path}");
            }
        };
        check(&sources, &[&always[..], &yes, &then_no].concat(), true);
        check(&sources, &never, false);

        let program = root.join("target/debug/service");
        std::fs::create_dir_all(program.parent().unwrap()).unwrap();
        let (db, elsewhere) = (root.join("backend/db"), "/elsewhere/lib.rs");
        let text = format!("{}: {0}/src/lib.rs {0}/m {elsewhere}\n", db.display()).replacen(
            &db.display().to_string(),
            "x",
            1,
        );
        std::fs::write(program.with_extension("d"), text).unwrap();
        sources.learn(&program);
        check(&sources, &[&always[..], &yes].concat(), true);
        check(
            &sources,
            &[&never[..], &then_no, &["backend/db/notes.txt"]].concat(),
            false,
        );
        assert_eq!(
            sources.that_matter(&db.join("src")),
            [db.join("src/lib.rs"), db.join("src/lib.rs")]
        );
        std::fs::remove_dir_all(db.join("src")).unwrap();
        assert_eq!(
            sources.that_matter(&db.join("src")),
            [db.join("src/lib.rs")],
            "a folder that is gone"
        );
    }

    #[test]
    fn a_given_program_alone() {
        let (_folder, checkout) = checkout();
        let program = checkout.root().join("bin/service");
        let sources = Sources::new(&checkout, Some(program.clone()));
        assert!(sources.matters(&program) && sources.matters(&checkout.env_file()));
        assert!(!sources.matters(&checkout.root().join("backend/db/src/lib.rs")));
    }

    #[test]
    fn names_with_blanks() {
        assert_eq!(
            dependencies("a b: /x/a\\ b.rs /x/c.rs\n"),
            [PathBuf::from("/x/a b.rs"), PathBuf::from("/x/c.rs")]
        );
    }
}
