/// Why writers could not be stopped, or not be let in again.
#[derive(Debug, thiserror::Error)]
pub enum WritersError {
    /// Another command has stopped them.
    #[error(
        "another command of the tool has stopped the writers of {database} and is at work; nothing was changed\nhint: try again when it has ended"
    )]
    AtWork {
        /// The database.
        database: String,
    },
    /// A setting comes before the one that stops writers.
    #[error(
        "the writers of {database} cannot be stopped while it is copied: ALTER DATABASE or ALTER ROLE sets default_transaction_read_only or application_name; nothing was changed\n\
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
        "the writers of {database} cannot be stopped while it is copied: these sessions do not end; nothing was changed\n  {sessions}\n\
         hint: end these programs, then try again"
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
         hint: the role that migrates (POSTGRES_USER, or that of MIGRATION_DATABASE_URL) has to own the database and may have to be superuser"
    )]
    Refused {
        /// The database.
        database: String,
        /// What the server said.
        reason: String,
    },
    /// They were let in while the command was at work.
    #[error(
        "the writers of {database} were let in while it was copied: its server was restarted, or the database was replaced; nothing was reverted\n\
         hint: try again"
    )]
    Lost {
        /// The database.
        database: String,
    },
    /// They are still kept out.
    #[error(
        "the writers of {database} could not be let in again: {said}\n\
         hint: cargo dev up does it, or: cargo dev db shell -c 'SET default_transaction_read_only = off; ALTER DATABASE \"{database}\" RESET default_transaction_read_only'"
    )]
    NotLetIn {
        /// The database.
        database: String,
        /// What was said.
        said: String,
    },
}
