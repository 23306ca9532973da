//! The fast way: an edit that others see nothing of compiles its crate alone, as cargo had it compiled, and links nothing else. The
//! service is cargo's all the same; it loads its crates when it starts. Whatever is doubtful is left to cargo.

mod bodies;
mod interface;
mod recorded;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::Checkout;
use crate::build::pid_file::BuildPidFile;
use crate::report::events::{Event, Events, Source};
use crate::service::program::Program;
use process::files as owned;
use process::{Configuration, run};

use recorded::Recorded;

/// What stands in the place of programs that cargo and rustc start.
const SCRIPTS: [(&str, &str); 3] = [
    ("rustc", include_str!("fast/rustc.sh")),
    ("cc", include_str!("fast/cc.sh")),
    ("library", include_str!("fast/library.sh")),
];
/// What the rest of the service could know by its name in the linker, or without: left to cargo.
const KNOWN_OUTSIDE: [&str; 6] = [
    "macro_export",
    "no_mangle",
    "export_name",
    "link_section",
    "global_asm",
    "extern",
];
/// Where cargo has a wrapper from (<https://doc.rust-lang.org/cargo/reference/config.html#buildrustc-wrapper>). One that keeps results,
/// as sccache does, would start nothing of ours when it has one.
const WRAPPERS: [&str; 4] = [
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
];
const IN_ONE_PIECE: &str = "the service was linked in one piece, as its linker, or what that is told, is not the usual \
    (`linker`, `rustflags`, RUSTFLAGS)";
/// A crate that takes longer is a case for cargo.
const BOUND: Duration = Duration::from_secs(60);

/// Where the service is built so that its parts can be replaced.
pub(crate) struct Fast {
    /// Where cargo puts the service.
    service: PathBuf,
    folder: PathBuf,
}

