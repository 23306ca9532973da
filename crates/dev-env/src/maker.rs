//! Which engine made the database: each has users, paths and a C library of its own, so it belongs to that one.

use std::path::{Path, PathBuf};

use emotionviz_settings::Engine as Kind;

use crate::{Checkout, Error};

/// What the native engine writes into pg_hba.conf, and nobody else does.
const NATIVE: &str = "peer map=owner";

/// Where the database of either engine is.
pub(crate) fn data_dir(checkout: &Checkout) -> PathBuf {
    checkout.root().join("data/postgres")
}

/// Whether there is a database. One that this user may not look into is one.
pub(crate) fn exists(data_dir: &Path) -> bool {
    match std::fs::metadata(data_dir.join("PG_VERSION")) {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::PermissionDenied,
    }
}

/// Who made the database; `None` where there is none.
pub(crate) fn of(checkout: &Checkout) -> Option<Kind> {
    let data_dir = data_dir(checkout);
    if !exists(&data_dir) {
        return None;
    }
    // What this user may not read the user of a container has made.
    let hba = std::fs::read_to_string(data_dir.join("pg_hba.conf")).unwrap_or_default();
    Some(if hba.contains(NATIVE) { Kind::Native } else { Kind::Docker })
}

/// Refuses a database of the other engine.
///
/// # Errors
/// It is one.
pub(crate) fn refuse_other(checkout: &Checkout, asked: Kind) -> Result<(), Error> {
    match of(checkout) {
        Some(maker) if maker != asked => Err(Error::OtherEngine { maker, asked }),
        _ => Ok(()),
    }
}
