//! Which engine made the database: each has users, paths and a C library of its own, so it belongs to that one.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use emotionviz_settings::Engine as Kind;

use crate::database::data_home::HomeError;
use crate::{Checkout, Error};
use process::user::User;

/// What the native engine writes into pg_hba.conf, and nobody else does.
const NATIVE: &str = "peer map=owner";

/// Where the database of either engine is.
pub(crate) fn data_dir(checkout: &Checkout) -> PathBuf {
    checkout.root().join("data/postgres")
}

/// Returns whether there is a database.
pub(crate) fn exists(data_dir: &Path) -> bool {
    crate::database::data_home::holds_database(data_dir)
}

/// Who made the database; `None` where there is none, or something that is none.
pub(crate) fn of(checkout: &Checkout) -> Option<Kind> {
    let data_dir = data_dir(checkout);
    if !exists(&data_dir) {
        return None;
    }
    match std::fs::read_to_string(data_dir.join("pg_hba.conf")) {
        Ok(rules) if rules.contains(NATIVE) => Some(Kind::Native),
        Ok(_) => Some(Kind::Docker),
        // What this user may not read a container's user has made.
        Err(error) => (error.kind() == ErrorKind::PermissionDenied).then_some(Kind::Docker),
    }
}

/// Refuses a database of the other engine.
///
/// # Errors
/// It is one, or it is not clear where the database is.
pub(crate) fn refuse_other(checkout: &Checkout, asked: Kind) -> Result<(), Error> {
    let home = crate::database::data_home::data_home(checkout.root(), &User::current_or_unnamed())?;
    // Only the native engine keeps a database outside the checkout, where its link may be missing.
    let lost = home.is_lost().then_some(Kind::Native);
    match of(checkout).or(lost) {
        Some(maker) if maker != asked => Err(Error::hinted(
            format!("data/postgres was made by the {maker} engine, and this is the {asked} engine"),
            format!(
                "go on with it: cargo dev up --engine {maker}, or move the data: cargo dev engine switch {asked}"
            ),
        )),
        _ => Ok(()),
    }
}

/// Refuses a database without a link, which would count as missing.
///
/// # Errors
/// It is one, or it is not clear where the database is.
pub(crate) fn refuse_lost(checkout: &Checkout) -> Result<(), Error> {
    let home = crate::database::data_home::data_home(checkout.root(), &User::current_or_unnamed())?;
    if home.is_lost() {
        return Err(HomeError::Lost {
            data_dir: home.data_dir,
            link: data_dir(checkout),
        }
        .into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_of_a_database_is_detected_by_its_pg_hba_file() {
        let (folder, checkout) = Checkout::scratch(&[]);
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        assert_eq!(of(&checkout), None);
        write("data/postgres/PG_VERSION", "15");
        assert_eq!(of(&checkout), None);
        write(
            "data/postgres/pg_hba.conf",
            "host all all all scram-sha-256",
        );
        assert_eq!(of(&checkout), Some(Kind::Docker));
        assert!(
            refuse_other(&checkout, Kind::Docker).is_ok()
                && refuse_other(&checkout, Kind::Native).is_err()
        );
        write(
            "data/postgres/pg_hba.conf",
            "local all \"emotionviz\" peer map=owner",
        );
        assert_eq!(of(&checkout), Some(Kind::Native));
    }
}
