//! The archive from the release page of the project that builds it.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::archive::Archive;
use super::progress::Progress;

/// The time limit of each step: name resolution, connection, response, next bytes. So a network that drops packets is noticed soon.
const STEP: Duration = Duration::from_secs(15);
const WHOLE: Duration = Duration::from_secs(10 * 60);

/// Downloads the archive to the file `to`, in a thread that may block.
pub(super) fn download(
    releases: &str,
    archive: &Archive,
    to: &Path,
    progress: &dyn Progress,
    cancelled: &AtomicBool,
) -> Result<(), String> {
    let address = format!("{releases}/{}/{}", archive.version, archive.file_name());
    let agent = ureq::Agent::config_builder()
        .timeout_resolve(Some(STEP))
        .timeout_connect(Some(STEP))
        .timeout_recv_response(Some(STEP))
        .timeout_per_read(Some(STEP))
        .timeout_global(Some(WHOLE))
        .build()
        .new_agent();
    let response = agent
        .get(&address)
        .call()
        .map_err(|error| error.to_string())?;
    let mut body = response.into_body().into_reader();
    let disk = |error: std::io::Error| format!("{}: {error}", to.display());
    let mut file = BufWriter::new(File::create(to).map_err(disk)?);
    let mut buffer = vec![0; 64 * 1024];
    let mut done = 0;
    loop {
        if cancelled.load(Ordering::Relaxed) {
            return Err("it was cancelled".to_owned());
        }
        let read = body
            .read(&mut buffer)
            .map_err(|error| format!("the connection was lost after {done} bytes: {error}"))?;
        if read == 0 {
            break;
        }
        done += read as u64;
        if done > archive.bytes {
            return Err(format!(
                "the response is longer than {} bytes",
                archive.bytes
            ));
        }
        file.write_all(&buffer[..read]).map_err(disk)?;
        progress.bytes(done, archive.bytes);
    }
    file.flush().map_err(disk)
}
