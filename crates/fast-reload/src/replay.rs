//! The fast way: the crates that were edited are compiled alone, with the commands that cargo gave to rustc, and nothing else is linked.

mod bodies;
mod interface;
mod recorded;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use process::{Configuration, files as owned, run};

use crate::dep_info::{Inputs, all_files, resolve};
use crate::stale::{folders, package};
use crate::workspace::{BuildFile, Members};
use crate::{Program, Workspace, files};
use recorded::Recorded;

/// Scripts that cargo and rustc start in place of other programs.
const SCRIPTS: [(&str, &str); 3] = [
    ("rustc", include_str!("replay/rustc.sh")),
    ("cc", include_str!("replay/cc.sh")),
    ("library", include_str!("replay/library.sh")),
];
/// Where cargo has a wrapper from (<https://doc.rust-lang.org/cargo/reference/config.html#buildrustc-wrapper>). A wrapper that caches
/// results, such as sccache, would not start ours.
const WRAPPERS: [&str; 4] = [
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
];
/// The variable that switches the fast way off.
const SWITCH: &str = "FAST_RELOAD";
const IN_ONE_PIECE: &str = "the program was linked in one piece, because its linker or the linker's flags are not the default \
    (`linker`, `rustflags`, RUSTFLAGS)";
/// A crate that takes longer is left to cargo.
const BOUND: Duration = Duration::from_secs(60);

/// Replaces single crates of a program that cargo built.
pub struct Replay {
    workspace: Workspace,
    folder: PathBuf,
}

/// A program with replaced crates.
#[derive(Debug)]
pub struct Replacement {
    /// The running program with other libraries.
    pub program: Program,
    /// The lines that rustc printed: warnings.
    pub output: Vec<String>,
}

/// Why the fast way was not taken. cargo has to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Declined(&'static str);

/// A crate of the program, with its changed files.
struct Part<'a> {
    recorded: Recorded,
    changed: Vec<&'a Path>,
}

impl Workspace {
    /// Returns the means to replace single crates of the program.
    ///
    /// # Errors
    /// The reason why this is not possible here; see [the contract](crate).
    pub fn replay(&self) -> Result<Replay, &'static str> {
        if !cfg!(all(target_os = "linux", target_env = "gnu")) {
            return Err("the fast way is only known to work on Linux with glibc");
        }
        is_allowed_by(|name| std::env::var_os(name))?;
        if cargo_files(&self.root)
            .iter()
            .any(|file| std::fs::read_to_string(file).is_ok_and(|text| may_name_a_wrapper(&text)))
        {
            return Err(
                "a .cargo/config.toml sets another wrapper of rustc, or includes other files",
            );
        }
        // These characters separate folders in LD_LIBRARY_PATH and arguments in `-Wl,…`.
        if self
            .target_dir
            .to_str()
            .is_none_or(|path| path.contains([':', ';', '$', ',']))
        {
            return Err("the path of the target folder has one of : ; $ , or is not UTF-8");
        }
        // cargo links again with other scripts, because they are another wrapper.
        let hash = owned::sha256(SCRIPTS.map(|(_, text)| text).concat());
        Ok(Replay {
            folder: self.target_dir.join(format!("fast-{}", &hash[..8])),
            workspace: self.clone(),
        })
    }
}

