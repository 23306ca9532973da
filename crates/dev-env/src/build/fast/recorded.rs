//! What cargo told the compiler to do for a crate, to be told again.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use super::bodies;
use crate::build::watch::{dependencies, has_extension};
use process::Configuration;

/// One command.
pub(super) struct Recorded {
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    written: SystemTime,
    /// A copy of the sources as they were when the service was linked.
    sources: PathBuf,
}

impl Recorded {
    /// What was written down for a crate.
    pub(super) fn read(folder: &Path, name: &str) -> Option<Self> {
        let file = folder.join(format!("{name}.arguments"));
        let parts = |file: &Path| -> Option<Vec<OsString>> {
            let bytes = std::fs::read(file).ok()?;
            let bytes = bytes.strip_suffix(b"\0")?;
            Some(
                bytes
                    .split(|byte| *byte == 0)
                    .map(|part| OsStr::from_bytes(part).to_owned())
                    .collect(),
            )
        };
        let variable = |text: OsString| {
            let at = text.as_bytes().iter().position(|byte| *byte == b'=')?;
            Some((
                OsStr::from_bytes(&text.as_bytes()[..at]).to_owned(),
                OsStr::from_bytes(&text.as_bytes()[at + 1..]).to_owned(),
            ))
        };
        Some(Self {
            sources: folder.join(format!("{name}.sources")),
            written: std::fs::metadata(&file).ok()?.modified().ok()?,
            arguments: parts(&file)?,
            environment: parts(&folder.join(format!("{name}.environment")))?
                .into_iter()
                .filter_map(variable)
                .collect(),
        })
    }

    /// Whether neither the command nor anything that it reads of other crates is newer than a moment.
    pub(super) fn is_older_than(&self, moment: SystemTime) -> bool {
        let older = |path: &Path| {
            std::fs::metadata(path)
                .and_then(|file| file.modified())
                .is_ok_and(|modified| modified <= moment)
        };
        let read = self
            .values("--extern")
            .filter_map(|value| value.to_str()?.split_once('='))
            .map(|(_, path)| Path::new(path));
        self.written <= moment && read.into_iter().all(older)
    }

    /// Whether those who use the crate need not know of what its `files` below `source` say now. Of a `closed` crate they see `lib.rs`
    /// alone, of another one all but what plain functions do: without optimisation, and with the memory of an incremental build, the
    /// compiler puts none of them into its callers.
    pub(super) fn shows_the_same(
        &self,
        source: &Path,
        files: &BTreeSet<PathBuf>,
        closed: bool,
    ) -> bool {
        let optimises = |argument: &OsString| {
            argument == "-O" || argument.to_string_lossy().contains("opt-level=")
        };
        let incremental = |value: &OsStr| value.to_string_lossy().starts_with("incremental=");
        let plain = !self.arguments.iter().any(optimises) && self.values("-C").any(incremental);
        let same = |file: &Path| {
            let read = |folder: &Path| std::fs::read_to_string(folder.join(file)).ok();
            let (before, now) = (read(&self.sources)?, read(source)?);
            Some(
                before == now
                    || (plain && has_extension(file, "rs") && bodies::alone_differ(&before, &now)),
            )
        };
        let inside = files
            .iter()
            .filter_map(|file| file.strip_prefix(source).ok());
        let mut seen = inside
            .filter(|file| !closed || *file == Path::new("lib.rs"))
            .peekable();
        seen.peek().is_some() && seen.all(|file| same(file) == Some(true))
    }

    /// Whether a build script was told to look at a file, or at all of them.
    pub(super) fn concerns_the_build_script(&self, manifest: &Path, file: &Path) -> bool {
        let Some((_, out)) = self.environment.iter().find(|(name, _)| name == "OUT_DIR") else {
            return false;
        };
        let said =
            std::fs::read_to_string(Path::new(out).with_file_name("output")).unwrap_or_default();
        let mut named = said
            .lines()
            .filter_map(|line| line.split_once("rerun-if-changed="))
            .map(|(_, path)| manifest.join(path))
            .peekable();
        named.peek().is_none() || named.any(|path| file.starts_with(path))
    }

    /// The folder that cargo has the results in.
    pub(super) fn out_dir(&self) -> Option<PathBuf> {
        self.values("--out-dir").next().map(PathBuf::from)
    }

    /// The name of the results without its ending.
    pub(super) fn stem(&self, name: &str) -> Option<String> {
        let end = self
            .values("-C")
            .find_map(|value| value.to_str()?.strip_prefix("extra-filename="))?;
        Some(format!("{name}{end}"))
    }

