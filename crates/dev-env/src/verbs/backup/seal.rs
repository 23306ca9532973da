//! What this checkout proves of the copies that it has written: the HMAC-SHA256 of their checksum by a key that never leaves `data/`.
//! Anyone can write a checksum file, and what this tool has written is read with the rights of a superuser.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::project::configuration::generate;
use process::{LockedTempFile, files};

const NAME: &str = "backup.key";
/// Shorter ones were not written by this tool.
const SHORTEST: usize = 32;
const LONGEST: u64 = 1024;

/// The key of a checkout.
pub(crate) struct Key(SecretString);

impl Key {
    /// The key in this folder, `None` where there is none.
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        let path = folder.join(NAME);
        // A FIFO would be waited for.
        std::fs::metadata(&path)
            .ok()
            .filter(std::fs::Metadata::is_file)?;
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(LONGEST).read_to_string(&mut text))
            .ok()?;
        (text.trim().len() >= SHORTEST).then(|| Self(text.trim().into()))
    }

    /// The key in this folder, made where there is none.
    ///
    /// # Errors
    /// It cannot be written, or what is there is not a key.
    pub(super) fn make(folder: &Path) -> Result<Self> {
        if let Some(key) = Self::read(folder) {
            return Ok(key);
        }
        let path = folder.join(NAME);
        let mut file = LockedTempFile::new(&path, files::SECRET)?;
        file.file().write_all(generate().as_bytes())?;
        match file.create() {
            // Another command was faster.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            created => created?,
        }
        Self::read(folder).ok_or_else(|| {
            Error::other(format!("{} is not a key: remove that file", path.display()))
        })
    }

    /// What proves that this checkout has written a copy with this checksum.
    pub(super) fn seal(&self, checksum: &str) -> String {
        hex::encode(self.of(checksum).finalize().into_bytes())
    }

    /// Whether this is the seal of a checksum. Takes the same time for each wrong one.
    pub(super) fn fits(&self, checksum: &str, seal: &str) -> bool {
        let digits = seal.as_bytes().as_chunks::<2>().0;
        let bytes = digits
            .iter()
            .map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        bytes
            .collect::<Option<Vec<u8>>>()
            .is_some_and(|bytes| self.of(checksum).verify_slice(&bytes).is_ok())
    }

    fn of(&self, checksum: &str) -> Hmac<Sha256> {
        let hmac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret().as_bytes())
            .expect("a key of any length");
        hmac.chain_update(checksum)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_seal_fits_one_checksum_and_one_key() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert!(Key::read(folder.path()).is_none());
        let key = Key::make(folder.path()).unwrap();
        let mode = std::fs::metadata(folder.path().join(NAME))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let seal = key.seal("abc");
        assert!(Key::make(folder.path()).unwrap().fits("abc", &seal));
        assert!(!key.fits("abd", &seal));
        assert!(!Key::make(other.path()).unwrap().fits("abc", &seal));
        for seal in ["", "ä", "0", &seal[2..], &format!("{seal}00")] {
            assert!(!key.fits("abc", seal), "{seal}");
        }
    }

    #[test]
    fn commands_that_make_a_key_at_once_get_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let seals: Vec<String> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| Key::make(folder.path()).unwrap().seal("abc")))
                .collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(seals.iter().all(|seal| *seal == seals[0]));
        std::fs::write(folder.path().join(NAME), "").unwrap();
        assert!(Key::make(folder.path()).is_err());
    }
}
