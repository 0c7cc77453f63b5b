//! Server discovery: from a server name to where it is (spec, "Resolving server names"), remembered for as long as what
//! it was read from allows.

mod route;
mod service;
mod well_known;

use lyceum_events::Clock;
use lyceum_outbound::Outbound;
use quick_cache::sync::Cache;
use ruma::{OwnedServerName, ServerName};
use std::{sync::Arc, time::Duration};

pub(crate) use route::Route;
use route::{Step, by_service, step};
pub use service::{NoServices, ServiceLookup, Services, SystemServices};
use well_known::Answer;

/// Servers whose whereabouts are remembered; the least used are forgotten.
const REMEMBERED_MAX: usize = 10_000;

/// The service, by its registered name and by the one used before.
const SERVICE_NAMES: [&str; 2] = ["_matrix-fed._tcp", "_matrix._tcp"];

/// Something that holds until a time.
#[derive(Debug, Clone)]
struct Until<T> {
    value: T,
    until: Duration,
}

/// Finds servers.
pub(crate) struct Discovery {
    outbound: Outbound,
    services: Arc<dyn ServiceLookup>,
    clock: Arc<dyn Clock>,
    delegations: Cache<String, Until<Answer>>,
    routes: Cache<OwnedServerName, Until<Arc<Route>>>,
}

impl Discovery {
    pub(crate) fn new(outbound: Outbound, services: Arc<dyn ServiceLookup>, clock: Arc<dyn Clock>) -> Self {
        let (delegations, routes) = (Cache::new(REMEMBERED_MAX), Cache::new(REMEMBERED_MAX));
        Self { outbound, services, clock, delegations, routes }
    }

    /// Where a server is.
    pub(crate) async fn route(&self, server: &ServerName) -> Arc<Route> {
        if let Some(known) = self.routes.get(server).filter(|known| known.until > self.clock.monotonic()) {
            return known.value;
        }
        let (route, kept) = self.find(server).await;
        let value = Arc::new(route);
        let until = self.clock.monotonic() + kept;
        self.routes.insert(server.to_owned(), Until { value: value.clone(), until });
        value
    }

    /// Forgets where a server is, after it was not found there. What its well-known said is kept for its own time.
    pub(crate) fn forget(&self, server: &ServerName) {
        self.routes.remove(server);
    }

    async fn find(&self, server: &ServerName) -> (Route, Duration) {
        let host = match step(server) {
            Step::Here(route) => return (route, Duration::MAX / 4),
            Step::Ask(host) => host,
        };
        let (answer, kept) = self.delegation(&host).await;
        let host = match answer.delegated.as_deref().map(step) {
            Some(Step::Here(route)) => return (route, kept),
            Some(Step::Ask(delegated)) => delegated,
            None => host,
        };
        for name in SERVICE_NAMES {
            let found = self.services.lookup(&format!("{name}.{host}")).await;
            if !found.targets.is_empty() || name == SERVICE_NAMES[1] {
                return (by_service(&host, found.targets), kept.min(found.kept));
            }
        }
        (by_service(&host, Vec::new()), kept)
    }

    /// What a host's well-known says, and for how long that still holds.
    async fn delegation(&self, host: &str) -> (Answer, Duration) {
        let before = self.delegations.get(host);
        let now = self.clock.monotonic();
        if let Some(before) = before.as_ref().filter(|before| before.until > now) {
            return (before.value.clone(), before.until - now);
        }
        let answer = well_known::ask(&self.outbound, host, before.as_ref().map(|before| &before.value)).await;
        let until = self.clock.monotonic() + answer.kept;
        self.delegations.insert(host.to_owned(), Until { value: answer.clone(), until });
        let kept = answer.kept;
        (answer, kept)
    }
}

#[cfg(test)]
mod tests;