    /// The same command with its results elsewhere, and its words for people. Nothing is left out that the compiler's memory depends on.
    pub(super) fn again(
        &self,
        root: &Path,
        out: &Path,
        incremental: &Path,
        colour: bool,
    ) -> Option<Configuration> {
        let mut arguments = self.arguments.iter();
        let mut rustc = Configuration::new("rustc", arguments.next()?);
        while let Some(argument) = arguments.next() {
            let text = argument.to_str().unwrap_or_default();
            if text == "--out-dir" {
                arguments.next()?;
                rustc = rustc.args([argument.clone(), out.into()]);
            } else if text == "-C" {
                let value = arguments.next()?;
                let ours = value
                    .to_str()
                    .is_some_and(|value| value.starts_with("incremental="));
                let mut elsewhere = OsString::from("incremental=");
                elsewhere.push(incremental);
                rustc = rustc.args([
                    argument.clone(),
                    if ours { elsewhere } else { value.clone() },
                ]);
            } else if !["--error-format", "--json", "--color", "--diagnostic-width"]
                .iter()
                .any(|name| text.starts_with(name))
            {
                rustc = rustc.args([argument]);
            }
        }
        rustc = rustc.args(["--color", if colour { "always" } else { "never" }]);
        // Cargo's jobserver is gone.
        let recorded = self.environment.iter().filter(|(name, _)| {
            !["CARGO_MAKEFLAGS", "MAKEFLAGS"]
                .iter()
                .any(|gone| name == gone)
        });
        let recorded: Vec<_> = recorded.cloned().collect();
        let others = std::env::vars_os()
            .map(|(name, _)| name)
            .filter(|name| !recorded.iter().any(|(known, _)| known == name));
        rustc.env = others.map(|name| (name, None)).collect();
        rustc.env.extend(
            recorded
                .into_iter()
                .map(|(name, value)| (name, Some(value))),
        );
        rustc.current_dir = Some(root.to_owned());
        Some(rustc)
    }

    fn values(&self, flag: &str) -> impl Iterator<Item = &OsStr> {
        let pairs = self
            .arguments
            .windows(2)
            .filter(move |pair| pair[0] == flag);
        pairs.map(|pair| pair[1].as_os_str())
    }
}

/// What a crate is made of, as the compiler says: files and variables.
pub(super) fn made_of(
    root: &Path,
    dep_info: &Path,
) -> Option<(BTreeSet<PathBuf>, BTreeSet<String>)> {
    let text = std::fs::read_to_string(dep_info).ok()?;
    let rule = text
        .lines()
        .find(|line| line.contains(".rlib: ") || line.contains(".rmeta: "))?;
    let files = dependencies(rule)
        .iter()
        .map(|named| file(root, named))
        .collect();
    Some((
        files,
        text.lines()
            .filter(|line| line.starts_with("# env-dep:"))
            .map(str::to_owned)
            .collect(),
    ))
}

/// The files that the other crates of the workspace are made of, as the compiler says: one may include what lies in another's folder.
pub(super) fn of_others(root: &Path, out_dir: &Path, name: &str) -> Option<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(out_dir).ok()?.flatten() {
        let list = entry.file_name().to_string_lossy().into_owned();
        let ours = list.starts_with("emotionviz")
            && list.ends_with(".d")
            && !list.starts_with(&format!("{name}-"));
        if ours {
            let text = std::fs::read_to_string(entry.path()).ok()?;
            found.extend(
                text.lines()
                    .flat_map(dependencies)
                    .map(|named| file(root, &named)),
            );
        }
    }
    Some(found)
}

