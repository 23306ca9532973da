//! A copy of the checkout that may be edited, with marks in its sources that the service shows over HTTP.

use std::path::{Path, PathBuf};
use std::time::Duration;

use emotionviz_settings::declared;
use fast_reload::files;

use super::super::BenchError;
use dev_env::{Checkout, Error};
use process::{Configuration, capture};

/// How long git may take to name its files.
const PATIENCE: Duration = Duration::from_secs(20);
/// The features, which are doubled to see whether that matters.
const FEATURES: [&str; 2] = ["accounts", "entries"];

/// Where the marks are shown.
pub(super) const MARKS: &str = "/api/v1/bench";
/// A WebSocket that says nothing.
pub(super) const SOCKET: &str = "/bench/ws";

/// What an edit is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// A feature's api.rs.
    Handler,
    /// Its schemas.rs.
    Schema,
    /// Its services.rs.
    Service,
    /// Its models.rs.
    Query,
    /// The crate `core`.
    Core,
    /// The crate `db`.
    Db,
    /// The crate `guard`.
    Guard,
}

impl Room {
    const ALL: [Self; 7] = [
        Self::Handler,
        Self::Schema,
        Self::Service,
        Self::Query,
        Self::Core,
        Self::Db,
        Self::Guard,
    ];

    /// Its file, and what calls the function that is edited.
    fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::Handler => ("backend/entries/src/api.rs", "mark()"),
            Self::Schema => ("backend/entries/src/schemas.rs", "crate::schemas::mark()"),
            Self::Service => ("backend/entries/src/services.rs", "crate::services::mark()"),
            Self::Query => ("backend/entries/src/models.rs", "crate::models::mark()"),
            Self::Core => ("backend/core/src/lib.rs", "emotionviz_core::mark()"),
            Self::Db => ("backend/db/src/lib.rs", "emotionviz_db::mark()"),
            Self::Guard => ("backend/guard/src/lib.rs", "emotionviz_guard::mark()"),
        }
    }
}

/// The copy.
pub(super) struct Playground {
    root: PathBuf,
    marks: [u32; Room::ALL.len()],
    /// Where what the service depends on was built already.
    built: Option<PathBuf>,
}

