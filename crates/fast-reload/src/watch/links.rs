//! Sources that are symbolic links, or are behind one. The system reports a change under the name of the link's target, or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The names of files that have several names.
#[derive(Default)]
pub(super) struct Links(BTreeMap<PathBuf, BTreeSet<PathBuf>>);

impl Links {
    /// Selects these files.
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
        // Only the folder is resolved if the file was removed, or is a link with a new target.
        let in_folder = changed
            .parent()
            .and_then(|folder| Some(folder.canonicalize().ok()?.join(changed.file_name()?)));
        let real = [changed.canonicalize().ok(), in_folder];
        real.iter()
            .flatten()
            .filter_map(|real| self.0.get(real))
            .flatten()
            .cloned()
            .collect()
    }

    /// Returns the folders of the link targets.
    pub(super) fn folders(&self) -> BTreeSet<PathBuf> {
        self.0
            .keys()
            .filter_map(|real| real.parent())
            .map(Path::to_owned)
            .collect()
    }
}
