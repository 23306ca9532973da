//! A socket on which a process reports that it is ready: `NOTIFY_SOCKET` of systemd (sd_notify(3)).

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio::net::UnixDatagram;

/// A notification has a line or two.
const LONGEST: usize = 4096;

/// A socket for the notifications of one process. Its file is removed on drop.
pub struct ReadySocket {
    socket: UnixDatagram,
    path: PathBuf,
}

impl ReadySocket {
    /// Listens at `path`, the value for `NOTIFY_SOCKET`. An existing socket is replaced, so that an earlier process reports nothing any
    /// more.
    ///
    /// # Errors
    /// The socket cannot be created.
    pub fn listen(path: &Path) -> std::io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = UnixDatagram::bind(path)?;
        // The process may run as another user. The folder keeps other users out.
        std::fs::set_permissions(path, Permissions::from_mode(0o666))?;
        Ok(Self {
            socket,
            path: path.to_owned(),
        })
    }

    /// The path of the socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the next notification. `Ok` means ready.
    ///
    /// # Errors
    /// The text of `STATUS=`, or the error of the system.
    pub async fn receive(&self) -> Result<(), String> {
        let mut bytes = [0; LONGEST];
        let length = self
            .socket
            .recv(&mut bytes)
            .await
            .map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&bytes[..length]);
        if text.lines().any(|line| line == "READY=1") {
            return Ok(());
        }
        Err(text
            .lines()
            .find_map(|line| line.strip_prefix("STATUS="))
            .unwrap_or("it did not say why")
            .to_owned())
    }
}

impl Drop for ReadySocket {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_reports_its_status_and_then_that_it_is_ready() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ready");
        std::fs::write(&path, "left behind").unwrap();
        let socket = ReadySocket::listen(&path).unwrap();
        let client = UnixDatagram::unbound().unwrap();
        client
            .send_to(b"STATUS=no database\n", &path)
            .await
            .unwrap();
        client
            .send_to(b"STATUS=fine\nREADY=1\n", &path)
            .await
            .unwrap();
        assert_eq!(socket.receive().await, Err("no database".to_owned()));
        assert_eq!(socket.receive().await, Ok(()));
        drop(socket);
        assert!(!path.exists());
    }
}
