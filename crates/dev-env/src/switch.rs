//! The database moves to the other engine: copied, restored into a new one, compared, and the old one kept.
//!
//! The old directory is renamed before the new one is made in its place, and a note of that stands in `data/switch.json` until the
//! new one is complete and the same. Whoever is killed meanwhile leaves that note: the next command puts the old one back.

use std::fs::File;
use std::path::{Path, PathBuf};

use emotionviz_settings::declared::{DEV_ENGINE, POSTGRES_PASSWORD};
use emotionviz_settings::{Engine as Kind, Kind as _, Origin};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::compare::Contents;
use crate::engine::Engine;
use crate::engines::{self, Chosen};
use crate::events::Events;
use crate::owner::{self, files};
use crate::postgres::find::PREFERRED_MAJOR;
use crate::postgres::psql::identifier;
use crate::postgres::roles;
use crate::session::Session;
use crate::stop::Stop;
use crate::writers::StoppedWriters;
use crate::{
    Checkout, Environment, Error, backup, database_settings, env_files, lock, lock_holders, maker,
    restore,
};

/// What a switch did.
#[derive(Clone, Debug)]
pub enum Switched {
    /// The database was moved.
    Moved {
        /// Where the old one is kept.
        kept: PathBuf,
        /// Tables that are the same.
        tables: usize,
        /// Rows in them.
        rows: u64,
    },
    /// There was nothing to move: the engine has the database already, or there is none.
    Nothing,
}

/// Why a database is not moved.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    /// Another switch of engines is running.
    #[error(
        "another command is moving the database to another engine; nothing was changed\nhint: wait until that command ends, then repeat this one"
    )]
    AtWork,
    /// Another command has started it.
    #[error(
        "another command started the database that is to be moved; nothing was changed\nhint: try again"
    )]
    Started,
    /// The database is newer than the other engine.
    #[error(
        "the database has the format of PostgreSQL {major}, and docker-compose.yml runs an older version; nothing was changed\n\
         hint: keep this engine: cargo dev up --engine native"
    )]
    NewerDatabase {
        /// Its major version.
        major: String,
    },
    /// The moved database differs.
    #[error(
        "the moved database differs from the original, which was restored: {what}\nhint: keep this engine: cargo dev up"
    )]
    Differs {
        /// The first difference.
        what: String,
    },
}

/// Where the old database is while the new one is made.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    to: String,
    /// Where the files were.
    from: PathBuf,
    /// Where they are.
    kept: PathBuf,
    /// Whether `data/postgres` was a link to them.
    link: bool,
}

/// A database and what it holds.
struct Copy {
    database: String,
    file: PathBuf,
    contents: Contents,
}

/// Moves the database to an engine. Either all of it is there afterwards, or everything is as it was. `None` when `stop` was asked.
///
/// # Errors
/// The database cannot be moved; it is as it was.
pub async fn switch(
    environment: &Environment,
    to: Kind,
    events: &Events,
    stop: &Stop,
) -> Result<Option<Switched>, Error> {
    let checkout = &environment.checkout;
    let _turn = turn(checkout)?;
    let _replacing = lock::replacing(checkout)?;
    put_back(environment, events).await?;
    maker::refuse_lost(checkout)?;
    let switched = match maker::of(checkout) {
        Some(maker) if maker != to => carry_over(environment, maker, to, events, stop).await,
        _ => Ok(Some(Switched::Nothing)),
    };
    if !matches!(switched, Ok(Some(_))) {
        put_back(environment, events).await?;
        return switched;
    }
    engines::remember(checkout, to)?;
    follow_settings(environment, to, events)?;
    switched
}

/// Puts the database back that a killed switch had moved aside.
///
/// # Errors
/// A switch is under way, or a file cannot be moved.
pub(crate) async fn recover(environment: &Environment, events: &Events) -> Result<(), Error> {
    if !note_path(&environment.checkout).exists() {
        return Ok(());
    }
    let _turn = turn(&environment.checkout)?;
    put_back(environment, events).await
}

