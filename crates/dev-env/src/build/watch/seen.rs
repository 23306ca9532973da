//! What files held when they were last looked at, to tell a change from a save that changes nothing.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use proc_macro2::TokenStream;

use super::sources::has_extension;

/// What is known of files.
#[derive(Default)]
pub(crate) struct Seen(HashMap<PathBuf, Known>);

enum Known {
    /// It was not there.
    Absent,
    /// It was there.
    Present,
    /// And held this.
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

impl Seen {
    /// Looks at files.
    pub(crate) fn look(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        self.0.extend(files.into_iter().map(|path| {
            let known = Known::of(&path);
            (path, known)
        }));
    }

    /// Learns of files that they are there. What they hold is read when they are told to have changed: by now that may be news.
    pub(crate) fn learn(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        for path in files.into_iter().filter(|path| path.is_file()) {
            self.0.entry(path).or_insert(Known::Present);
        }
    }

    /// Whether a file says something else than when it was last looked at. Comments and blanks of Rust say nothing; comments that
    /// are documentation do.
    pub(crate) fn is_new(&mut self, path: &Path) -> bool {
        let now = Known::of(path);
        let is_new = match (self.0.get(path), &now) {
            (None | Some(Known::Absent), Known::Absent) => false,
            (Some(Known::Contents(before)), Known::Contents(now)) => {
                before != now && !(has_extension(path, "rs") && same_tokens(before, now))
            }
            // One that was never looked at: who knows?
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
    fn what_says_nothing_new() {
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
    fn files_that_come_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let (rust, text) = (folder.path().join("a.rs"), folder.path().join("a.sql"));
        std::fs::write(&rust, "fn f() {}").unwrap();
        let mut seen = Seen::default();
        seen.look([rust.clone()]);
        assert!(!seen.is_new(&rust));
        std::fs::write(&rust, "fn f() {} // f").unwrap();
        assert!(!seen.is_new(&rust));
        std::fs::write(&rust, "fn g() {}").unwrap();
        assert!(seen.is_new(&rust) && !seen.is_new(&rust));
        std::fs::remove_file(&rust).unwrap();
        assert!(seen.is_new(&rust) && !seen.is_new(&rust));
        assert!(!seen.is_new(&text), "it was there between two looks");
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
