//! What extractors and layers need of the server: settings, time, and the two who say who is calling.

use http::HeaderValue;
use lyceum_accounts::Session;
use lyceum_events::Clock;
use ruma::UserId;
use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    ApiError, AppserviceFacts, Authenticator, Family, RateLimits, ServerVerifier, WebConfig, Who, limits::Limits,
};

/// The web layer's handle. Every handler state gives it through `FromRef`.
#[derive(Clone)]
pub struct WebState(Arc<Inner>);

struct Inner {
    config: WebConfig,
    clock: Arc<dyn Clock>,
    limits: Limits,
    authenticator: Box<dyn Authenticator>,
    servers: Box<dyn ServerVerifier>,
    request_id: AtomicU64,
}

impl WebState {
    /// A handle made of settings, limits, the clock, who knows clients, and who knows servers.
    pub fn new(
        config: WebConfig,
        rate_limits: &RateLimits,
        clock: Arc<dyn Clock>,
        authenticator: impl Authenticator + 'static,
        servers: impl ServerVerifier + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            config,
            limits: Limits::new(rate_limits, clock.clone()),
            clock,
            authenticator: Box::new(authenticator),
            servers: Box::new(servers),
            // Not secret, only different after each start.
            request_id: AtomicU64::new(RandomState::new().hash_one(0_u8)),
        }))
    }

    /// The settings.
    pub fn config(&self) -> &WebConfig {
        &self.0.config
    }

    /// Takes one from a bucket, for what the extractors cannot see: the account somebody tries to sign in to, a room.
    pub fn check_limit(&self, family: Family, who: Who<'_>) -> Result<(), ApiError> {
        self.0.limits.check(family, who)
    }

    /// Takes one from the bucket of somebody signed in.
    pub(crate) fn check_session(&self, family: Family, session: &Session) -> Result<(), ApiError> {
        self.0.limits.check_user(family, &session.user_id, session.rate)
    }

    /// Puts other rate limits in force.
    pub fn set_rate_limits(&self, rate_limits: &RateLimits) {
        self.0.limits.replace(rate_limits);
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    /// Whether the user lies in an application service's namespaces.
    pub fn owns(&self, service: &AppserviceFacts, user: &UserId) -> bool {
        self.authenticator().owns(service, user)
    }

    pub(crate) fn authenticator(&self) -> &dyn Authenticator {
        &*self.0.authenticator
    }

    pub(crate) fn servers(&self) -> &dyn ServerVerifier {
        &*self.0.servers
    }

    pub(crate) fn next_request_id(&self) -> HeaderValue {
        let id = self.0.request_id.fetch_add(1, Ordering::Relaxed);
        HeaderValue::from_str(&format!("{id:016x}")).unwrap_or(HeaderValue::from_static("0"))
    }
}