async fn carry_over(
    environment: &Environment,
    from: Kind,
    to: Kind,
    events: &Events,
    stop: &Stop,
) -> Result<Option<Switched>, Error> {
    let checkout = &environment.checkout;
    let folder = tempfile::Builder::new()
        .prefix("switch-")
        .tempdir_in(checkout.root().join("data"));
    let folder =
        folder.map_err(|source| Error::io("write", &checkout.root().join("data"), source))?;
    let source = Chosen::new(environment.clone(), from);
    let started = async {
        if source.stop(events).await? {
            events.note("stopping the environment to move its database");
        }
        source.session("cargo dev engine switch", events).await
    };
    let session = tokio::select! {
        biased;
        () = stop.asked() => return Ok(None),
        session = started => session?,
    };
    if !session.is_on_demand() {
        session.end().await?;
        return Err(SwitchError::Started.into());
    }
    let mut stopped = Vec::new();
    let copied = tokio::select! {
        biased;
        () = stop.asked() => Ok(None),
        copied = copy(&session, to, folder.path(), &mut stopped, events) => copied.map(Some),
    };
    if !matches!(copied, Ok(Some(_))) {
        for writers in stopped.drain(..) {
            if let Err(error) = writers.let_in().await {
                events.warn(error.to_string());
            }
        }
    }
    let password = session.url().password.clone();
    session.end().await?;
    // Only after the server has stopped: a row that is written now would not be moved.
    for writers in stopped {
        writers.leave().await;
    }
    let Some((copies, settings)) = copied? else {
        return Ok(None);
    };
    let moved = move_over(environment, from, to, &copies, &settings, password, events);
    tokio::select! {
        biased;
        () = stop.asked() => Ok(None),
        moved = moved => moved.map(Some),
    }
}

async fn move_over(
    environment: &Environment,
    from: Kind,
    to: Kind,
    copies: &[Copy],
    settings: &str,
    password: Option<SecretString>,
    events: &Events,
) -> Result<Switched, Error> {
    let checkout = &environment.checkout;

    // The password stays, where nobody has said one.
    let mut environment = environment.reread()?;
    if let Some(password) = password.filter(|_| {
        !environment
            .configuration
            .values()
            .is_set(&POSTGRES_PASSWORD.info)
    }) {
        let line = [(POSTGRES_PASSWORD.info.name, password.expose_secret())];
        env_files::append(
            &checkout.env_file(),
            "The database's password, as it is.",
            &line,
        )?;
        environment = environment.reread()?;
    }
    environment.configuration.make_secrets(checkout, false)?;
    let environment = environment.reread()?;

    let kept = move_aside(checkout, from, to)?;
    let target = Chosen::new(environment.clone(), to);
    let session = target.new_database(events).await?;
    let filled = fill(&environment, &session, copies, settings, events).await;
    session.end().await?;
    filled?;
    // From here on the new one counts.
    forget(checkout)?;
    let sizes = copies.iter().map(|copy| copy.contents.size());
    let (tables, rows) = sizes.fold((0, 0), |(tables, rows), size| {
        (tables + size.0, rows + size.1)
    });
    Ok(Switched::Moved { kept, tables, rows })
}

