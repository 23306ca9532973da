//! The verbs that are more than one call.

pub mod backup;
pub mod checks;
pub mod external;
pub mod restore;
pub mod schema;
pub mod seed;
pub mod sql_script;
pub mod switch;
pub mod testing;
