//! The database moves to the other engine: copied, restored into a new one, compared, and the old one kept.
//!
//! The old directory is renamed before the new one is made in its place, and a note of that stands in `data/switch.json` until the
//! new one is complete and the same. Whoever is killed meanwhile leaves that note: the next command puts the old one back.

use std::path::{Path, PathBuf};

use emotionviz_settings::declared::{DEV_ENGINE, POSTGRES_PASSWORD};
use emotionviz_settings::{Engine as Kind, Origin};
use secrecy::{ExposeSecret, SecretString};

use crate::database::compare::Contents;
use crate::database::location::COMPOSE_MAJOR;
use crate::database::session::{RunBy, Session};
use crate::database::writers::StoppedWriters;
use crate::database::{database_settings, lock_holders, maker};
use crate::engines::{Engine, last_used, moved_data};
use crate::project::names::API_ROLE;
use crate::project::{env_files, lock};
use crate::report::events::Events;
use crate::verbs::{backup, restore};
use crate::{Environment, Error};
use local_postgres::AppRole;
use local_postgres::psql::identifier;
use process::LockedTemp;
use process::shutdown::Shutdown;

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

crate::project::error::other_errors!(SwitchError);

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
    stop: &Shutdown,
) -> Result<Option<Switched>, Error> {
    let checkout = &environment.checkout;
    let _turn = tokio::select! {
        biased;
        () = stop.requested() => return Ok(None),
        turn = moved_data::lock(checkout, events) => turn?,
    };
    let _replacing = lock::replacing(checkout)?;
    moved_data::put_back(environment, events).await?;
    maker::refuse_lost(checkout)?;
    let switched = match maker::of(checkout) {
        Some(maker) if maker != to => carry_over(environment, maker, to, events, stop).await,
        _ => Ok(Some(Switched::Nothing)),
    };
    if !matches!(switched, Ok(Some(_))) {
        moved_data::put_back(environment, events).await?;
        return switched;
    }
    last_used::remember(checkout, to)?;
    follow_settings(environment, to, events).await?;
    switched
}

async fn carry_over(
    environment: &Environment,
    from: Kind,
    to: Kind,
    events: &Events,
    stop: &Shutdown,
) -> Result<Option<Switched>, Error> {
    let checkout = &environment.checkout;
    let data = checkout.root().join("data");
    let folder =
        LockedTemp::new(&data, "switch-").map_err(|source| Error::io("write", &data, source))?;
    // A backup locks the folder of its copy, and `folder` is locked.
    let copies = folder.path().join("copies");
    std::fs::create_dir(&copies).map_err(|source| Error::io("write", &copies, source))?;
    let source = Engine::new(environment.clone(), from);
    let started = async {
        if source.stop(events).await? {
            events.note("stopping the environment to move its database");
        }
        source.session("cargo dev engine switch", events).await
    };
    let session = tokio::select! {
        biased;
        () = stop.requested() => return Ok(None),
        session = started => session?,
    };
    if session.run_by() != RunBy::Session {
        session.end().await?;
        return Err(SwitchError::Started.into());
    }
    let mut stopped = Vec::new();
    let copied = tokio::select! {
        biased;
        () = stop.requested() => Ok(None),
        copied = copy(&session, to, &copies, &mut stopped, events) => copied.map(Some),
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
        () = stop.requested() => Ok(None),
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
    let mut environment = environment.reread().await?;
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
        )
        .await?;
        environment = environment.reread().await?;
    }
    environment
        .configuration
        .make_secrets(checkout, false)
        .await?;
    let environment = environment.reread().await?;

    let kept = moved_data::move_aside(checkout, from, to)?;
    let target = Engine::new(environment.clone(), to);
    let session = target.new_database(events).await?;
    let filled = fill(&environment, &session, copies, settings, events).await;
    session.end().await?;
    filled?;
    // From here on the new one counts.
    moved_data::forget(checkout)?;
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
            .is_ok_and(|major| major > COMPOSE_MAJOR)
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
    let tool = environment.configuration.tool(&environment.checkout)?;
    let api_role = AppRole {
        name: API_ROLE.to_owned(),
        password: tool.api_password.unwrap_or_default(),
    };
    session
        .sql_in(database, &api_role.sql(owner, database))
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
async fn follow_settings(
    environment: &Environment,
    to: Kind,
    events: &Events,
) -> Result<(), Error> {
    let configuration = &environment.configuration;
    match configuration.origin(&DEV_ENGINE.info) {
        Origin::File(path, _) if configuration.engine()? != Some(to) => {
            env_files::change(&path, DEV_ENGINE.info.name, &to.to_string()).await?;
            events.note(format!("{} says DEV_ENGINE={to} now", path.display()));
        }
        Origin::Environment if configuration.engine()? != Some(to) => {
            events.warn(format!("DEV_ENGINE is set in the environment of this shell, to the other engine\nunset DEV_ENGINE, or type cargo dev --engine {to} …"));
        }
        _ => {}
    }
    Ok(())
}