impl Replay {
    /// Checks whether the last build linked the program so that its crates can be replaced.
    ///
    /// # Errors
    /// The reason why it did not.
    pub fn is_prepared(&self) -> Result<(), &'static str> {
        match self.linked() {
            Some(_) => Ok(()),
            None => Err(IN_ONE_PIECE),
        }
    }

    /// Returns the folder of the libraries that the program was last linked with, unless it is in one piece.
    pub(crate) fn linked(&self) -> Option<PathBuf> {
        let (folder, stems) = self.separate();
        (!stems.is_empty()).then_some(folder)
    }

    /// Writes the program that cargo starts in place of rustc, and returns its path.
    pub(crate) fn wrapper(&self, members: &Members) -> std::io::Result<PathBuf> {
        std::fs::create_dir_all(self.folder.join("linked"))?;
        let write = |name: &str, text: &str, mode| {
            let path = self.folder.join(name);
            // An unchanged wrapper keeps its modification time: cargo compares it.
            if std::fs::read_to_string(&path).is_ok_and(|present| present == text) {
                return Ok(());
            }
            owned::write_atomically(&path, text.as_bytes(), mode)
        };
        for (name, text) in SCRIPTS {
            write(name, text, owned::RUNNABLE)?;
        }
        write(
            "program",
            &format!("{}\n", self.workspace.binary),
            owned::READABLE,
        )?;
        let members = serde_json::to_string(members)?;
        write("members.json", &members, owned::READABLE)?;
        Ok(self.folder.join("rustc"))
    }

    /// Compiles the crates of the `changed` files, and returns the running program with these crates replaced.
    ///
    /// `running`: the result of the last build, or of the last replacement. `changed`: absolute paths of all files that changed since
    /// `running`. Runs at normal priority. The new program is not started: start it, and if it fails, build with cargo.
    ///
    /// # Errors
    /// [`Declined`] if cargo has to build; see [the contract](crate).
    pub async fn replace(
        &self,
        running: &Program,
        changed: &BTreeSet<PathBuf>,
        colour: bool,
    ) -> Result<Replacement, Declined> {
        const NOT_LAST: Declined =
            Declined("the running program is not the last one that cargo linked");
        let failed = |_| Declined("a file cannot be written");
        let built = self.built(running).ok_or(NOT_LAST)?;
        let linked = self.separate();
        let parts = self.parts(&linked.1, changed)?;
        let folder = tempfile::Builder::new()
            .prefix("replaced-")
            .tempdir_in(self.folder.join("linked"))
            .map_err(failed)?;
        // The program may run as another user.
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755))
            .map_err(failed)?;
        let is_replaced = |library: &Path| {
            let name = library.file_name().unwrap_or_default().to_string_lossy();
            parts
                .keys()
                .any(|stem| name == format!("lib{stem}.so").as_str())
        };
        for library in running
            .replaced()
            .into_iter()
            .flat_map(|folder| files(folder, false))
            .filter(|library| !is_replaced(library))
        {
            let name = library.file_name().unwrap_or_default();
            std::fs::hard_link(&library, folder.path().join(name)).map_err(failed)?;
        }
        let mut output = Vec::new();
        for part in parts.values() {
            output.extend(self.compile(part, built, folder.path(), colour).await?);
        }
        // A cargo build that ran meanwhile may have replaced what rustc read.
        let is_older = |part: &Part| {
            Recorded::read(&self.folder, &self.workspace.root, part.recorded.stem())
                .is_some_and(|recorded| recorded.is_older_than(built))
        };
        if self.built(running) == Some(built)
            && self.separate() == linked
            && parts.values().all(is_older)
        {
            Ok(Replacement {
                program: running.clone().with_replaced(folder.keep()),
                output,
            })
        } else {
            Err(NOT_LAST)
        }
    }

    /// Compiles the crates of the last build once more, at niceness 10, to fill the cache of incremental compilation that
    /// [`replace`](Self::replace) uses. The results are not used. Crates that did not change since the last call are skipped.
    pub async fn prime(self) {
        let pid_file = BuildFile::new(&self.workspace);
        let time = |path: &Path| {
            std::fs::metadata(path)
                .and_then(|file| file.modified())
                .ok()
        };
        for stem in self.separate().1 {
            let Some(recorded) = Recorded::read(&self.folder, &self.workspace.root, &stem) else {
                continue;
            };
            let Some((rustc, out)) = self.rustc(&recorded, false) else {
                continue;
            };
            let compiled = time(&out.join(format!("lib{stem}.rlib")));
            if compiled.is_some() && compiled >= time(&self.workspace.program()) {
                continue;
            }
            let mut rustc = pid_file.assign(rustc);
            rustc.low_priority = true;
            // If it fails, the first edit takes longer.
            let _unprimed = run(rustc, BOUND).await;
        }
    }

    /// Removes the libraries that neither the `running` program nor the last two builds use.
    pub fn sweep(&self, running: &Program) {
        let (mut unused, mut linked): (Vec<_>, Vec<_>) = folders(&self.folder.join("linked"))
            .into_iter()
            .partition(|folder| {
                let name = folder.file_name().unwrap_or_default();
                name.to_string_lossy().starts_with("replaced-")
            });
        // The names begin with the time. The last folder but one may belong to a build that runs now.
        linked.sort();
        linked.truncate(linked.len().saturating_sub(2));
        unused.extend(linked);
        unused.retain(|folder| {
            ![running.replaced(), running.linked()].contains(&Some(folder.as_path()))
        });
        for folder in unused {
            let _in_use = std::fs::remove_dir_all(folder);
        }
    }

    /// Returns the recorded command with results in folders of its own, and the folder of the results.
    fn rustc(&self, recorded: &Recorded, colour: bool) -> Option<(Configuration, PathBuf)> {
        let out = self.folder.join("compiled");
        std::fs::create_dir_all(&out).ok()?;
        let incremental = self.folder.join("incremental");
        let rustc = recorded.command(&self.workspace.root, &out, &incremental, colour)?;
        Some((rustc, out))
    }

    /// Returns when cargo linked the running program, unless it linked another one since.
    fn built(&self, running: &Program) -> Option<SystemTime> {
        let path = self.workspace.program();
        let program = Program::at(path.clone()).ok()?;
        if !program.is_file_of(running) {
            return None;
        }
        std::fs::metadata(path).ok()?.modified().ok()
    }

    /// Returns the folder of the libraries that the program was last linked with, and their stems. None if it is in one piece.
    fn separate(&self) -> (PathBuf, Vec<String>) {
        let text = std::fs::read_to_string(self.folder.join("separate")).unwrap_or_default();
        let mut lines = text.lines().map(str::to_owned);
        (lines.next().unwrap_or_default().into(), lines.collect())
    }

    /// Returns the crates that the changed files belong to, by stem.
    fn parts<'a>(
        &self,
        stems: &[String],
        changed: &'a BTreeSet<PathBuf>,
    ) -> Result<BTreeMap<String, Part<'a>>, Declined> {
        let root = &self.workspace.root;
        let read = |stem: &String| Recorded::read(&self.folder, root, stem);
        let mut parts: BTreeMap<String, Part> = BTreeMap::new();
        for file in changed {
            let recorded = stems
                .iter()
                .filter_map(read)
                .filter(|recorded| file.starts_with(recorded.source()))
                .max_by_key(|recorded| recorded.source().components().count())
                .ok_or(Declined(
                    "a changed file is not in the sources of a crate that can be replaced",
                ))?;
            let stem = recorded.stem().to_owned();
            let part = parts.entry(stem).or_insert(Part {
                recorded,
                changed: Vec::new(),
            });
            part.changed.push(file);
        }
        if parts.is_empty() {
            return Err(Declined("no file changed"));
        }
        Ok(parts)
    }

    /// Compiles a crate, and links a library of it in the folder `into`. Returns the lines that rustc printed.
    async fn compile(
        &self,
        part: &Part<'_>,
        built: SystemTime,
        into: &Path,
        colour: bool,
    ) -> Result<Vec<String>, Declined> {
        const NOT_RECORDED: Declined = Declined("the command of a crate was not recorded");
        const INTERFACE: Declined = Declined("other crates are compiled with what changed");
        let (root, recorded) = (&self.workspace.root, &part.recorded);
        if !recorded.is_older_than(built) {
            return Err(Declined("a crate was built after the program was linked"));
        }
        let list = format!("{}.d", recorded.stem());
        let out_dir = recorded.out_dir().ok_or(NOT_RECORDED)?;
        let inputs = Inputs::read(root, &out_dir.join(&list)).ok_or(NOT_RECORDED)?;
        if !part.changed.iter().all(|file| inputs.files.contains(*file)) {
            return Err(Declined("a changed file was not part of its crate before"));
        }
        let others = self
            .inputs_of_others(recorded, &out_dir)
            .ok_or(Declined("the inputs of other crates cannot be read"))?;
        if part.changed.iter().any(|file| others.contains(file)) {
            return Err(Declined(
                "another crate or a build script reads a changed file",
            ));
        }
        if !recorded.is_unchanged_to_others(&inputs.files) {
            return Err(INTERFACE);
        }
        let lines = Arc::new(Mutex::new(Vec::new()));
        let pid_file = BuildFile::new(&self.workspace);
        let with_output = |tool: Configuration| {
            let (mut tool, lines) = (pid_file.assign(tool), Arc::clone(&lines));
            tool.sink = Some(Arc::new(move |_, line: &str| {
                lines
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(line.to_owned())
            }));
            tool
        };
        let (rustc, out) = self.rustc(recorded, colour).ok_or(NOT_RECORDED)?;
        // cargo prints the errors.
        run(with_output(rustc), BOUND)
            .await
            .map_err(|_| Declined("the crate does not compile"))?;
        if Inputs::read(root, &out.join(&list)).as_ref() != Some(&inputs) {
            return Err(Declined("the inputs of the crate changed"));
        }
        // rustc may have read a file that was saved after the first check.
        if !recorded.is_unchanged_to_others(&inputs.files) {
            return Err(INTERFACE);
        }
        let rlib = out.join(format!("lib{}.rlib", recorded.stem()));
        let library = Configuration::new("the linker", self.folder.join("library"))
            .args([rlib.as_path(), into]);
        run(with_output(library), BOUND)
            .await
            .map_err(|_| Declined("the crate cannot be linked"))?;
        let lines = std::mem::take(&mut *lines.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(lines)
    }

    /// Returns the files that the other crates of the workspace, and all its build scripts, are made of or read. `None`: that is unknown.
    fn inputs_of_others(&self, recorded: &Recorded, out_dir: &Path) -> Option<Others> {
        let root = &self.workspace.root;
        let members = std::fs::read(self.folder.join("members.json")).ok()?;
        let members: Members = serde_json::from_slice(&members).ok()?;
        let names: BTreeSet<String> = members
            .iter()
            .flat_map(|member| member.crate_names())
            .filter(|name| name != recorded.crate_name())
            .collect();
        let mut others = Others::default();
        let lists = folders(out_dir)
            .into_iter()
            .filter(|list| package(list).is_some_and(|name| names.contains(name)));
        let scripts = folders(&out_dir.with_file_name("build"))
            .into_iter()
            .filter_map(|folder| {
                let member = members
                    .iter()
                    .find(|member| package(&folder) == Some(&member.name))?;
                Some((folder, member.folder()))
            });
        let mut of_scripts = Vec::new();
        for (folder, manifest) in scripts {
            if let Ok(output) = std::fs::read_to_string(folder.join("output")) {
                others.of_build_script(manifest, &output);
            }
            of_scripts.extend(files(&folder, false));
        }
        for list in lists.chain(of_scripts) {
            if list.extension().is_some_and(|extension| extension == "d") {
                others.paths.extend(all_files(root, &list).ok()?);
            }
        }
        Some(others)
    }
}

