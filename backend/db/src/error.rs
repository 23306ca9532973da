use emotionviz_core::ApiError;

/// Why a query gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}", cause(.0))]
    Query(#[from] sqlx::Error),
    /// A table or column is missing because a migration was reverted, or a newer one removed it.
    #[error("the schema is not the one that this version needs: {}", cause(.0))]
    Schema(#[source] sqlx::Error),
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Returns whether the connection must be discarded: the server closed it, or it refuses writes, for example while `cargo dev` copies
    /// the database.
    pub(crate) fn spoils_connection(&self) -> bool {
        match self {
            Self::Query(sqlx::Error::Io(_)) => true,
            Self::Query(sqlx::Error::Database(e)) => e
                .code()
                .is_some_and(|code| matches!(&*code, "25006" | "57P01" | "57P02")),
            _ => false,
        }
    }

    /// Returns whether the database is temporarily unable to answer, and the query itself is not the reason.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Schema(_)
            | Self::Query(
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed,
            ) => true,
            // The connection was closed before its first byte, as proxies without a database behind them do.
            Self::Query(sqlx::Error::Protocol(message)) => {
                message.starts_with("unexpected response from SSLRequest")
            }
            // https://www.postgresql.org/docs/current/errcodes-appendix.html: connection exceptions, refused logins, a lack of resources
            // (too many connections, a full disk), system errors (a file or memory was taken away), a read-only transaction, an unknown
            // database, a statement over its time, a shutdown, a crash, a start that is under way.
            Self::Query(sqlx::Error::Database(e)) => e.code().is_some_and(|code| {
                ["08", "28", "53", "58"]
                    .iter()
                    .any(|class| code.starts_with(class))
                    || matches!(
                        &*code,
                        "25006" | "3D000" | "57014" | "57P01" | "57P02" | "57P03"
                    )
            }),
            Self::Query(_) => false,
        }
    }
}

/// Returns whether the error is undefined_table or undefined_column.
pub(crate) fn is_undefined(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(e) if matches!(e.code().as_deref(), Some("42P01" | "42703")))
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        if error.is_away() {
            Self::unavailable(error)
        } else {
            Self::internal(error)
        }
    }
}

/// Returns the cause for the log. PostgreSQL repeats values in its messages on data (class 22) and constraints (class 23): these are left out.
fn cause(error: &sqlx::Error) -> String {
    let sqlx::Error::Database(e) = error else {
        return error.to_string();
    };
    let code = e.code().unwrap_or_default();
    let message = if code.starts_with("22") || code.starts_with("23") {
        ""
    } else {
        e.message()
    };
    format!(
        "SQLSTATE {code} {message} {} {}",
        e.table().unwrap_or_default(),
        e.constraint().unwrap_or_default()
    )
    .trim_end()
    .to_owned()
}
