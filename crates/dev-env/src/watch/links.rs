//! Sources that are symbolic links, or lie behind one. The system tells of a change by another name then, or not at all: that of the file
//! which the link leads to.

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

    /// Under which names a file that was told of by one of them is a source.
    pub(super) fn names(&self, told: &Path) -> Vec<PathBuf> {
        if self.0.is_empty() {
            return Vec::new();
        }
        // By its folder alone where the file itself is gone, or is a link that leads elsewhere by now.
        let in_folder = told.parent().and_then(|folder| Some(folder.canonicalize().ok()?.join(told.file_name()?)));
        let real = [told.canonicalize().ok(), in_folder];
        real.iter().flatten().filter_map(|real| self.0.get(real)).flatten().cloned().collect()
    }

    /// The folders in which the files really are.
    pub(super) fn folders(&self) -> BTreeSet<PathBuf> {
        self.0.keys().filter_map(|real| real.parent()).map(Path::to_owned).collect()
    }
}