impl Playground {
    /// Copies what git has of a checkout, as it is now, and plants the marks.
    pub(super) async fn new(
        checkout: &Checkout,
        root: PathBuf,
        built: Option<&Path>,
    ) -> Result<Self, BenchError> {
        let mut list = Configuration::new("git", "git").args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]);
        list.current_dir = Some(checkout.root().to_owned());
        let listed = capture(list, b"", PATIENCE).await?;
        if !listed.status.success() {
            return Err(BenchError::NoFiles {
                said: listed.stderr.trim().to_owned(),
            });
        }
        let playground = Self {
            root,
            marks: [0; Room::ALL.len()],
            built: built.map(Path::to_owned),
        };
        for name in String::from_utf8_lossy(&listed.stdout).split_terminator('\0') {
            let from = checkout.root().join(name);
            // A file that is deleted and not committed.
            if from.is_file() {
                let to = playground.parents_of(name)?;
                std::fs::copy(&from, &to).map_err(|source| Error::io("write", &to, source))?;
            }
        }
        playground.plant()?;
        Ok(playground)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Runs a program in here, without what whoever measures has set for himself.
    pub(super) fn run(&self, mut program: Configuration) -> Configuration {
        let set = declared::ALL
            .iter()
            .map(|info| info.name)
            .chain(["CARGO_TARGET_DIR"]);
        program.env.extend(set.map(|name| (name.into(), None)));
        program.current_dir = Some(self.root.clone());
        match &self.built {
            Some(built) => program.env("CARGO_BUILD_BUILD_DIR", built),
            None => program,
        }
    }

    /// Changes a mark. Returns what is shown from then on, apart from what follows it.
    pub(super) fn mark(&mut self, room: Room) -> Result<String, BenchError> {
        let mark = &mut self.marks[room as usize];
        let (before, after) = (function(*mark), function(*mark + 1));
        *mark += 1;
        self.edit(room.place().0, &before, &after)?;
        Ok(self.shown())
    }

    /// Changes a mark and what is written of its function, which those who use the crate are told.
    pub(super) fn mark_and_tell(&mut self, room: Room) -> Result<String, BenchError> {
        self.edit(
            room.place().0,
            "/// The benchmark's",
            "/// The benchmark's,",
        )?;
        self.mark(room)
    }

    /// What the marks are shown as.
    pub(super) fn shown(&self) -> String {
        self.marks.map(|mark| format!("{mark} ")).concat()
    }

    /// Replaces the first occurrence of a text.
    pub(super) fn edit(&self, file: &str, from: &str, to: &str) -> Result<(), BenchError> {
        let path = self.root.join(file);
        let text =
            std::fs::read_to_string(&path).map_err(|source| Error::io("read", &path, source))?;
        if !text.contains(from) {
            return Err(BenchError::Unplantable {
                file: file.to_owned(),
                text: from.to_owned(),
            });
        }
        self.write(file, &text.replacen(from, to, 1))
    }

    /// Writes a file.
    pub(super) fn write(&self, file: &str, text: &str) -> Result<(), BenchError> {
        let path = self.parents_of(file)?;
        Ok(std::fs::write(&path, text).map_err(|source| Error::io("write", &path, source))?)
    }

    /// Removes a file.
    pub(super) fn remove(&self, file: &str) -> Result<(), BenchError> {
        let path = self.root.join(file);
        Ok(std::fs::remove_file(&path).map_err(|source| Error::io("remove", &path, source))?)
    }

    /// Gives the workspace twice the features: each one again, under another name and below another path.
    pub(super) fn double(&self) -> Result<(), BenchError> {
        for feature in FEATURES {
            for file in files(&self.root.join("backend").join(feature), true) {
                let name = file
                    .strip_prefix(&self.root)
                    .unwrap_or(&file)
                    .to_string_lossy();
                let text = std::fs::read_to_string(&file)
                    .map_err(|source| Error::io("read", &file, source))?;
                let twin = name.replacen(
                    &format!("backend/{feature}/"),
                    &format!("backend/{feature}-twin/"),
                    1,
                );
                let text = match name.ends_with("Cargo.toml") {
                    true => text.replacen(
                        &format!("emotionviz-{feature}"),
                        &format!("emotionviz-{feature}-twin"),
                        1,
                    ),
                    false => text,
                };
                self.write(&twin, &text)?;
            }
            let (member, package) = (
                format!("\"backend/{feature}\","),
                format!("emotionviz-{feature}"),
            );
            self.edit(
                "Cargo.toml",
                &member,
                &format!("{member}\n    \"backend/{feature}-twin\","),
            )?;
            self.edit(
                "Cargo.toml",
                "[workspace.dependencies]",
                &format!("[workspace.dependencies]\n{package}-twin = {{ path = \"backend/{feature}-twin\" }}"),
            )?;
            self.edit(
                "backend/app/Cargo.toml",
                "[dependencies]",
                &format!("[dependencies]\n{package}-twin.workspace = true"),
            )?;
        }
        let twins = "let twins = OpenApiRouter::new()\n        .merge(emotionviz_accounts_twin::router(pool.clone(), guard.clone(), Passwords::new()))\n        \
            .merge(emotionviz_entries_twin::router(pool.clone(), guard.clone()));\n    let api = OpenApiRouter::new().nest(\"/twins\", twins)";
        self.edit(
            "backend/app/src/app.rs",
            "let api = OpenApiRouter::new()",
            twins,
        )
    }

    fn plant(&self) -> Result<(), BenchError> {
        for room in Room::ALL {
            let file = room.place().0;
            let path = self.root.join(file);
            let text = std::fs::read_to_string(&path)
                .map_err(|source| Error::io("read", &path, source))?;
            self.write(
                file,
                &format!(
                    "{text}\n/// The benchmark's.\n#[allow(unreachable_pub)]\npub {}\n",
                    function(0)
                ),
            )?;
        }
        for below in ["core", "db", "guard"] {
            self.edit(
                &format!("backend/{below}/src/lib.rs"),
                "\nmod ",
                "\npub mod bench;\nmod ",
            )?;
        }
        self.edit("backend/entries/src/lib.rs", "\nmod ", "\nmod bench;\nmod ")?;
        let calls = Room::ALL.map(|room| room.place().1).join(", ");
        let api = Room::Handler.place().0;
        self.edit(
            api,
            "OpenApiRouter::new()",
            "OpenApiRouter::new().route(\"/bench\", axum::routing::get(marks))",
        )?;
        let handler = format!(
            "\nasync fn marks() -> String {{\n    [{calls}].map(|mark| format!(\"{{mark}} \")).concat() + &crate::bench::all()\n}}\n"
        );
        let text = std::fs::read_to_string(self.root.join(api))
            .map_err(|source| Error::io("read", &self.root.join(api), source))?;
        self.write(api, &format!("{text}{handler}"))?;
        let socket = format!(
            "let upgrade = {{\n        let websockets = websockets.clone();\n        move |upgrade: axum::extract::WebSocketUpgrade| async move {{\n            \
             websockets.upgrade(upgrade, |mut socket| async move {{ while socket.receive().await.is_some() {{}} }})\n        }}\n    }};\n    \
             let router = router.route(\"{SOCKET}\", axum::routing::any(upgrade));\n    App {{"
        );
        self.edit(
            "backend/app/src/app.rs",
            "    App {",
            &format!("    {socket}"),
        )
    }

    fn parents_of(&self, file: &str) -> Result<PathBuf, BenchError> {
        let path = self.root.join(file);
        let folder = path.parent().expect("a file lies in a folder");
        std::fs::create_dir_all(folder).map_err(|source| Error::io("make", folder, source))?;
        Ok(path)
    }
}

/// The function that shows a mark.
fn function(mark: u32) -> String {
    format!("fn mark() -> u32 {{\n    {mark}\n}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_marks_and_the_doubled_features_fit_the_sources_of_the_checkout() {
        let folder = tempfile::tempdir().unwrap();
        let checkout = Checkout::find(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let mut playground = Playground::new(&checkout, folder.path().join("copy"), None)
            .await
            .unwrap();
        for room in Room::ALL {
            playground.mark_and_tell(room).unwrap();
        }
        playground.double().unwrap();
    }
}
