/// Why writers could not be stopped, or not be let in again.
#[derive(Debug, thiserror::Error)]
pub enum WritersError {
    /// Another command has stopped them.
    #[error(
        "another cargo dev command has stopped the writers of {database} and is still running; nothing was changed\nhint: wait until that command ends, then repeat this one"
    )]
    AtWork {
        /// The database.
        database: String,
    },
    /// A setting comes before the one that stops writers.
    #[error(
        "the writers of {database} cannot be stopped while it is copied: default_transaction_read_only is set by ALTER DATABASE or ALTER ROLE; nothing was changed\n\
         hint: cargo dev db shell -c '{statements}'"
    )]
    OtherSetting {
        /// The database.
        database: String,
        /// What resets it.
        statements: String,
    },
    /// Sessions do not end.
    #[error(
        "the writers of {database} cannot be stopped while it is copied: these sessions could not be terminated; nothing was changed\n  {sessions}\n\
         hint: stop these programs, then repeat the command"
    )]
    Left {
        /// The database.
        database: String,
        /// They, a line each.
        sessions: String,
    },
    /// The server refuses a statement.
    #[error(
        "the writers of {database} cannot be stopped while it is copied: {reason}; nothing was changed\n\
         hint: make the role that migrates (POSTGRES_USER, or the role of MIGRATION_DATABASE_URL) the owner of the database, or a superuser"
    )]
    Refused {
        /// The database.
        database: String,
        /// What the server said.
        reason: String,
    },
    /// They are still kept out.
    #[error(
        "writes to {database} could not be allowed again: {said}\n\
         hint: run cargo dev up, or: cargo dev db shell -c 'SET default_transaction_read_only = off; ALTER DATABASE \"{database}\" RESET default_transaction_read_only'"
    )]
    NotLetIn {
        /// The database.
        database: String,
        /// What was said.
        said: String,
    },
}
