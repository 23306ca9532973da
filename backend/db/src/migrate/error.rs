use sqlx::migrate::{MigrateError, Migration};

/// Why a migration did not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database is away, or refused something that is no migration's statement.
    #[error("the database did not answer: {0}")]
    Database(#[from] sqlx::Error),
    /// A migration's statement failed.
    #[error(
        "migration {version} ({description}) failed, and nothing of it was applied: {cause}{place}"
    )]
    Failed {
        /// The migration.
        version: i64,
        /// What it does.
        description: String,
        /// What PostgreSQL says.
        cause: String,
        /// ` (line N of its file)`, where PostgreSQL says so.
        place: String,
    },
    /// An applied migration's file is not what it was.
    #[error(
        "migration {version} ({description}) was edited after it was applied. Put the file back as it was and write a new migration, \
         or revert it (migrate down) and apply it again"
    )]
    Edited {
        /// The migration.
        version: i64,
        /// What it does.
        description: String,
    },
    /// This binary has no such migration.
    #[error(
        "this version of the code has no migration {0}; `migrate status` lists those that it has"
    )]
    Unknown(i64),
    /// What undoes a migration is not written.
    #[error(
        "migration {version} ({description}) cannot be reverted: nothing undoes it. Write that into \
         backend/db/migrations/{version}_{file}.down.sql (`SELECT 1;` where nothing is to be undone), then: migrate down. Nothing was changed",
        file = .description.replace(' ', "_")
    )]
    NoUndo {
        /// The migration.
        version: i64,
        /// What it does.
        description: String,
    },
    /// The database is the Python backend's at another revision.
    #[error(
        "the database is at revision {0} of the Python backend, and only 00d62578dab9 can be adopted. Nothing was changed\n\
         hint: upgrade it with the Python backend: alembic upgrade head"
    )]
    OtherRevision(String),
    /// The database belongs to another application.
    #[error(
        "the database \"{database}\" is another application's: it holds {found}. Nothing was changed\n\
         hint: set DATABASE_URL to this application's database, or to an empty one: CREATE DATABASE emotionviz_db{way_out}"
    )]
    Foreign {
        /// The name of the database.
        database: String,
        /// The content of the database.
        found: String,
        /// What lets it be used all the same, as a further part of the hint; empty where nothing does.
        way_out: String,
    },
    /// A database of the Python backend lacks something.
    #[error(
        "the database is at revision 00d62578dab9 of the Python backend, but {0} is missing. Nothing was changed\n\
         hint: restore a complete dump into an empty database"
    )]
    Incomplete(String),
    /// A database of the Python backend has an object with a name that a migration needs.
    #[error(
        "the Python backend's database cannot be adopted: {object} has a name that this backend needs. Nothing was changed\n\
         hint: rename it, then migrate up: {statement}"
    )]
    Taken {
        /// The object.
        object: String,
        /// The statement that renames it.
        statement: String,
    },
    /// Another session uses the tables that are to be changed.
    #[error(
        "the tables are in use: {0} has held a lock on them for more than 15 s. Nothing was changed\n\
         hint: stop that program (the Python backend?), then: migrate up"
    )]
    InUse(String),
    /// A value of the Python backend does not fit the new column.
    #[error(
        "the Python backend's database cannot be adopted: {table}.{column} {reason}, in {rows}. Nothing was changed\n\
         hint: run this in the database, then migrate up: {statement}"
    )]
    OddRows {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The reason.
        reason: String,
        /// The ids of the rows.
        rows: String,
        /// The statement that corrects them.
        statement: String,
    },
    /// An object of the user on the Python backend's tables cannot be kept.
    #[error(
        "the Python backend's database cannot be adopted: {object} depends on a column whose type changes, and cannot be kept: {cause}. \
         Nothing was changed\n\
         hint: run this in the database: {away}\n\
         hint: then migrate up, and create it again: {back}"
    )]
    NotKept {
        /// The object.
        object: String,
        /// Why.
        cause: String,
        /// The statement that drops it.
        away: String,
        /// The statements that create it again.
        back: String,
    },
    /// Another process migrates for too long.
    #[error(
        "another process has been migrating this database for {0} s; its role and pid are in pg_stat_activity. Nothing was changed"
    )]
    Locked(u64),
}

impl From<MigrateError> for Error {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(e) => Self::Database(e),
            other => Self::Database(sqlx::Error::Migrate(Box::new(other))),
        }
    }
}

impl Error {
    pub(super) fn failed(migration: &Migration, error: impl Into<Cause>) -> Self {
        let Cause(error) = error.into();
        let (cause, place) = match error
            .as_database_error()
            .and_then(|e| e.try_downcast_ref::<sqlx::postgres::PgDatabaseError>())
        {
            Some(e) => {
                let detail = e.detail().map(|d| format!(" ({d})")).unwrap_or_default();
                (
                    format!("{}{detail}", e.message()),
                    place(migration.sql.as_str(), e.position()),
                )
            }
            None => (error.to_string(), String::new()),
        };
        Self::Failed {
            version: migration.version,
            description: migration.description.to_string(),
            cause,
            place,
        }
    }
}

fn place(sql: &str, position: Option<sqlx::postgres::PgErrorPosition<'_>>) -> String {
    match position {
        Some(sqlx::postgres::PgErrorPosition::Original(character)) => {
            let line = 1 + sql
                .chars()
                .take(character.saturating_sub(1))
                .filter(|c| *c == '\n')
                .count();
            format!(" (line {line} of its file)")
        }
        _ => String::new(),
    }
}

/// What sqlx says, with or without its wrapping.
pub(super) struct Cause(sqlx::Error);

impl From<sqlx::Error> for Cause {
    fn from(error: sqlx::Error) -> Self {
        Self(error)
    }
}

impl From<MigrateError> for Cause {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _) => Self(e),
            other => Self(sqlx::Error::Migrate(Box::new(other))),
        }
    }
}
