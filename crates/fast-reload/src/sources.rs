//! The files that a program is built of.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use notify::RecursiveMode;

use crate::Workspace;
use crate::dep_info::dependencies;

/// The files that a program is built of: those that cargo lists for the last build, and those that the next build may add.
///
/// Before the first build, every file in a folder of the workspace counts.
#[derive(Clone, Debug)]
pub struct Sources {
    root: PathBuf,
    ignored: Vec<String>,
    settings: Vec<PathBuf>,
    given: Option<PathBuf>,
    built: Option<Built>,
}

/// The files and packages of the last build.
#[derive(Clone, Debug)]
struct Built {
    files: BTreeSet<PathBuf>,
    packages: BTreeSet<PathBuf>,
}

impl Sources {
    /// Returns the sources of a workspace, before anything is known of a build.
    ///
    /// `settings`: files that the program reads when it starts, relevant whether they exist or not. `given`: a program that is built
    /// elsewhere; if there is one, only this file and the settings are relevant.
    pub fn new(workspace: &Workspace, settings: Vec<PathBuf>, given: Option<PathBuf>) -> Self {
        Self {
            root: workspace.root.clone(),
            ignored: workspace.ignored.clone(),
            settings,
            given,
            built: None,
        }
    }

    /// Reads the list that cargo wrote next to a program: all files that it was built of
    /// (<https://doc.rust-lang.org/cargo/reference/build-cache.html#dep-info-files>). Does nothing if there is no list.
    pub fn learn(&mut self, program: &Path) {
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

    /// Returns the files of the last build: those that cargo lists, and those in listed folders.
    pub fn built(&self) -> Vec<PathBuf> {
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
    pub(crate) fn all(&self) -> BTreeSet<PathBuf> {
        let settings = self.settings.iter().chain(&self.given).cloned();
        settings.chain(self.rust()).chain(self.built()).collect()
    }

    /// Returns the program that is built elsewhere, if there is one.
    pub fn given(&self) -> Option<&Path> {
        self.given.as_deref()
    }

    /// Returns the settings files, whether they exist or not.
    pub fn settings(&self) -> &[PathBuf] {
        &self.settings
    }

    /// Returns whether a file is a settings file.
    pub fn is_settings(&self, path: &Path) -> bool {
        self.settings.iter().any(|file| file == path)
    }

    /// Returns the folder of the workspace.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the folders to be watched.
    pub(crate) fn folders(&self) -> Vec<(PathBuf, RecursiveMode)> {
        let mut folders = vec![(self.root.clone(), RecursiveMode::NonRecursive)];
        match self.given.as_ref().and_then(|program| program.parent()) {
            Some(folder) => {
                let settings = self.settings.iter().filter_map(|file| file.parent());
                folders.extend(
                    settings
                        .chain([folder])
                        .filter(|folder| *folder != self.root)
                        .map(|folder| (folder.to_owned(), RecursiveMode::NonRecursive)),
                );
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

    /// Returns whether a path is a top-level folder of the workspace that may have sources.
    pub(crate) fn is_watched_folder(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.given.is_none()
            && path.parent() == Some(&self.root)
            && (name == ".cargo" || !name.starts_with('.') && !self.is_ignored(&name))
            && path.is_dir()
    }

    fn is_ignored(&self, top: &str) -> bool {
        self.ignored.iter().any(|name| name == top)
    }

    /// Returns the existing Rust sources.
    pub fn rust(&self) -> Vec<PathBuf> {
        let folders = self
            .folders()
            .into_iter()
            .filter(|(_, mode)| *mode == RecursiveMode::Recursive);
        folders
            .flat_map(|(folder, _)| files(&folder, true))
            .filter(|file| has_extension(file, "rs"))
            .collect()
    }

    /// Returns the relevant files at or below a path, whether they exist or were removed.
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
        // cargo lists generated files too, and each build changes them.
        if inside
            .iter()
            .next()
            .is_some_and(|top| self.is_ignored(&top.to_string_lossy()))
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
        let is_temporary = name.ends_with('~') || inside.iter().any(hidden);
        match &self.built {
            Some(built) if built.files.contains(file) => true,
            // A file in a listed folder, or a new module of a package that was built.
            Some(built) => {
                let is_listed = || {
                    file.ancestors()
                        .skip(1)
                        .take_while(|path| *path != self.root)
                        .any(|path| built.files.contains(path))
                };
                let is_module = || {
                    has_extension(file, "rs")
                        && built
                            .packages
                            .iter()
                            .any(|package| file.starts_with(package))
                };
                !is_temporary && (is_listed() || is_module())
            }
            None => !is_temporary && inside.components().count() > 1,
        }
    }
}

/// Returns whether a file has this extension.
pub(crate) fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension()
        .is_some_and(|extension| extension == wanted)
}

/// Returns the files in a folder and, if `deep`, in its subfolders, except hidden ones. Links to folders are followed.
pub fn files(folder: &Path, deep: bool) -> Vec<PathBuf> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> (tempfile::TempDir, Workspace) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for file in [
            "Cargo.toml",
            "members/db/Cargo.toml",
            "members/db/src/lib.rs",
            "members/db/m/1.sql",
        ] {
            std::fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            std::fs::write(root.join(file), "").unwrap();
        }
        let mut workspace = Workspace::scratch(root);
        workspace.ignored.push("data".to_owned());
        (folder, workspace)
    }

    #[test]
    fn a_build_narrows_the_sources_to_those_that_cargo_lists() {
        let (_folder, workspace) = workspace();
        let root = workspace.root.clone();
        let settings = vec![root.join(".env"), root.join("members/settings")];
        let mut sources = Sources::new(&workspace, settings, None);
        let matters = |sources: &Sources, path: &str| sources.matters(&root.join(path));
        let always = [
            ".env",
            "members/settings",
            "Cargo.toml",
            "Cargo.lock",
            ".cargo/config.toml",
            "rust-toolchain.toml",
            "members/new/Cargo.toml",
        ];
        let never = [
            ".env.swp",
            "README.md",
            "data/run/a.rs",
            "target/debug/build/out/a.rs",
            ".git/index",
            "members/db/src/.lib.rs.swp",
            "members/db/src/lib.rs~",
            "members/db/src/#lib.rs#",
        ];
        let (yes, then_no) = (
            [
                "members/db/src/lib.rs",
                "members/db/src/new.rs",
                "members/db/m/2.sql",
            ],
            ["members/tests/a.rs", "crates/x/a.rs"],
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
        let (db, elsewhere) = (root.join("members/db"), "/elsewhere/lib.rs");
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
            &[&never[..], &then_no, &["members/db/notes.txt"]].concat(),
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
    fn only_a_given_program_and_the_settings_are_relevant() {
        let (_folder, workspace) = workspace();
        let (program, settings) = (
            workspace.root.join("bin/service"),
            workspace.root.join("members/settings"),
        );
        let sources = Sources::new(&workspace, vec![settings.clone()], Some(program.clone()));
        assert!(sources.matters(&program) && sources.matters(&settings));
        assert!(!sources.matters(&workspace.root.join("members/db/src/lib.rs")));
        let members = (workspace.root.join("members"), RecursiveMode::NonRecursive);
        assert!(sources.folders().contains(&members));
    }
}
