//! Names of this application on the machine and in the database.

/// The prefix of folders that all applications of a machine share: caches, sockets.
pub(crate) const APPLICATION: &str = "emotionviz";

/// The role that the API connects as.
pub(crate) const API_ROLE: &str = "emotionviz_api";

/// The role that tests connect as if they have no database server of their own.
pub(crate) const TEST_ROLE: &str = "emotionviz_test";