/// Files, and folders with all that is in them.
#[derive(Default)]
struct Others {
    paths: BTreeSet<PathBuf>,
}

impl Others {
    /// Adds the paths that a build script reads. Without `rerun-if-changed` that is its whole package
    /// (<https://doc.rust-lang.org/cargo/reference/build-scripts.html#rerun-if-changed>).
    fn of_build_script(&mut self, manifest: &Path, output: &str) {
        let mut named = output
            .lines()
            .filter_map(|line| line.split_once("rerun-if-changed="))
            .map(|(_, path)| resolve(manifest, Path::new(path)))
            .peekable();
        if named.peek().is_none() {
            self.paths.insert(manifest.to_owned());
        }
        self.paths.extend(named);
    }

    fn contains(&self, file: &Path) -> bool {
        file.ancestors().any(|path| self.paths.contains(path))
    }
}

/// Checks the environment of the process.
fn is_allowed_by(variable: impl Fn(&str) -> Option<OsString>) -> Result<(), &'static str> {
    if variable(SWITCH).is_some_and(|value| value == "off") {
        return Err("FAST_RELOAD=off");
    }
    if WRAPPERS
        .into_iter()
        .any(|name| variable(name).is_some_and(|value| !value.is_empty()))
    {
        return Err("another wrapper of rustc is set (RUSTC_WRAPPER or a similar variable)");
    }
    Ok(())
}

