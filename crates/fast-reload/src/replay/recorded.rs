//! The recorded command of a crate, to be replayed.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use process::Configuration;

use super::{bodies, interface};
use crate::sources::has_extension;

/// Words for what the rest of the program can reach by a name of the linker, or without a name.
const KNOWN_TO_THE_LINKER: [&str; 6] = [
    "macro_export",
    "no_mangle",
    "export_name",
    "link_section",
    "global_asm",
    "extern",
];

/// The command that cargo gave to rustc for a library crate.
pub(super) struct Recorded {
    /// The name of the results: crate name and hash.
    stem: String,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    written: SystemTime,
    /// The folder of the crate's sources.
    source: PathBuf,
    /// A copy of the sources that the program was linked with.
    linked: PathBuf,
}

impl Recorded {
    /// Reads the record of the crate with this stem. `root`: the folder where cargo started rustc.
    pub(super) fn read(folder: &Path, root: &Path, stem: &str) -> Option<Self> {
        let file = folder.join(format!("{stem}.arguments"));
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
        let arguments = parts(&file)?;
        let crate_root = arguments
            .iter()
            .map(Path::new)
            .find(|argument| argument.ends_with("src/lib.rs"))?;
        Some(Self {
            stem: stem.to_owned(),
            source: root.join(crate_root.parent()?),
            linked: folder.join(format!("{stem}.sources")),
            written: std::fs::metadata(&file).ok()?.modified().ok()?,
            environment: parts(&folder.join(format!("{stem}.environment")))?
                .into_iter()
                .filter_map(variable)
                .collect(),
            arguments,
        })
    }

    pub(super) fn stem(&self) -> &str {
        &self.stem
    }

    /// Returns the name that rustc has for the crate.
    pub(super) fn crate_name(&self) -> &str {
        self.stem
            .rsplit_once('-')
            .map_or(&self.stem, |(name, _)| name)
    }

    /// Returns the folder of the crate's sources.
    pub(super) fn source(&self) -> &Path {
        &self.source
    }

    /// Returns whether neither the command nor the metadata of another crate that it reads is newer than `moment`.
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

    /// Returns whether the other crates are compiled alike with the present `files` of the crate and with those that were linked.
    ///
    /// The users of a closed crate read its `lib.rs` only (see [`interface`]). The users of another crate read all of it except the bodies of
    /// plain functions (see [`bodies`]): without optimisation, and with incremental compilation, rustc inlines none of them.
    pub(super) fn is_unchanged_to_others(&self, files: &BTreeSet<PathBuf>) -> bool {
        let optimises = |argument: &OsString| {
            argument == "-O" || argument.to_string_lossy().contains("opt-level=")
        };
        let incremental = |value: &OsStr| value.to_string_lossy().starts_with("incremental=");
        let plain = !self.arguments.iter().any(optimises) && self.values("-C").any(incremental);
        let closed = std::fs::read_to_string(self.linked.join("lib.rs"))
            .is_ok_and(|lib| interface::is_closed(&lib));
        let mut inside = files
            .iter()
            .filter_map(|file| file.strip_prefix(&self.source).ok())
            .peekable();
        // All files, not only those that are known to have changed: rustc reads what is there.
        let same = |file: &Path| {
            let read = |folder: &Path| std::fs::read(folder.join(file)).ok();
            let (before, now) = (read(&self.linked), read(&self.source)?);
            if before.as_ref() == Some(&now) {
                return Some(true);
            }
            let texts = [before.unwrap_or_default(), now]
                .map(String::from_utf8)
                .map(Result::ok);
            let [before, now] = [texts[0].as_deref()?, texts[1].as_deref()?];
            let exports = |text: &str| KNOWN_TO_THE_LINKER.iter().any(|word| text.contains(word));
            let is_read = !closed || file == Path::new("lib.rs");
            Some(
                !exports(before)
                    && !exports(now)
                    && (!is_read
                        || plain && has_extension(file, "rs") && bodies::alone_differ(before, now)),
            )
        };
        inside.peek().is_some() && inside.all(|file| same(file) == Some(true))
    }

    /// Returns the folder of cargo's results.
    pub(super) fn out_dir(&self) -> Option<PathBuf> {
        self.values("--out-dir").next().map(PathBuf::from)
    }

