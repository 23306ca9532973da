//! Files that root makes in somebody's folder: theirs, or they could not even remove them.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::Path;

use nix::unistd::Uid;

/// Opens a file, made when it is not there, and sees to it that it is not root's in somebody else's folder.
pub(crate) fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.create(true).open(path)?;
    hand_over(&file, path)?;
    Ok(file)
}

/// Gives what root has made to whoever owns the folder that `path` is in.
pub(crate) fn hand_over(file: &File, path: &Path) -> io::Result<()> {
    if !Uid::effective().is_root() || file.metadata()?.uid() != 0 {
        return Ok(());
    }
    // A name alone lies in the folder that this process works in.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let above = std::fs::metadata(folder)?;
    if above.uid() == 0 { Ok(()) } else { fchown(file, Some(above.uid()), Some(above.gid())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::owner::Owner;

    #[test]
    fn a_file_in_somebodys_folder_is_theirs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made");
        open(OpenOptions::new().append(true), &path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().uid(), Uid::effective().as_raw());
        if !Uid::effective().is_root() {
            return;
        }
        // What root left there before is handed over too; what is somebody else's stays theirs.
        let owner = |uid: u32| Owner { uid, gid: uid, name: "stranger".to_owned() };
        owner(4_000_000).give(folder.path()).unwrap();
        open(OpenOptions::new().append(true), &path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().uid(), 4_000_000);
        owner(4_000_001).give(&path).unwrap();
        open(OpenOptions::new().append(true), &path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().uid(), 4_000_001);
    }
}
