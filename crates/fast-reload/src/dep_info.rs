//! Lists of files that cargo and rustc write: rules of a Makefile.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// The inputs of a compiled crate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Inputs {
    /// The files, as absolute paths.
    pub(crate) files: BTreeSet<PathBuf>,
    /// The variables that `env!` reads, with their values.
    pub(crate) variables: BTreeSet<String>,
}

impl Inputs {
    /// Reads the list that rustc wrote for a library. `root`: the folder that relative paths start in.
    pub(crate) fn read(root: &Path, list: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(list).ok()?;
        let rule = text
            .lines()
            .find(|line| line.contains(".rlib: ") || line.contains(".rmeta: "))?;
        Some(Self {
            files: dependencies(rule)
                .iter()
                .map(|named| resolve(root, named))
                .collect(),
            variables: text
                .lines()
                .filter(|line| line.starts_with("# env-dep:"))
                .map(str::to_owned)
                .collect(),
        })
    }
}

/// Reads all files of a list, whatever it was written for.
pub(crate) fn all_files(root: &Path, list: &Path) -> std::io::Result<Vec<PathBuf>> {
    let text = std::fs::read_to_string(list)?;
    Ok(text
        .lines()
        .flat_map(dependencies)
        .map(|named| resolve(root, &named))
        .collect())
}

/// Returns an absolute path. rustc writes paths as the sources have them: `src/../../other/src/file`.
pub(crate) fn resolve(root: &Path, named: &Path) -> PathBuf {
    let path = root.join(named);
    if named.components().any(|part| part == Component::ParentDir) {
        path.canonicalize().unwrap_or(path)
    } else {
        path
    }
}

/// Returns the dependencies of one rule. A backslash precedes blanks in names.
pub(crate) fn dependencies(rule: &str) -> Vec<PathBuf> {
    let mut names = vec![String::new()];
    let (_, rest) = rule.split_once(": ").unwrap_or_default();
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

    #[test]
    fn names_may_have_blanks() {
        assert_eq!(
            dependencies("a b: /x/a\\ b.rs /x/c.rs\n"),
            [PathBuf::from("/x/a b.rs"), PathBuf::from("/x/c.rs")]
        );
    }

    #[test]
    fn inputs_are_files_and_variables() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("f.d");
        std::fs::write(&list, "/t/f.d: src/a.rs\n\n/t/libf.rlib: src/a.rs src/b\\ c.rs\n\nsrc/a.rs:\n\n# env-dep:A=1\n").unwrap();
        let inputs = Inputs::read(Path::new("/r"), &list).unwrap();
        assert_eq!(
            inputs.files.into_iter().collect::<Vec<_>>(),
            [PathBuf::from("/r/src/a.rs"), PathBuf::from("/r/src/b c.rs")]
        );
        assert_eq!(
            inputs.variables.into_iter().collect::<Vec<_>>(),
            ["# env-dep:A=1"]
        );
        assert_eq!(all_files(Path::new("/r"), &list).unwrap().len(), 3);
    }
}
