//! Who may call, and how often: tokens, passwords, the current user, rate limits.

mod attempts;
mod client;
mod exchange;
mod guard;
mod hmac_sha256;
mod limiter;
mod passwords;
mod tokens;
mod user;

pub use attempts::{LoginAttempt, PictureRequest};
pub use exchange::Exchange;
pub use guard::Guard;
pub use passwords::{PasswordError, Passwords, Verdict};
pub use tokens::{Issued, Tokens};
pub use user::CurrentUser;