/// Returns copies of all databases, whose writers are stopped, and the statements that restore the settings of databases and roles.
async fn copy(
    session: &Session,
    to: Kind,
    folder: &Path,
    stopped: &mut Vec<StoppedWriters>,
    events: &Events,
) -> Result<(Vec<Copy>, String), Error> {
    let version = session
        .sql_in(
            "postgres",
            "SELECT current_setting('server_version_num')::int / 10000",
        )
        .await?;
    if to == Kind::Docker
        && version
            .parse::<u32>()
            .is_ok_and(|major| major > PREFERRED_MAJOR)
    {
        return Err(SwitchError::NewerDatabase { major: version }.into());
    }
    let roles = "SELECT string_agg(rolname, ', ' ORDER BY rolname) FROM pg_roles WHERE NOT starts_with(rolname, 'pg_')
        AND rolname NOT IN (current_user, 'emotionviz_api', 'emotionviz_owner', 'emotionviz_test')";
    let others = session.sql_in("postgres", roles).await?;
    if !others.is_empty() {
        events.warn(format!(
            "these roles, their rights and their settings are not moved: {others}"
        ));
    }
    let all = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate AND datname <> 'postgres' ORDER BY 1";
    let all = session.sql_in("postgres", all).await?;
    for database in all.lines() {
        stopped.push(StoppedWriters::open(session, database).await?);
    }
    for writers in stopped {
        writers.stop("engine switch", events).await?;
    }
    let (mut copies, mut settings) = (Vec::new(), String::new());
    for (number, database) in all.lines().enumerate() {
        let doing = format!("copying {database}");
        events.phase(doing.as_str());
        let file = folder.join(format!("{number}.dump"));
        backup::write_archive(session, database, &file).await?;
        let contents = Contents::of(session, database);
        let contents =
            lock_holders::named(session, database, &doing, lock_holders::PATIENCE, contents)
                .await?;
        settings += &database_settings::of_database(session, database, database).await?;
        settings += &database_settings::privileges(session, database, database).await?;
        settings += &database_settings::comment(session, database, database).await?;
        copies.push(Copy {
            database: database.to_owned(),
            file,
            contents,
        });
    }
    settings += &database_settings::of_roles(session).await?;
    Ok((copies, settings))
}

async fn fill(
    environment: &Environment,
    session: &Session,
    copies: &[Copy],
    settings: &str,
    events: &Events,
) -> Result<(), Error> {
    let (owner, database) = (&session.url().user, &session.url().database);
    let api_password = environment
        .configuration
        .tool(&environment.checkout)?
        .api_password
        .unwrap_or_default();
    session
        .sql_in(
            database,
            &roles::api_role_sql(owner, database, &api_password),
        )
        .await?;
    for copy in copies {
        // The server made it, and a script of the user's may have filled it.
        session
            .sql_in(
                "postgres",
                &format!(
                    "DROP DATABASE IF EXISTS {} WITH (FORCE)",
                    identifier(&copy.database)
                ),
            )
            .await?;
        restore::fill(session, &copy.database, &copy.file, events).await?;
        events.phase(format!("comparing {}", copy.database));
        if let Some(what) = copy
            .contents
            .difference(&Contents::of(session, &copy.database).await?)
        {
            return Err(SwitchError::Differs { what }.into());
        }
    }
    // As the last thing: they may forbid all of the above.
    session.sql_in("postgres", settings).await?;
    Ok(())
}

/// `DEV_ENGINE` is to say the same, where somebody has set it.
fn follow_settings(environment: &Environment, to: Kind, events: &Events) -> Result<(), Error> {
    let configuration = &environment.configuration;
    match configuration.origin(&DEV_ENGINE.info) {
        Origin::File(path, _) if configuration.engine()? != Some(to) => {
            env_files::change(&path, DEV_ENGINE.info.name, &to.to_string())?;
            events.note(format!("{} says DEV_ENGINE={to} now", path.display()));
        }
        Origin::Environment if configuration.engine()? != Some(to) => {
            events.warn(format!("DEV_ENGINE is set in the environment of this shell, to the other engine\nunset DEV_ENGINE, or type cargo dev --engine {to} …"));
        }
        _ => {}
    }
    Ok(())
}

/// One switch at a time: the lock is the system's, and ends with this process.
fn turn(checkout: &Checkout) -> Result<File, Error> {
    lock::file(checkout, "switch.lock")?.ok_or_else(|| SwitchError::AtWork.into())
}

fn note_path(checkout: &Checkout) -> PathBuf {
    checkout.root().join("data/switch.json")
}

