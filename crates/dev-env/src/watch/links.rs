//! Sources that are symbolic links, or lie behind one. The system reports a change under the name of the file that the link leads to, or not
//! at all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The names of files that have several.
#[derive(Default)]
pub(super) struct Links(BTreeMap<PathBuf, BTreeSet<PathBuf>>);

impl Links {
    /// Those among these files.
    pub(super) fn among(files: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut names: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
        for file in files {
            if let Ok(real) = file.canonicalize() {
                names.entry(real).or_default().insert(file);
            }
        }
        names.retain(|real, names| names.iter().any(|name| name != real));
        Self(names)
    }

    /// Returns the names under which a changed file is a source. `changed` is one of its names.
    pub(super) fn names(&self, changed: &Path) -> Vec<PathBuf> {
        if self.0.is_empty() {
            return Vec::new();
        }
        // By its folder alone where the file itself is gone, or is a link that leads elsewhere by now.
        let in_folder = changed.parent().and_then(|folder| Some(folder.canonicalize().ok()?.join(changed.file_name()?)));
        let real = [changed.canonicalize().ok(), in_folder];
        real.iter().flatten().filter_map(|real| self.0.get(real)).flatten().cloned().collect()
    }

    /// The folders in which the files really are.
    pub(super) fn folders(&self) -> BTreeSet<PathBuf> {
        self.0.keys().filter_map(|real| real.parent()).map(Path::to_owned).collect()
    }
}
