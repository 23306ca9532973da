/// Why writers could not be stopped, or writes could not be allowed again.
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
    /// A setting overrides the setting that stops writers.
    #[error(
        "the writers of {database} cannot be stopped while it is copied: ALTER DATABASE or ALTER ROLE sets default_transaction_read_only or application_name; nothing was changed\n\
         hint: cargo dev db shell -c '{statements}'"
    )]
    OtherSetting {
        /// The database.
        database: String,
        /// The statements that reset it.
        statements: String,
    },
    /// Sessions cannot be terminated.
    #[error(
        "the writers of {database} cannot be stopped while it is copied: these sessions could not be terminated; nothing was changed\n  {sessions}\n\
         hint: stop these programs, then repeat the command"
    )]
    Left {
        /// The database.
        database: String,
        /// The sessions, one per line.
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
        /// The error of the server.
        reason: String,
    },
    /// Writes were allowed again while the command ran.
    #[error(
        "writes to {database} were possible again after it was copied, since its server was restarted or the database was replaced; nothing was reverted\n\
         hint: try again"
    )]
    Lost {
        /// The database.
        database: String,
    },
    /// Writers are still stopped.
    #[error(
        "writes to {database} could not be allowed again: {said}\n\
         hint: run cargo dev up, or: cargo dev db shell -c 'SET default_transaction_read_only = off; ALTER DATABASE \"{database}\" RESET default_transaction_read_only'"
    )]
    NotLetIn {
        /// The database.
        database: String,
        /// The error.
        said: String,
    },
}

crate::project::error::other_errors!(WritersError);