/// Gives the old directory another name, and notes that first.
fn move_aside(checkout: &Checkout, maker: Kind, to: Kind) -> Result<PathBuf, Error> {
    let data_dir = maker::data_dir(checkout);
    let from = data_dir
        .canonicalize()
        .map_err(|source| Error::io("read", &data_dir, source))?;
    let kept = from.with_file_name(format!("postgres.{maker}-{}", backup::now()));
    let note = Note {
        to: to.to_string(),
        link: data_dir.is_symlink(),
        from,
        kept,
    };
    write_note(checkout, &note)?;
    if note.link {
        std::fs::remove_file(&data_dir).map_err(|source| Error::io("remove", &data_dir, source))?;
    }
    rename(&note.from, &note.kept)?;
    Ok(note.kept)
}

fn write_note(checkout: &Checkout, note: &Note) -> Result<(), Error> {
    let path = note_path(checkout);
    let text = serde_json::to_vec(note).expect("names are JSON");
    files::write_atomically(&path, &text, files::READABLE)
        .map_err(|source| Error::io("write", &path, source))
}

fn forget(checkout: &Checkout) -> Result<(), Error> {
    let path = note_path(checkout);
    std::fs::remove_file(&path).map_err(|source| Error::io("remove", &path, source))?;
    sync(&checkout.root().join("data"))
}

/// Everything as it was before the switch that the note is of. What was begun is put aside, not removed: plain `docker compose`
/// does not know of the note, and may have gone on with it.
async fn put_back(environment: &Environment, events: &Events) -> Result<(), Error> {
    let checkout = &environment.checkout;
    let path = note_path(checkout);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(Error::io("read", &path, source)),
    };
    let note: Note =
        serde_json::from_slice(&text).map_err(|error| Error::io("read", &path, error.into()))?;
    if note.kept.exists() {
        events.phase("putting the database back");
        let to = Kind::read(&note.to).unwrap_or(Kind::Native);
        match Chosen::new(environment.clone(), to).stop(events).await {
            // Without Docker no container runs.
            Ok(_) | Err(Error::Docker(_)) => {}
            Err(error) => return Err(error),
        }
        put_begun_aside(checkout, events)?;
        owner::make_parents(&note.from)?;
        rename(&note.kept, &note.from)?;
    }
    let data_dir = maker::data_dir(checkout);
    if note.link && !data_dir.is_symlink() {
        std::os::unix::fs::symlink(&note.from, &data_dir)
            .map_err(|source| Error::io("write", &data_dir, source))?;
    }
    forget(checkout)?;
    events.note("a move to the other engine did not come to its end: the database is as it was");
    Ok(())
}

fn put_begun_aside(checkout: &Checkout, events: &Events) -> Result<(), Error> {
    let data_dir = maker::data_dir(checkout);
    let Ok(begun) = data_dir.canonicalize() else {
        // A link that leads nowhere, or nothing.
        let _nothing = std::fs::remove_file(&data_dir);
        return Ok(());
    };
    if data_dir.is_symlink() {
        std::fs::remove_file(&data_dir).map_err(|source| Error::io("remove", &data_dir, source))?;
    }
    // An empty folder is what Docker makes before anything else.
    if std::fs::remove_dir(&begun).is_ok() {
        return Ok(());
    }
    let aside = begun.with_file_name(format!("postgres.begun-{}", backup::now()));
    rename(&begun, &aside)?;
    events.note(format!(
        "the copy that was begun is not needed any more: rm -rf '{}'",
        aside.display()
    ));
    Ok(())
}

fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    std::fs::rename(from, to).map_err(|source| Error::io("move", from, source))?;
    from.parent().map_or(Ok(()), sync)
}

/// A name is on disk when its folder is.
fn sync(folder: &Path) -> Result<(), Error> {
    files::sync_folder(folder).map_err(|source| Error::io("write", folder, source))
}