/// A file as others name it. The compiler does as it is written in the sources: `src/../../entries/src/file`.
fn file(root: &Path, named: &Path) -> PathBuf {
    let path = root.join(named);
    if named.components().any(|part| part == Component::ParentDir) {
        path.canonicalize().unwrap_or(path)
    } else {
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn said_again() {
        let folder = tempfile::tempdir().unwrap();
        let metadata = folder.path().join("libdb.rmeta");
        std::fs::write(&metadata, "").unwrap();
        let arguments = format!(
            "/bin/rustc\0src/a b.rs\0--error-format=json\0--json=artifacts\0-C\0extra-filename=-1\0--out-dir\0/t\0-C\0incremental=/i\0--extern\0db={}\0",
            metadata.display()
        );
        std::fs::write(folder.path().join("f.arguments"), arguments).unwrap();
        std::fs::write(
            folder.path().join("f.environment"),
            "CARGO_MAKEFLAGS=-j\0A=b=c\0",
        )
        .unwrap();
        let recorded = Recorded::read(folder.path(), "f").unwrap();
        assert!(Recorded::read(folder.path(), "g").is_none());
        assert_eq!(
            (
                recorded.stem("f").unwrap().as_str(),
                recorded.out_dir().unwrap().to_str()
            ),
            ("f-1", Some("/t"))
        );
        let again = recorded
            .again(Path::new("/root"), Path::new("/o"), Path::new("/n"), false)
            .unwrap();
        let db = format!("db={}", metadata.display());
        let expected = [
            "src/a b.rs",
            "-C",
            "extra-filename=-1",
            "--out-dir",
            "/o",
            "-C",
            "incremental=/n",
            "--extern",
            &db,
            "--color",
            "never",
        ];
        assert_eq!(
            (again.program.to_str(), again.args),
            (Some("/bin/rustc"), expected.map(OsString::from).to_vec())
        );
        assert!(
            again.env.contains(&("A".into(), Some("b=c".into())))
                && again.env.contains(&("PATH".into(), None))
        );
        assert!(
            !again
                .env
                .iter()
                .any(|(name, value)| name == "CARGO_MAKEFLAGS" && value.is_some())
        );

        let now = SystemTime::now() + std::time::Duration::from_secs(1);
        assert!(recorded.is_older_than(now) && !recorded.is_older_than(SystemTime::UNIX_EPOCH));
        std::fs::remove_file(metadata).unwrap();
        assert!(!recorded.is_older_than(now), "a crate that is gone");
    }

    #[test]
    fn what_others_see() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let source = folder.path().join("src");
        write("f.environment", "A=b\0");
        write(
            "f.arguments",
            "/bin/rustc\0-C\0incremental=/i\0src/lib.rs\0",
        );
        let files = ["lib.rs", "a.rs", "a.txt"]
            .map(|name| source.join(name))
            .into();
        let same = |closed: bool| {
            Recorded::read(folder.path(), "f")
                .unwrap()
                .shows_the_same(&source, &files, closed)
        };
        for (file, text) in [
            ("lib.rs", "mod a;\nfn f() { 1 }"),
            ("a.rs", "fn g() { 1 }\nconst A: u8 = 1;"),
            ("a.txt", "fn h() { 1 }"),
        ] {
            write(&format!("src/{file}"), text);
            write(&format!("f.sources/{file}"), text);
        }
        write("src/.lib.rs.swp", "an editor's");
        assert!(same(true) && same(false));
        for (file, from, to, [closed, open]) in [
            ("a.rs", "{ 1 }", "{ 2 }", [true, true]),
            ("a.rs", "u8 = 1", "u8 = 2", [true, false]),
            ("a.txt", "{ 1 }", "{ 2 }", [true, false]),
            ("lib.rs", "{ 1 }", "{ 2 }", [true, true]),
            ("lib.rs", "mod a;", "pub mod a;", [false, false]),
        ] {
            let before = std::fs::read_to_string(source.join(file)).unwrap();
            write(&format!("src/{file}"), &before.replace(from, to));
            assert_eq!([same(true), same(false)], [closed, open], "{file}: {to}");
            write(&format!("src/{file}"), &before);
        }
        write("src/a.rs", "fn g() { 2 }\nconst A: u8 = 1;");
        for arguments in [
            "-C\0opt-level=1\0-C\0incremental=/i\0",
            "-O\0-C\0incremental=/i\0",
            "-Copt-level=1\0-C\0incremental=/i\0",
            "--edition=2024\0",
        ] {
            write(
                "f.arguments",
                &format!("/bin/rustc\0{arguments}src/lib.rs\0"),
            );
            assert!(!same(false), "it may be inlined: {arguments}");
        }
        std::fs::remove_file(source.join("a.txt")).unwrap();
        assert!(same(true) && !same(false));
    }

    #[test]
    fn what_a_build_script_looks_at() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        std::fs::write(
            folder.path().join("f.environment"),
            format!("OUT_DIR={}\0", out.display()),
        )
        .unwrap();
        std::fs::write(folder.path().join("f.arguments"), "/bin/rustc\0").unwrap();
        let recorded = Recorded::read(folder.path(), "f").unwrap();
        let concerns =
            |file: &str| recorded.concerns_the_build_script(Path::new("/p"), Path::new(file));
        assert!(
            concerns("/p/src/lib.rs"),
            "it has said nothing: all of the package"
        );
        std::fs::write(
            folder.path().join("output"),
            "cargo:rerun-if-changed=migrations\ncargo::rerun-if-changed=/x\n",
        )
        .unwrap();
        assert!(concerns("/p/migrations/1.sql") && concerns("/x") && !concerns("/p/src/lib.rs"));
    }

    #[test]
    fn what_a_crate_is_made_of() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f.d");
        std::fs::write(&file, "/t/f.d: src/a.rs\n\n/t/libf.rlib: src/a.rs src/b\\ c.rs\n\nsrc/a.rs:\n\n# env-dep:A=1\n").unwrap();
        let (files, variables) = made_of(Path::new("/r"), &file).unwrap();
        assert_eq!(
            files.into_iter().collect::<Vec<_>>(),
            [PathBuf::from("/r/src/a.rs"), PathBuf::from("/r/src/b c.rs")]
        );
        assert_eq!(variables.into_iter().collect::<Vec<_>>(), ["# env-dep:A=1"]);

        std::fs::write(
            folder.path().join("emotionviz_f-1.d"),
            "/t/libf.rlib: src/f.rs\n",
        )
        .unwrap();
        std::fs::write(
            folder.path().join("emotionviz_g-1.d"),
            "/t/libg.rlib: src/g.rs\n",
        )
        .unwrap();
        let others = of_others(Path::new("/r"), folder.path(), "emotionviz_f").unwrap();
        assert!(
            others.contains(Path::new("/r/src/g.rs")) && !others.contains(Path::new("/r/src/f.rs")),
            "{others:?}"
        );
    }
}
