//! Who may call, and how often: tokens, passwords, the current user, rate limits.

mod client;
mod exchange;
mod guard;
mod hmac_sha256;
mod limiter;
mod login;
mod passwords;
mod tokens;
mod user;

pub use exchange::Exchange;
pub use guard::Guard;
pub use login::LoginAttempt;
pub use passwords::{PasswordError, Passwords, Verdict};
pub use tokens::{Issued, Tokens};
pub use user::CurrentUser;
