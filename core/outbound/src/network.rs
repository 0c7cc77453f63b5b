//! The real network: pools of connections by destination, the guarded name lookup, TLS.

mod lookup;
mod tls;

use parking_lot::Mutex;
use std::{collections::HashMap, error::Error, net::IpAddr, sync::Arc, time::Duration};
use url::Host;

use crate::{
    ConfigError, OutboundConfig, OutboundError, Request, Response,
    guard::Guard,
    outbound::response,
    request::{Reach, Via},
    response::Body,
};
use lookup::Lookup;
use tls::Trust;

/// How long making a connection may take, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may be silent while a response is awaited or read.
const SILENCE_MAX: Duration = Duration::from_secs(65);

/// How long an unused connection is kept.
const IDLE_MAX: Duration = Duration::from_secs(90);

/// Unused connections kept for one destination.
const IDLE_CONNECTIONS_MAX: usize = 8;

/// Destinations of their own (see [`PoolKey`]) whose connections are kept; the least recently used goes.
const POOLS_MAX: usize = 1024;

/// The name the server gives itself.
const USER_AGENT: &str = concat!("Lyceum/", env!("CARGO_PKG_VERSION"));

/// What decides how a connection is made, beside the URL. Requests that agree on it share connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PoolKey {
    reach: Reach,
    via: Option<Via>,
    /// HTTP/2 has no `Host` beside its `:authority`, so a request with a `Host` of its own goes by HTTP/1.1.
    own_host: bool,
}

struct Pool {
    client: reqwest::Client,
    used: u64,
}

#[derive(Default)]
struct Pools {
    by_key: HashMap<PoolKey, Pool>,
    uses: u64,
}

/// The network behind [`crate::Outbound`].
pub(crate) struct Network {
    guard: Arc<Guard>,
    trust: Trust,
    pools: Mutex<Pools>,
}

impl Network {
    pub(crate) fn new(config: &OutboundConfig) -> Result<Self, ConfigError> {
        let trust = Trust::beside_system(&config.trusted_ca_files)?;
        Ok(Self { guard: Arc::new(Guard::new(config)), trust, pools: Mutex::default() })
    }

    /// One exchange, up to the response's headers.
    pub(crate) async fn send(&self, request: &Request) -> Result<Response, OutboundError> {
        if request.reach.is_guarded() {
            self.check_literal(request)?;
        }
        let request = &addressed(request.clone())?;
        let client = self.client(request)?;
        let answer = client
            .request(request.method.clone(), request.url.clone())
            .headers(request.headers.clone())
            .body(request.body.clone())
            .timeout(request.timeout)
            .send()
            .await
            .map_err(|error| failure(&error))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        Ok(response(request, status, headers, Body::Network(Box::new(answer))))
    }

    /// An address written in the URL never reaches the lookup, so it is judged here.
    fn check_literal(&self, request: &Request) -> Result<(), OutboundError> {
        match request.url.host() {
            Some(Host::Ipv4(v4)) => self.guard.check(IpAddr::V4(v4)),
            Some(Host::Ipv6(v6)) => self.guard.check(IpAddr::V6(v6)),
            Some(Host::Domain(_)) | None => Ok(()),
        }
    }

    fn client(&self, request: &Request) -> Result<reqwest::Client, OutboundError> {
        let own_host = request.headers.contains_key(http::header::HOST);
        let key = PoolKey { reach: request.reach, via: request.via.clone(), own_host };
        let mut pools = self.pools.lock();
        pools.uses += 1;
        let now = pools.uses;
        if let Some(pool) = pools.by_key.get_mut(&key) {
            pool.used = now;
            return Ok(pool.client.clone());
        }
        let client = self.connect(&key)?;
        if pools.by_key.len() >= POOLS_MAX {
            let oldest = pools.by_key.iter().min_by_key(|(_, pool)| pool.used).map(|(key, _)| key.clone());
            oldest.map(|key| pools.by_key.remove(&key));
        }
        pools.by_key.insert(key, Pool { client: client.clone(), used: now });
        Ok(client)
    }

    fn connect(&self, key: &PoolKey) -> Result<reqwest::Client, OutboundError> {
        let guard = key.reach.is_guarded().then(|| self.guard.clone());
        let builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE_MAX)
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .tcp_nodelay(true)
            .dns_resolver(Lookup { guard, via: key.via.clone() });
        let builder = if key.own_host { builder.http1_only() } else { builder };
        let builder = builder.tls_backend_preconfigured(self.trust.client_config(key.own_host)?);
        builder.build().map_err(|error| OutboundError::Connect(error.to_string()))
    }
}

/// The request with its URL as the pool needs it: a port in the URL outweighs the one that the lookup answers, so the
/// `via` port goes there, and what stood there before into `Host`.
fn addressed(mut request: Request) -> Result<Request, OutboundError> {
    let Some(via) = &request.via else { return Ok(request) };
    if !request.headers.contains_key(http::header::HOST) {
        let authority = &request.url[url::Position::BeforeHost..url::Position::AfterPort];
        let host = http::HeaderValue::from_str(authority).map_err(|error| OutboundError::Url(error.to_string()))?;
        request.headers.insert(http::header::HOST, host);
    }
    let set = request.url.set_port(Some(via.port));
    set.map_err(|()| OutboundError::Url(request.url.to_string()))?;
    Ok(request)
}

/// What went wrong, in our words: our own refusal if one lies at the bottom.
pub(crate) fn failure(error: &reqwest::Error) -> OutboundError {
    let mut words = error.to_string();
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(inner) = cause {
        if let Some(ours) = inner.downcast_ref::<OutboundError>() {
            return ours.clone();
        }
        words = inner.to_string();
        cause = inner.source();
    }
    match error {
        // First: a connection that was not made in time carried nothing, so that the request may go to another address.
        error if error.is_connect() => OutboundError::Connect(words),
        error if error.is_timeout() => OutboundError::Timeout,
        error if error.is_builder() => OutboundError::Url(words),
        _ => OutboundError::Broken(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_that_is_not_made_in_time_is_none_so_that_another_address_may_be_tried() {
        // It takes connections and never says a word of TLS.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = silent.local_addr().expect("an address");
        let trust = Trust::beside_system(&[]).expect("the system's authorities");
        let tls = trust.client_config(false).expect("a configuration");
        let client = reqwest::Client::builder().no_proxy().tls_backend_preconfigured(tls);
        let client = client.connect_timeout(Duration::from_millis(100)).build().expect("a client");
        let error = client.get(format!("https://{address}/")).send().await.expect_err("nobody speaks");
        assert!(error.is_timeout(), "{error:?}");
        assert!(matches!(failure(&error), OutboundError::Connect(_)), "{:?}", failure(&error));
    }
}