impl Fast {
    /// That of the checkout at `root`, whose service is built in `target`.
    ///
    /// # Errors
    /// It is not known to work here, and why: on other systems than Linux with glibc, beside a wrapper of somebody else's, and below
    /// a folder whose name means something in a list of folders.
    pub(crate) fn of(root: &Path, target: &Path) -> Result<Self, &'static str> {
        if !cfg!(all(target_os = "linux", target_env = "gnu")) {
            return Err("the fast way is known to work on Linux with glibc alone");
        }
        if WRAPPERS
            .into_iter()
            .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
        {
            return Err(
                "another wrapper of rustc is set (RUSTC_WRAPPER or the like), which it leaves alone",
            );
        }
        if cargo_files(root)
            .iter()
            .any(|file| std::fs::read_to_string(file).is_ok_and(|text| may_name_a_wrapper(&text)))
        {
            return Err(
                "a .cargo/config.toml sets another wrapper of rustc, which it leaves alone, or includes other files",
            );
        }
        if target
            .to_str()
            .is_none_or(|path| path.contains([':', ';', '$', ',']))
        {
            return Err("the path of the folder it is built in has one of : ; $ , or is no UTF-8");
        }
        // Other scripts are another wrapper to cargo, which then links anew.
        let hash = process::files::sha256(SCRIPTS.map(|(_, text)| text).concat());
        Ok(Self {
            service: target.join("debug/emotionviz"),
            folder: target.join(format!("fast-{}", &hash[..8])),
        })
    }

    /// Whether the service was built so that its parts can be replaced.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn is_prepared(&self) -> Result<(), &'static str> {
        if self.linked().is_none() {
            Err(IN_ONE_PIECE)
        } else {
            Ok(())
        }
    }

    /// The folder of the libraries that the service was last linked with, unless it is in one piece.
    pub(crate) fn linked(&self) -> Option<PathBuf> {
        let (folder, names) = self.separate();
        (!names.is_empty()).then_some(folder)
    }

    /// What cargo is to start in the place of rustc, made ready for a build.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn wrapper(&self, checkout: &Path) -> std::io::Result<PathBuf> {
        std::fs::create_dir_all(self.folder.join("linked"))?;
        for (name, text) in SCRIPTS {
            let path = self.folder.join(name);
            if std::fs::read_to_string(&path).is_ok_and(|there| there == text) {
                continue;
            }
            owned::write_atomically(&path, text.as_bytes(), owned::RUNNABLE)?;
        }
        let names: String = parts(checkout)
            .keys()
            .map(|name| format!("{name}\n"))
            .collect();
        let file = self.folder.join("parts");
        if !std::fs::read_to_string(&file).is_ok_and(|there| there == names) {
            owned::write_atomically(&file, names.as_bytes(), owned::READABLE)?;
        }
        Ok(self.folder.join("rustc"))
    }

    /// The program that runs, with the parts that changed files belong to compiled anew. `None`: it is a case for cargo.
    pub(crate) async fn replace(
        &self,
        checkout: &Checkout,
        running: &Program,
        changed: &BTreeSet<PathBuf>,
        colour: bool,
        events: &Events,
    ) -> Option<Program> {
        let parts = parts(checkout.root());
        let of = parts_of(&parts, changed)?;
        let built = self.built(running)?;
        let (_, separate) = self.separate();
        if !of.keys().all(|name| separate.contains(name)) {
            return None;
        }
        events.phase("building the service");
        let folder = tempfile::Builder::new()
            .prefix("replaced-")
            .tempdir_in(self.folder.join("linked"))
            .ok()?;
        // The API may be another user than this.
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).ok()?;
        for library in running
            .replaced()
            .into_iter()
            .flat_map(|folder| crate::build::watch::files(folder, false))
        {
            if !of.keys().any(|name| {
                library
                    .file_name()
                    .is_some_and(|file| file == format!("lib{name}.so").as_str())
            }) {
                std::fs::hard_link(&library, folder.path().join(library.file_name()?)).ok()?;
            }
        }
        for (name, files) in &of {
            self.compile(
                checkout,
                name,
                &parts[name],
                files,
                built,
                folder.path(),
                colour,
                events,
            )
            .await?;
        }
        // Nobody has built anything meanwhile, or begun to.
        let read = |name: &String| {
            Recorded::read(&self.folder, name).is_some_and(|recorded| recorded.is_older_than(built))
        };
        let same =
            self.built(running)? == built && self.separate().1 == separate && of.keys().all(read);
        same.then(|| running.clone().with_replaced(folder.keep()))
    }

    /// Lets the compiler see the parts as cargo has built them, in a place of its own, where it then remembers all that an edit
    /// does not change. What it makes of them is not used. Those that it has seen since then are left out.
    pub(crate) async fn prime(self, checkout: Checkout) {
        let pid_file = BuildPidFile::new(&checkout);
        let time = |path: &Path| {
            std::fs::metadata(path)
                .and_then(|file| file.modified())
                .ok()
        };
        for name in self.separate().1 {
            let Some(recorded) = Recorded::read(&self.folder, &name) else {
                continue;
            };
            let Some((rustc, out)) = self.again(checkout.root(), &recorded, false) else {
                continue;
            };
            let made = recorded
                .stem(&name)
                .and_then(|stem| time(&out.join(format!("lib{stem}.rlib"))));
            if made.is_some() && made >= time(&self.service) {
                continue;
            }
            // Where it fails the first edit takes longer.
            let _unprimed = run(pid_file.program(rustc), BOUND).await;
        }
    }

    /// What was recorded, to be done in places of ours: always the same ones, as the compiler forgets all in other ones.
    fn again(
        &self,
        root: &Path,
        recorded: &Recorded,
        colour: bool,
    ) -> Option<(Configuration, PathBuf)> {
        let out = self.folder.join("compiled");
        std::fs::create_dir_all(&out).ok()?;
        Some((
            recorded.again(root, &out, &self.folder.join("incremental"), colour)?,
            out,
        ))
    }

    /// Removes what was linked for services that do not run any more.
    pub(crate) fn sweep(&self, running: &Program) {
        let folders = std::fs::read_dir(self.folder.join("linked"))
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path());
        let mut replaced = Vec::new();
        let mut whole = Vec::new();
        for folder in folders {
            let name = folder
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if name.starts_with("replaced-") {
                replaced.push(folder)
            } else {
                whole.push(folder)
            }
        }
        replaced.retain(|folder| running.replaced() != Some(folder));
        // Their names begin with the time. The last one but one may be that of a build beside this.
        whole.sort();
        whole.truncate(whole.len().saturating_sub(2));
        whole.retain(|folder| running.linked() != Some(folder));
        for folder in replaced.into_iter().chain(whole) {
            let _used = std::fs::remove_dir_all(folder);
        }
    }

    /// When cargo has built the program that runs, if it has built no other one since.
    fn built(&self, running: &Program) -> Option<SystemTime> {
        let service = Program::at(self.service.clone()).ok()?;
        if !service.is_file_of(running) {
            return None;
        }
        std::fs::metadata(&self.service).ok()?.modified().ok()
    }

    /// The folder of the libraries that the service was last linked with, and the names of their crates. None where it is in one piece.
    fn separate(&self) -> (PathBuf, Vec<String>) {
        let text = std::fs::read_to_string(self.folder.join("separate")).unwrap_or_default();
        let mut lines = text.lines().map(str::to_owned);
        (lines.next().unwrap_or_default().into(), lines.collect())
    }

    /// Compiles a part and makes a library of it in `into`, where it is made of the same files as before, all of `changed` among them, and
    /// shows others the same.
    #[allow(clippy::too_many_arguments)]
    async fn compile(
        &self,
        checkout: &Checkout,
        name: &str,
        part: &Part,
        changed: &[&PathBuf],
        built: SystemTime,
        into: &Path,
        colour: bool,
        events: &Events,
    ) -> Option<()> {
        let recorded =
            Recorded::read(&self.folder, name).filter(|recorded| recorded.is_older_than(built))?;
        let (root, stem) = (checkout.root(), recorded.stem(name)?);
        let dep_info = |folder: &Path| recorded::made_of(root, &folder.join(format!("{stem}.d")));
        let made_of = dep_info(&recorded.out_dir()?)?;
        let others = recorded::of_others(root, &recorded.out_dir()?, name)?;
        let shows_the_same = || recorded.shows_the_same(&part.source, &made_of.0, part.closed);
        let manifest = part.source.parent()?;
        let its_own = |file: &PathBuf| {
            made_of.0.contains(file)
                && !others.contains(file)
                && !recorded.concerns_the_build_script(manifest, file)
        };
        if !changed.iter().all(|file| its_own(file)) || !shows_the_same() {
            return None;
        }
        let said = Arc::new(Mutex::new(Vec::new()));
        let pid_file = BuildPidFile::new(checkout);
        let with = |tool: Configuration| {
            let (mut tool, said) = (pid_file.program(tool), Arc::clone(&said));
            tool.sink = Some(Arc::new(move |_, line: &str| {
                said.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(line.to_owned())
            }));
            tool
        };
        // Where it fails cargo says why.
        let (rustc, out) = self.again(root, &recorded, colour)?;
        run(with(rustc), BOUND).await.ok()?;
        if dep_info(&out)? != made_of || !shows_the_same() {
            return None;
        }
        let rlib = out.join(format!("lib{stem}.rlib"));
        run(
            with(
                Configuration::new("the linker", self.folder.join("library"))
                    .args([rlib.as_path(), into]),
            ),
            BOUND,
        )
        .await
        .ok()?;
        for line in said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
        {
            events.tell(Event::Output {
                from: Source::Build,
                line,
            });
        }
        Some(())
    }
}

