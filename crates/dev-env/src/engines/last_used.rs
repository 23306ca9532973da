//! Which engine ran last in a checkout.

use std::path::PathBuf;

use emotionviz_settings::{Engine as Kind, Kind as _};

use crate::{Checkout, Error};
use process::files;

fn path(checkout: &Checkout) -> PathBuf {
    checkout.run().join("engine")
}

/// Returns the engine that ran last.
pub(crate) fn last(checkout: &Checkout) -> Option<Kind> {
    Kind::read(std::fs::read_to_string(path(checkout)).ok()?.trim()).ok()
}

/// Remembers the engine that runs now.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn remember(checkout: &Checkout, kind: Kind) -> Result<(), Error> {
    if last(checkout) == Some(kind) {
        return Ok(());
    }
    checkout.make_folders()?;
    let path = path(checkout);
    files::write_atomically(&path, format!("{kind}\n").as_bytes(), files::READABLE)
        .map_err(|source| Error::io("write", &path, source))
}
