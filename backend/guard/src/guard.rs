use std::net::IpAddr;
use std::sync::Arc;

use axum::http::request::Parts;
use emotionviz_core::{ApiError, Clock, request};
use emotionviz_db as db;
use emotionviz_settings::{Http, Limits, Proxies, Security};

use crate::client;
use crate::limiter::{Limiter, Subject};
use crate::tokens::Tokens;

/// Decides who may call and how often. A feature's state gives it to the extractors through `FromRef`.
pub struct Guard {
    pub(crate) pool: db::Pool,
    pub(crate) tokens: Tokens,
    pub(crate) limiter: Limiter,
    pub(crate) proxies: Proxies,
    pub(crate) clock: Clock,
}

impl Guard {
    pub fn new(
        pool: db::Pool,
        security: &Security,
        limits: Limits,
        http: &Http,
        clock: Clock,
    ) -> Arc<Self> {
        Arc::new(Self {
            pool,
            tokens: Tokens::new(security),
            limiter: Limiter::new(limits.on),
            proxies: http.trusted_proxies.clone(),
            clock,
        })
    }

    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Counts a request of the client's address, and returns that address.
    pub(crate) fn admit_client(
        &self,
        parts: &Parts,
        subject: fn(IpAddr) -> Subject,
    ) -> Result<IpAddr, ApiError> {
        let address = client::address(parts, &self.proxies);
        self.admit(subject(address))?;
        Ok(address)
    }

    /// Counts a request. Refuses it if the subject has none left.
    pub(crate) fn admit(&self, subject: Subject) -> Result<(), ApiError> {
        let now = self.clock.now().timestamp();
        let Some(outcome) = self.limiter.take(subject, now) else {
            return Ok(());
        };
        let (Ok(left) | Err(left)) = outcome;
        request::set_rate_limit(left);
        outcome.map(drop).map_err(|left| {
            ApiError::rate_limited(u64::try_from(left.reset - now).unwrap_or(0).max(1))
        })
    }
}
