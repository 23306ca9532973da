//! The settings files: what they say, and changing a line of one without touching the others.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use emotionviz_settings::{Origin, env_file};

use crate::Error;
use crate::project::settings_file;
use crate::project::settings_file::error::SettingsFileError;
use process::{FileLock, FileLockError, files};

/// A change of a file takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a settings file says, the last line first.
pub(crate) type Layer = Vec<(String, String, Origin)>;

/// The lines of a settings file as a layer of values; none when the file is not there. As in Compose, the last line of a name counts.
pub(crate) fn layer(path: &Path) -> Result<Layer, Error> {
    layer_after(path, &Layer::new(), |_| false)
}

/// The same after another file, whose values it may refer to. A value may not refer to nothing where its name `counts`.
pub(crate) fn layer_after(
    path: &Path,
    before: &Layer,
    counts: impl Fn(&str) -> bool,
) -> Result<Layer, Error> {
    let text = read(path)?;
    let before = |name: &str| {
        before
            .iter()
            .find(|(earlier, ..)| earlier == name)
            .map(|(_, value, _)| value.clone())
    };
    let lines =
        env_file::read_after(&text, before, counts).map_err(|bad| SettingsFileError::BadLine {
            path: path.to_owned(),
            bad,
        })?;
    Ok(lines
        .into_iter()
        .rev()
        .map(|(name, value, line)| (name, value, Origin::File(path.to_owned(), line)))
        .collect())
}

/// Changes a settings file. One process at a time has the editor of a file.
pub(crate) struct Editor {
    path: PathBuf,
    // Some file systems have no locks: there the file is assumed to have one user.
    _folder: Option<FileLock>,
}

impl Editor {
    /// Waits until no other command changes the file.
    ///
    /// # Errors
    /// Another command does not end, or the file is not a regular file.
    pub(crate) async fn open(path: &Path) -> Result<Self, Error> {
        // A link is followed: its target is changed.
        let path = settings_file::to_be_written(path)?;
        let folder = path.parent().expect("a settings file lies in a folder");
        let open = File::open(folder).map_err(|source| Error::io("read", folder, source))?;
        match FileLock::acquire(open, folder, PATIENCE, |_| {}).await {
            Ok(lock) => Ok(Self {
                path,
                _folder: Some(lock),
            }),
            Err(FileLockError::Io { .. }) => Ok(Self {
                path,
                _folder: None,
            }),
            Err(FileLockError::Held { holder, .. }) => Err(SettingsFileError::InUse {
                path,
                holder,
                waited: PATIENCE,
            }
            .into()),
        }
    }

    /// Returns the current text.
    pub(crate) fn layer(&self) -> Result<Layer, Error> {
        layer(&self.path)
    }

    /// Appends settings, each with its meaning above it. The lines that are there stay as they are.
    pub(crate) fn append(&self, heading: &str, settings: &[(&str, &str)]) -> Result<(), Error> {
        let mut text = read(&self.path)?;
        if !text.is_empty() {
            text += if text.ends_with('\n') { "\n" } else { "\n\n" };
        }
        text += &format!("# {heading}\n");
        for (name, value) in settings {
            text += &env_file::line(name, value);
            text.push('\n');
        }
        self.replace(&text)
    }

    /// Changes the value of a setting in every line that sets it. Returns whether there was such a line.
    pub(crate) fn change(&self, name: &str, value: &str) -> Result<bool, Error> {
        let text = read(&self.path)?;
        let read = env_file::read(&text).map_err(|bad| SettingsFileError::BadLine {
            path: self.path.clone(),
            bad,
        })?;
        let numbers: Vec<usize> = read
            .into_iter()
            .filter(|(n, ..)| n == name)
            .map(|(.., line)| line)
            .collect();
        if numbers.is_empty() {
            return Ok(false);
        }
        let in_place = changed_in_place(&text, &numbers, name, value);
        if differs_in_this_alone(&text, &in_place, name, value) {
            self.replace(&in_place)?;
        } else {
            // A line of a multi-line value can look like this setting: such lines stay, and the last assignment wins.
            self.append("Instead of the value above.", &[(name, value)])?;
        }
        Ok(true)
    }

    /// The mode of the file: only its owner may read the secrets.
    fn replace(&self, text: &str) -> Result<(), Error> {
        files::write_atomically(&self.path, text.as_bytes(), files::SECRET)
            .map_err(|source| Error::io("write", &self.path, source))
    }
}

/// Appends settings, each with its meaning above it. The lines that are there stay as they are.
pub(crate) async fn append(
    path: &Path,
    heading: &str,
    settings: &[(&str, &str)],
) -> Result<(), Error> {
    Editor::open(path).await?.append(heading, settings)
}

/// Changes the value of a setting in every line that sets it. Returns whether there was such a line.
pub(crate) async fn change(path: &Path, name: &str, value: &str) -> Result<bool, Error> {
    Editor::open(path).await?.change(name, value)
}

fn changed_in_place(text: &str, numbers: &[usize], name: &str, value: &str) -> String {
    let mut changed = String::with_capacity(text.len());
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if numbers.contains(&(index + 1)) {
            changed += &env_file::line(name, value);
            changed.push('\n');
        } else {
            changed += line;
        }
    }
    changed
}

