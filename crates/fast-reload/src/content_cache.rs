//! The contents of files when they were last read, to distinguish a change from a save that changes nothing.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use proc_macro2::TokenStream;

use crate::sources::has_extension;

/// The contents of files when they were last read.
#[derive(Default)]
pub struct ContentCache(HashMap<PathBuf, Known>);

enum Known {
    /// There was no file.
    Absent,
    /// The file existed, and was not read.
    Present,
    Contents(Vec<u8>),
}

impl Known {
    /// A settings file may be a pipe: a read would wait for its writer, and each read would count as a change.
    fn of(path: &Path) -> Self {
        if path.is_file() {
            std::fs::read(path).map_or(Self::Absent, Self::Contents)
        } else {
            Self::Absent
        }
    }
}

impl ContentCache {
    /// Reads files, and keeps their contents.
    pub fn look(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        self.0.extend(files.into_iter().map(|path| {
            let known = Known::of(&path);
            (path, known)
        }));
    }

    /// Records that files exist. Their contents are not read: they may have changed since the last build.
    pub fn learn(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        for path in files.into_iter().filter(|path| path.is_file()) {
            self.0.entry(path).or_insert(Known::Present);
        }
    }

    /// Returns whether a file differs from when it was last read, and keeps its new contents.
    ///
    /// Comments and white space of Rust do not count, but documentation comments do. A file that was never read is new.
    pub fn is_new(&mut self, path: &Path) -> bool {
        let now = Known::of(path);
        let is_new = match (self.0.get(path), &now) {
            (None | Some(Known::Absent), Known::Absent) => false,
            (Some(Known::Contents(before)), Known::Contents(now)) => {
                before != now && !(has_extension(path, "rs") && same_tokens(before, now))
            }
            _ => true,
        };
        self.0.insert(path.to_owned(), now);
        is_new
    }
}

fn same_tokens(before: &[u8], now: &[u8]) -> bool {
    let tokens = |text: &[u8]| {
        Some(
            std::str::from_utf8(text)
                .ok()?
                .parse::<TokenStream>()
                .ok()?
                .to_string(),
        )
    };
    tokens(before).is_some_and(|before| tokens(now) == Some(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_white_space_do_not_count() {
        let same = |before: &str, now: &str| same_tokens(before.as_bytes(), now.as_bytes());
        assert!(same(
            "fn f() { g(1) }",
            "// why\nfn f() {\n    g(1) /* one */\n}\n"
        ));
        for (before, now) in [
            ("fn f() { g(1) }", "fn f() { g(2) }"),
            ("fn f() { \"a b\" }", "fn f() { \"a  b\" }"),
            ("/// One.\nstruct A;", "/// Two.\nstruct A;"),
            ("//! One.", "//! Two."),
            ("fn f() { a | | b }", "fn f() { a || b }"),
            ("fn f() {", "fn f() { "),
        ] {
            assert!(!same(before, now), "{before} -> {now}");
        }
    }

    #[test]
    fn created_changed_and_removed_files_are_new_once() {
        let folder = tempfile::tempdir().unwrap();
        let (rust, text) = (folder.path().join("a.rs"), folder.path().join("a.sql"));
        std::fs::write(&rust, "fn f() {}").unwrap();
        let mut seen = ContentCache::default();
        seen.look([rust.clone()]);
        assert!(!seen.is_new(&rust));
        std::fs::write(&rust, "fn f() {} // f").unwrap();
        assert!(!seen.is_new(&rust));
        std::fs::write(&rust, "fn g() {}").unwrap();
        assert!(seen.is_new(&rust) && !seen.is_new(&rust));
        std::fs::remove_file(&rust).unwrap();
        assert!(seen.is_new(&rust) && !seen.is_new(&rust));
        assert!(!seen.is_new(&text), "it existed between two reads");
        std::fs::write(&text, "SELECT 1 -- one").unwrap();
        assert!(seen.is_new(&text) && !seen.is_new(&text));
        std::fs::write(&text, "SELECT 1 -- two").unwrap();
        assert!(
            seen.is_new(&text),
            "comments of other languages are not understood"
        );

        let (known, gone) = (
            folder.path().join("known.sql"),
            folder.path().join("gone.sql"),
        );
        std::fs::write(&known, "SELECT 1").unwrap();
        seen.learn([known.clone(), gone.clone(), text.clone()]);
        assert!(!seen.is_new(&text) && !seen.is_new(&gone));
        std::fs::remove_file(&known).unwrap();
        assert!(seen.is_new(&known) && !seen.is_new(&known));
        nix::unistd::mkfifo(&known, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(!seen.is_new(&known), "a pipe is not read");
    }
}