/// The files that cargo has its configuration from, whether they are there or not.
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

/// Whether cargo may have a wrapper from a file, or one that it includes.
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

/// A crate that the service is put together of.
struct Part {
    /// The folder of its sources.
    source: PathBuf,
    /// Whether others see nothing but its `lib.rs`.
    closed: bool,
}

/// The parts of a checkout's service, by the names that the compiler has for them.
fn parts(root: &Path) -> BTreeMap<String, Part> {
    let folders = std::fs::read_dir(root.join("backend"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let parts = folders.filter_map(|folder| {
        let source = folder.join("src");
        let lib = std::fs::read_to_string(source.join("lib.rs")).ok()?;
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).ok()?;
        let name = manifest
            .lines()
            .find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))?;
        Some((
            name.replace('-', "_"),
            Part {
                source,
                closed: interface::is_closed(&lib),
            },
        ))
    });
    parts.collect()
}

/// The parts that files belong to; `None` where one of them is of none, or known outside by other means than its name in Rust.
fn parts_of<'a>(
    parts: &BTreeMap<String, Part>,
    changed: &'a BTreeSet<PathBuf>,
) -> Option<BTreeMap<String, Vec<&'a PathBuf>>> {
    let mut of: BTreeMap<String, Vec<&PathBuf>> = BTreeMap::new();
    for file in changed {
        let (name, _) = parts
            .iter()
            .find(|(_, part)| file.starts_with(&part.source))?;
        let text = std::fs::read_to_string(file).ok()?;
        if KNOWN_OUTSIDE.iter().any(|word| text.contains(word)) {
            return None;
        }
        of.entry(name.clone()).or_default().push(file);
    }
    (!of.is_empty()).then_some(of)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_linker_that_somebody_chose() {
        let folder = tempfile::tempdir().unwrap();
        let fast = Fast {
            service: folder.path().join("service"),
            folder: folder.path().join("fast"),
        };
        let wrapper = fast.wrapper(folder.path()).unwrap();
        let ours = |arguments: &[&str]| {
            std::fs::write(fast.folder.join("separate"), "/libraries\nemotionviz_db\n").unwrap();
            assert!(fast.is_prepared().is_ok());
            let mut rustc = Command::new(&wrapper);
            rustc
                .arg("echo")
                .args(arguments)
                .env("CARGO_CRATE_NAME", "emotionviz");
            let said = String::from_utf8(rustc.output().unwrap().stdout).unwrap();
            assert!(fast.is_prepared().is_err(), "until it is linked anew");
            said.trim_end() != arguments.join(" ")
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
    fn a_wrapper_that_somebody_chose() {
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
        assert!(!may_name_a_wrapper(include_str!(
            "../../../../.cargo/config.toml"
        )));
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
