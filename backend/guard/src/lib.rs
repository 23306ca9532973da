//! Who may call, and how often.

mod client;
mod exchange;
mod limiter;
mod login;
mod user;

use std::sync::Arc;

use emotionviz_core::token::Tokens;
use emotionviz_db as db;
use emotionviz_settings::{Http, Limits, Proxies, Security};

pub use exchange::Exchange;
use limiter::Limiter;
pub use login::LoginAttempt;
pub use user::CurrentUser;

/// What decides on a caller. A feature's state gives it to the extractors ([`CurrentUser`], [`LoginAttempt`]) through `FromRef`.
pub struct Guard {
    pool: db::Pool,
    tokens: Tokens,
    limiter: Limiter,
    proxies: Proxies,
}

impl Guard {
    /// A guard that knows tokens, limits and proxies as the settings say.
    pub fn new(pool: db::Pool, security: &Security, limits: Limits, http: &Http) -> Arc<Self> {
        Arc::new(Self {
            pool,
            tokens: Tokens::new(security),
            limiter: Limiter::new(limits.on),
            proxies: http.trusted_proxies.clone(),
        })
    }

    /// Issues tokens that [`CurrentUser`] accepts.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }
}
