use emotionviz_core::ApiError;

/// Why a query gave no answer.
#[derive(Debug, thiserror::Error)]
#[error("{}", cause(.0))]
pub struct Error(#[from] sqlx::Error);

/// What a query gives.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Returns whether the connection must be discarded: the server closed it, or it refuses writes, for example while `cargo dev` copies
    /// the database.
    pub(crate) fn spoils_connection(&self) -> bool {
        match &self.0 {
            sqlx::Error::Io(_) => true,
            sqlx::Error::Database(e) => e
                .code()
                .is_some_and(|code| matches!(&*code, "25006" | "57P01" | "57P02")),
            _ => false,
        }
    }

    /// Whether the database is away, rather than the query wrong: it is worth asking again later.
    pub fn is_away(&self) -> bool {
        match &self.0 {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed => true,
            // What sqlx makes of a connection that is closed before its first byte, as proxies without a database behind them do.
            sqlx::Error::Protocol(message) => {
                message.starts_with("unexpected response from SSLRequest")
            }
            // https://www.postgresql.org/docs/current/errcodes-appendix.html: connection exceptions, refused logins, an unknown
            // database, a read-only transaction, a lack of resources (too many connections, a full disk), a system that took a file or
            // memory away, a table or column that a reverted migration took away, a statement over its time, a shutdown, a crash, a
            // start that is under way.
            sqlx::Error::Database(e) => e.code().is_some_and(|code| {
                code.starts_with("08")
                    || code.starts_with("28")
                    || code.starts_with("53")
                    || code.starts_with("58")
                    || matches!(
                        &*code,
                        "25006"
                            | "3D000"
                            | "42703"
                            | "42P01"
                            | "57014"
                            | "57P01"
                            | "57P02"
                            | "57P03"
                    )
            }),
            _ => false,
        }
    }
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

/// The cause for the log. PostgreSQL repeats values in its messages on data (class 22) and constraints (class 23): these stay out.
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