    /// Returns the same command with results in `out`, and messages for people instead of cargo.
    ///
    /// `incremental`: the folder of incremental compilation. It has to stay the same: rustc starts afresh in another one.
    pub(super) fn command(
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
        // cargo's jobserver ended with cargo.
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

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = "f-1";

    fn read(folder: &Path) -> Recorded {
        Recorded::read(folder, folder, RECORD).unwrap()
    }

    #[test]
    fn a_replayed_command_has_its_own_output_folder_and_the_recorded_environment() {
        let folder = tempfile::tempdir().unwrap();
        let metadata = folder.path().join("libdb.rmeta");
        std::fs::write(&metadata, "").unwrap();
        let arguments = format!(
            "/bin/rustc\0a b/src/lib.rs\0--error-format=json\0--json=artifacts\0-C\0extra-filename=-1\0--out-dir\0/t\0-C\0incremental=/i\0--extern\0db={}\0",
            metadata.display()
        );
        std::fs::write(folder.path().join("f-1.arguments"), arguments).unwrap();
        std::fs::write(
            folder.path().join("f-1.environment"),
            "CARGO_MAKEFLAGS=-j\0A=b=c\0",
        )
        .unwrap();
        let recorded = read(folder.path());
        assert!(Recorded::read(folder.path(), folder.path(), "g-1").is_none());
        assert_eq!(
            (recorded.crate_name(), recorded.out_dir().unwrap().to_str()),
            ("f", Some("/t"))
        );
        assert_eq!(recorded.source(), folder.path().join("a b/src"));
        let command = recorded
            .command(Path::new("/root"), Path::new("/o"), Path::new("/n"), false)
            .unwrap();
        let db = format!("db={}", metadata.display());
        let expected = [
            "a b/src/lib.rs",
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
            (command.program.to_str(), command.args),
            (Some("/bin/rustc"), expected.map(OsString::from).to_vec())
        );
        assert!(
            command.env.contains(&("A".into(), Some("b=c".into())))
                && command.env.contains(&("PATH".into(), None))
        );
        assert!(
            !command
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
    fn other_crates_read_lib_rs_of_a_closed_crate_and_all_but_plain_bodies_of_another_one() {
        const CLOSED: &str = "mod a;\n#[inline(never)]\npub fn f() { 1 }";
        const OPEN: &str = "mod a;\nfn f() { 1 }";
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let source = folder.path().join("src");
        write("f-1.environment", "A=b\0");
        write(
            "f-1.arguments",
            "/bin/rustc\0-C\0incremental=/i\0src/lib.rs\0",
        );
        let files = ["lib.rs", "a.rs", "a.txt"]
            .map(|name| source.join(name))
            .into();
        let both = |file: &str, text: &str| {
            write(&format!("src/{file}"), text);
            write(&format!("f-1.sources/{file}"), text);
        };
        let same = || read(folder.path()).is_unchanged_to_others(&files);
        both("a.rs", "fn g() { 1 }\nconst A: u8 = 1;");
        both("a.txt", "fn h() { 1 }");
        write("src/.lib.rs.swp", "an editor's");
        for (file, from, to, [closed, open]) in [
            ("a.rs", "{ 1 }", "{ 2 }", [true, true]),
            ("a.rs", "u8 = 1", "u8 = 2", [true, false]),
            ("a.rs", "fn g", "#[no_mangle] fn g", [false, false]),
            ("a.txt", "{ 1 }", "{ 2 }", [true, false]),
            ("lib.rs", "{ 1 }", "{ 2 }", [false, true]),
            ("lib.rs", "mod a;", "pub mod a;", [false, false]),
        ] {
            for (lib, expected) in [(CLOSED, closed), (OPEN, open)] {
                both("lib.rs", lib);
                assert!(same());
                let before = std::fs::read_to_string(source.join(file)).unwrap();
                write(&format!("src/{file}"), &before.replace(from, to));
                assert_eq!(same(), expected, "{file}: {to}, {lib}");
                write(&format!("src/{file}"), &before);
            }
        }
        write("src/a.rs", "fn g() { 2 }\nconst A: u8 = 1;");
        for arguments in [
            "-C\0opt-level=1\0-C\0incremental=/i\0",
            "-O\0-C\0incremental=/i\0",
            "-Copt-level=1\0-C\0incremental=/i\0",
            "--edition=2024\0",
        ] {
            write(
                "f-1.arguments",
                &format!("/bin/rustc\0{arguments}src/lib.rs\0"),
            );
            assert!(!same(), "it may be inlined: {arguments}");
        }
        std::fs::remove_file(source.join("a.txt")).unwrap();
        assert!(!same(), "a removed file");
    }
}
