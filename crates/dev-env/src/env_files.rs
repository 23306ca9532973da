//! The settings files: what they say, and changing a line of one without touching the others.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use emotionviz_settings::{Origin, env_file};

use crate::Error;

/// The lines of a settings file as a layer of values; none when the file is not there. As in Compose, the last line of a name counts.
pub(crate) fn layer(path: &Path) -> Result<Vec<(String, String, Origin)>, Error> {
    let text = read(path)?;
    let lines = env_file::read(&text).map_err(|bad| Error::BadLine { path: path.to_owned(), bad })?;
    Ok(lines.into_iter().rev().map(|(name, value, line)| (name, value, Origin::File(path.to_owned(), line))).collect())
}

/// Appends settings, each with its meaning above it. The lines that are there stay as they are.
pub(crate) fn append(path: &Path, heading: &str, settings: &[(&str, &str)]) -> Result<(), Error> {
    let mut text = read(path)?;
    if !text.is_empty() {
        text += if text.ends_with('\n') { "\n" } else { "\n\n" };
    }
    text += &format!("# {heading}\n");
    for (name, value) in settings {
        text += &env_file::line(name, value);
        text.push('\n');
    }
    replace(path, &text)
}

/// Gives a setting another value in every line that sets it. Whether there was one.
pub(crate) fn change(path: &Path, name: &str, value: &str) -> Result<bool, Error> {
    let text = read(path)?;
    let read = env_file::read(&text).map_err(|bad| Error::BadLine { path: path.to_owned(), bad })?;
    let numbers: Vec<usize> = read.into_iter().filter(|(n, ..)| n == name).map(|(.., line)| line).collect();
    if numbers.is_empty() {
        return Ok(false);
    }
    let mut changed = String::with_capacity(text.len());
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if numbers.contains(&(index + 1)) {
            changed += &env_file::line(name, value);
            changed.push('\n');
        } else {
            changed += line;
        }
    }
    replace(path, &changed)?;
    Ok(true)
}

fn read(path: &Path) -> Result<String, Error> {
    match std::fs::read(path) {
        Ok(bytes) => String::from_utf8(bytes).map_err(|_| Error::NotText { path: path.to_owned() }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(Error::io("read", path, source)),
    }
}

/// All of the new text or all of the old one, whatever happens. Its secrets are for its owner alone.
fn replace(path: &Path, text: &str) -> Result<(), Error> {
    // Through a link, the file that it leads to is replaced.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let io = |source| Error::io("write", &path, source);
    let folder = path.parent().expect("a settings file lies in a folder");
    let mut file =
        tempfile::Builder::new().prefix(".env.").permissions(PermissionsExt::from_mode(0o600)).tempfile_in(folder).map_err(io)?;
    file.write_all(text.as_bytes()).map_err(io)?;
    if nix::unistd::Uid::effective().is_root() {
        // What root makes in somebody's checkout is theirs.
        let above = std::fs::metadata(folder).map_err(io)?;
        std::os::unix::fs::fchown(file.as_file(), Some(above.uid()), Some(above.gid())).map_err(io)?;
    }
    file.as_file().sync_all().map_err(io)?;
    file.persist(&path).map_err(|error| io(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appended_lines_leave_the_others_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        std::fs::write(&path, "# mine\nA='1 2'  # odd spacing").unwrap();
        append(&path, "made here", &[("B", "x"), ("C", "it's")]).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "# mine\nA='1 2'  # odd spacing\n\n# made here\nB=x\nC=\"it's\"\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn a_changed_line_is_changed_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        assert!(!change(&path, "A", "2").unwrap());
        std::fs::write(&path, "A=0\n# A=x\nexport A=1\nAB=3\n").unwrap();
        assert!(change(&path, "A", "new one").unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "A='new one'\n# A=x\nA='new one'\nAB=3\n");
    }

    #[test]
    fn the_last_line_of_a_name_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        std::fs::write(&path, "A=1\nA=2\n").unwrap();
        assert_eq!(layer(&path).unwrap()[0].1, "2");
        std::fs::write(&path, "A=1\nnonsense here\n").unwrap();
        let message = layer(&path).unwrap_err().to_string();
        assert!(message.contains(".env:2"), "{message}");
    }

    #[test]
    fn a_linked_file_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join(".env"));
        std::fs::write(&real, "A=1\n").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        change(&link, "A", "2").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(real).unwrap(), "A=2\n");
    }
}