/// Returns the files that cargo may have its configuration from.
fn cargo_files(root: &Path) -> Vec<PathBuf> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let folders = root
        .ancestors()
        .map(|folder| folder.join(".cargo"))
        .chain(home);
    folders
        .flat_map(|folder| ["config.toml", "config"].map(|name| folder.join(name)))
        .collect()
}

/// Returns whether a configuration of cargo may set a wrapper, or include a file that does.
fn may_name_a_wrapper(text: &str) -> bool {
    let lines = text
        .lines()
        .map(str::trim_start)
        .filter(|line| !line.starts_with('#'));
    lines.into_iter().any(|line| {
        line.starts_with("include")
            || ["rustc-wrapper", "rustc-workspace-wrapper"]
                .iter()
                .any(|key| line.contains(key))
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn replay(folder: &Path) -> Replay {
        Replay {
            workspace: Workspace::scratch(folder),
            folder: folder.join("fast"),
        }
    }

    #[test]
    fn the_switch_and_other_wrappers_in_the_environment_forbid_the_fast_way() {
        let allowed = |name: &str, value: &str| {
            is_allowed_by(|asked| (asked == name).then(|| value.into())).is_ok()
        };
        for (name, value, expected) in [
            ("FAST_RELOAD", "off", false),
            ("FAST_RELOAD", "", true),
            ("RUSTC_WRAPPER", "sccache", false),
            ("RUSTC_WRAPPER", "", true),
            ("CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER", "x", false),
            ("RUSTC", "rustc", true),
        ] {
            assert_eq!(allowed(name, value), expected, "{name}={value}");
        }
    }

    #[test]
    fn a_build_script_reads_what_it_names_or_its_whole_package() {
        let reads = |output: &str, file: &str| {
            let mut others = Others::default();
            others.of_build_script(Path::new("/p"), output);
            others.contains(Path::new(file))
        };
        assert!(reads("", "/p/src/lib.rs") && !reads("", "/q/src/lib.rs"));
        const NAMED: &str =
            "cargo:rerun-if-changed=migrations\ncargo::rerun-if-changed=/q/src/x.rs\n";
        for (file, expected) in [
            ("/p/migrations/1.sql", true),
            ("/q/src/x.rs", true),
            ("/p/src/lib.rs", false),
        ] {
            assert_eq!(reads(NAMED, file), expected, "{file}");
        }
    }

    #[test]
    fn the_libraries_of_the_running_program_are_kept_whatever_was_built_since() {
        let folder = tempfile::tempdir().unwrap();
        let replay = replay(folder.path());
        let linked = |name: &str| {
            let path = replay.folder.join("linked").join(name);
            std::fs::create_dir_all(&path).unwrap();
            path
        };
        let all = ["1-1", "2-1", "3-1", "4-1", "replaced-a", "replaced-b"].map(linked);
        std::fs::write(folder.path().join("app"), "").unwrap();
        let running = Program::at(folder.path().join("app"))
            .unwrap()
            .linked_with(Some(all[0].clone()))
            .with_replaced(all[5].clone());
        replay.sweep(&running);
        let left = all.map(|folder| folder.is_dir());
        assert_eq!(left, [true, false, true, true, false, true]);
    }

    #[test]
    fn a_program_whose_user_chose_a_linker_or_its_flags_is_linked_in_one_piece() {
        let folder = tempfile::tempdir().unwrap();
        let replay = replay(folder.path());
        let wrapper = replay.wrapper(&Members::new()).unwrap();
        let ours = |arguments: &[&str]| {
            std::fs::write(replay.folder.join("separate"), "/libraries\ndb-1\n").unwrap();
            assert!(replay.is_prepared().is_ok());
            let mut rustc = Command::new(&wrapper);
            rustc
                .arg("echo")
                .args(arguments)
                .env("CARGO_BIN_NAME", "app");
            let printed = String::from_utf8(rustc.output().unwrap().stdout).unwrap();
            assert!(replay.is_prepared().is_err(), "until it is linked again");
            printed.trim_end() != arguments.join(" ")
        };
        for theirs in [
            &["-C", "linker=clang"][..],
            &["-Clinker=/usr/bin/clang"],
            &["--codegen", "linker=clang"],
            &["--codegen=linker=clang"],
            &["-C", "link-arg=-fuse-ld=mold"],
            &["-Clink-arg=-fuse-ld=mold"],
            &["-Clink_args=-fuse-ld=mold -Wl,-z,now"],
            &["-C", "linker-flavor=gnu-lld-cc"],
            &["-Clink-self-contained=-linker"],
            &["-Clinker-features=-lld"],
            &["-Zlinker-features=-lld"],
            &["-Z", "pre-link-args=-B/usr/libexec/mold"],
            &["-Cdefault-linker-libraries=yes"],
            &["@flags"],
        ] {
            let theirs = [
                &["--edition=2024", "src/main.rs"],
                theirs,
                &["-C", "debuginfo=2"],
            ]
            .concat();
            assert!(!ours(&theirs), "{theirs:?}");
        }
        let others = [
            "-C",
            "debuginfo=2",
            "-L",
            "native=/linker/link-arg=",
            "--cfg",
            "feature=\"linker\"",
            "/a linker=/main.rs",
        ];
        assert!(ours(&others));
    }

    #[test]
    fn wrappers_and_includes_in_a_configuration_of_cargo_are_found() {
        for text in [
            "[build]\nrustc-wrapper = \"sccache\"",
            "build.rustc-workspace-wrapper='x'",
            "include = [\"more.toml\"]",
        ] {
            assert!(may_name_a_wrapper(text), "{text}");
        }
        assert!(!may_name_a_wrapper(
            "# rustc-wrapper = \"sccache\"\n[build]\nrustflags = []\n"
        ));
        let files = cargo_files(Path::new("/a/b"));
        assert!(
            [
                Path::new("/a/b/.cargo/config.toml"),
                Path::new("/.cargo/config")
            ]
            .iter()
            .all(|file| files.iter().any(|found| found == file))
        );
    }
}