/// Whether all that the new text sets otherwise than the old one is `name`, which it sets to `value`.
fn differs_in_this_alone(old: &str, new: &str, name: &str, value: &str) -> bool {
    // A reference to the setting changes what other values stand for, and is to stay: it is compared as it is written.
    let as_written =
        |text: &str| env_file::read(&text.replace("\\$", "\u{1}").replace('$', "\u{2}"));
    let (Ok(old), Ok(written), Ok(new)) = (as_written(old), as_written(new), env_file::read(new))
    else {
        return false;
    };
    old.len() == written.len()
        && old
            .iter()
            .zip(&written)
            .all(|(old, new)| old.0 == new.0 && (old.0 == name || old.1 == new.1))
        && new
            .iter()
            .filter(|(n, ..)| n == name)
            .all(|(_, v, _)| v == value)
}

/// Returns the text of a settings file, or an empty text without a file.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    match settings_file::read(path)? {
        Some(bytes) => String::from_utf8(bytes).map_err(|_| {
            SettingsFileError::NotText {
                path: path.to_owned(),
            }
            .into()
        }),
        None => Ok(String::new()),
    }
}

/// Replaces the text atomically, also after a crash.
pub(crate) async fn replace(path: &Path, text: &str) -> Result<(), Error> {
    Editor::open(path).await?.replace(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use process::thread::block_on;

    fn append(path: &Path, heading: &str, settings: &[(&str, &str)]) -> Result<(), Error> {
        block_on(super::append(path, heading, settings))
    }

    fn change(path: &Path, name: &str, value: &str) -> Result<bool, Error> {
        block_on(super::change(path, name, value))
    }

    #[test]
    fn appended_settings_leave_other_lines_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        std::fs::write(&path, "# mine\nA='1 2'  # odd spacing").unwrap();
        append(&path, "made here", &[("B", "x"), ("C", "it's")]).unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "# mine\nA='1 2'  # odd spacing\n\n# made here\nB=x\nC=\"it's\"\n"
        );
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no temporary file stays"
        );
    }

    #[test]
    fn a_changed_setting_keeps_its_place_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        assert!(!change(&path, "A", "2").unwrap());
        std::fs::write(&path, "A=0\n# A=x\nexport A=1\nAB=3\n").unwrap();
        assert!(change(&path, "A", "new one").unwrap());
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "A='new one'\n# A=x\nA='new one'\nAB=3\n"
        );
    }

    #[test]
    fn a_value_that_spans_lines_is_never_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        let spanning = [
            "N=\"one\nA=x\n\"\nA=0\n",
            "A='one\nA=2\nB=3'\nC=4\n",
            "N='\nA=1\n'\nexport A=\"two\nlines\"",
            "A=1\nN=\"\nA=2\"\n",
        ];
        for text in spanning {
            std::fs::write(&path, text).unwrap();
            let others = |layer: Layer| {
                layer
                    .into_iter()
                    .filter(|(name, ..)| name != "A")
                    .map(|(_, v, _)| v)
                    .collect::<Vec<_>>()
            };
            let before = others(layer(&path).unwrap());
            assert!(change(&path, "A", "new 'one'").unwrap());
            let after = layer(&path).unwrap();
            assert_eq!(
                after.iter().find(|(name, ..)| name == "A").unwrap().1,
                "new 'one'",
                "{text:?}"
            );
            assert_eq!(others(after), before, "{text:?}");
        }
    }

    #[test]
    fn references_to_a_changed_setting_get_the_new_value() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        std::fs::write(
            &path,
            "A_OF_THIS_TEST=old\nB='$x'\nURL=\"at ${A_OF_THIS_TEST} \\$y\"\n",
        )
        .unwrap();
        assert!(change(&path, "A_OF_THIS_TEST", "new").unwrap());
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "A_OF_THIS_TEST=new\nB='$x'\nURL=\"at ${A_OF_THIS_TEST} \\$y\"\n"
        );
        assert_eq!(layer(&path).unwrap()[0].1, "at new $y");
    }

    #[test]
    fn the_last_line_of_a_setting_applies() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        std::fs::write(&path, "A=1\nA=2\n").unwrap();
        assert_eq!(layer(&path).unwrap()[0].1, "2");
        std::fs::write(&path, "A=1\nnonsense here\n").unwrap();
        let message = layer(&path).unwrap_err().to_string();
        assert!(message.contains(".env:2"), "{message}");
    }

    #[test]
    fn concurrent_appends_to_a_settings_file_lose_no_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    (0..20).for_each(|line| {
                        append(path, "made here", &[(&format!("A_{writer}_{line}"), "x")]).unwrap()
                    })
                });
            }
            scope.spawn(|| {
                (0..20)
                    .for_each(|value| assert!(change(&path, "A_0_0", &value.to_string()).is_ok()))
            });
        });
        assert_eq!(layer(&path).unwrap().len(), 8 * 20);
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no temporary file stays"
        );
    }

    #[test]
    fn a_linked_settings_file_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join(".env"));
        std::fs::write(&real, "A=1\n").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        change(&link, "A", "2").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(real).unwrap(), "A=2\n");
    }
}
