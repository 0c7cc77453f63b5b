//! Questions to services (spec, "Querying", "Pinging", "Third-party networks").

use futures_util::future::join_all;
use http::{HeaderValue, Method, StatusCode, header};
use lyceum_accounts::{AccountError, Accounts};
use lyceum_outbound::{OutboundError, Request};
use ruma::{RoomAliasId, UserId};
use serde_json::{Map, Value, json};
use std::{sync::Arc, time::Duration};

use super::{Service, Services};

/// How long a service may take to answer somebody who waits.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// The largest answer.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Of an answer that is no success, so much is shown.
const SHOWN_BYTES_MAX: usize = 1024;

/// Why a ping did not come round.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PingError {
    /// The service has no address.
    #[error("the registration has no url")]
    NoUrl,
    /// It answered something else than success.
    #[error("the service answered {status}")]
    BadStatus {
        /// What.
        status: u16,
        /// The answer's beginning.
        body: String,
    },
    /// It could not be reached.
    #[error("the service cannot be reached: {0}")]
    Unreachable(String),
    /// It took too long.
    #[error("the service did not answer in time")]
    Timeout,
}

impl From<OutboundError> for PingError {
    fn from(error: OutboundError) -> Self {
        match error {
            OutboundError::Timeout => Self::Timeout,
            error => Self::Unreachable(error.to_string()),
        }
    }
}

impl Services {
    /// Asks whose it is to make a user that is not there. Answers whether one of them says that it now is.
    pub async fn query_user(&self, user: &UserId) -> bool {
        let path = format!("/_matrix/app/v1/users/{}", segment(user.as_str()));
        for service in self.0.all.iter().filter(|service| service.has_user(user)) {
            if self.says_yes(service, &path).await {
                return true;
            }
        }
        false
    }

    /// Has people of this server who are not there yet made by the services whose they are.
    pub async fn make_known(&self, accounts: &Accounts, users: &[&UserId]) -> Result<(), AccountError> {
        for user in users.iter().filter(|user| accounts.is_local(user)) {
            if !accounts.exists(user).await? {
                self.query_user(user).await;
            }
        }
        Ok(())
    }

    /// Asks whose it is to make a room for an alias that points nowhere.
    pub async fn query_alias(&self, alias: &RoomAliasId) -> bool {
        let path = format!("/_matrix/app/v1/rooms/{}", segment(alias.as_str()));
        for service in self.0.all.iter().filter(|service| service.has_alias(alias.as_str())) {
            if self.says_yes(service, &path).await {
                return true;
            }
        }
        false
    }

    async fn says_yes(&self, service: &Service, path: &str) -> bool {
        matches!(self.exchange(service, Method::GET, path, None).await, Ok((status, _)) if status.is_success())
    }

    /// Asks a service whether it is there.
    pub async fn ping(&self, service: &Service, transaction_id: Option<&str>) -> Result<(), PingError> {
        let body = transaction_id.map_or_else(|| json!({}), |id| json!({ "transaction_id": id }));
        let (status, answer) = self.exchange(service, Method::POST, "/_matrix/app/v1/ping", Some(&body)).await?;
        if status.is_success() {
            return Ok(());
        }
        let shown = &answer[..answer.len().min(SHOWN_BYTES_MAX)];
        Err(PingError::BadStatus { status: status.as_u16(), body: String::from_utf8_lossy(shown).into_owned() })
    }

    /// All third-party networks by name.
    pub async fn protocols(&self) -> Map<String, Value> {
        let names: std::collections::BTreeSet<_> =
            self.0.all.iter().flat_map(|service| &service.registration.protocols).cloned().collect();
        let found = join_all(names.into_iter().map(async |name| {
            let protocol = self.protocol(&name).await;
            (name, protocol)
        }))
        .await;
        found.into_iter().filter_map(|(name, protocol)| Some((name, protocol?))).collect()
    }

    /// One third-party network, as all services that bridge to it tell of it together.
    pub async fn protocol(&self, name: &str) -> Option<Value> {
        let path = format!("/_matrix/app/v1/thirdparty/protocol/{}", segment(name));
        let asked = self.bridging(Some(name)).map(async |service| {
            let mut told = self.object(&service, &path).await?;
            if let Some(instances) = told.get_mut("instances").and_then(Value::as_array_mut) {
                instances.iter_mut().for_each(|instance| name_instance(instance, &service.registration.id));
            }
            Some(told)
        });
        let mut whole: Option<Map<String, Value>> = None;
        for told in join_all(asked).await.into_iter().flatten() {
            match &mut whole {
                None => whole = Some(told),
                Some(whole) => add_instances(whole, told),
            }
        }
        whole.map(Value::Object)
    }

    /// Looks for locations or users of a third-party network: `kind` is `location` or `user`, `query` the fields to look for.
    pub async fn third_parties(&self, kind: &str, protocol: Option<&str>, query: &str) -> Vec<Value> {
        let of = protocol.map(|name| format!("/{}", segment(name))).unwrap_or_default();
        let query = if query.is_empty() { String::new() } else { format!("?{query}") };
        let path = format!("/_matrix/app/v1/thirdparty/{kind}{of}{query}");
        let asked = self.bridging(protocol).map(async |service| self.list(&service, &path).await);
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// The services that bridge to a network, or to any.
    fn bridging(&self, protocol: Option<&str>) -> impl Iterator<Item = Arc<Service>> {
        let bridges = move |service: &&Arc<Service>| {
            let protocols = &service.registration.protocols;
            protocol.map_or(!protocols.is_empty(), |name| protocols.iter().any(|one| one == name))
        };
        self.0.all.iter().filter(bridges).cloned().collect::<Vec<_>>().into_iter()
    }

    async fn object(&self, service: &Service, path: &str) -> Option<Map<String, Value>> {
        let (status, body) = self.exchange(service, Method::GET, path, None).await.ok()?;
        status.is_success().then(|| serde_json::from_slice(&body).ok()).flatten()
    }

    async fn list(&self, service: &Service, path: &str) -> Vec<Value> {
        let Ok((status, body)) = self.exchange(service, Method::GET, path, None).await else { return Vec::new() };
        let list: Vec<Value> = serde_json::from_slice(&body).unwrap_or_default();
        if status.is_success() { list.into_iter().filter(Value::is_object).collect() } else { Vec::new() }
    }

    /// One exchange with a service. The operator has named it, so it may be anywhere.
    pub(super) async fn exchange(
        &self,
        service: &Service,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, bytes::Bytes), PingError> {
        let url = service.registration.url.as_ref().ok_or(PingError::NoUrl)?;
        let mut token = HeaderValue::try_from(format!("Bearer {}", service.registration.hs_token))
            .map_err(|_| PingError::Unreachable("hs_token holds what no header may".to_owned()))?;
        token.set_sensitive(true);
        let request = Request::new(method, &format!("{url}{path}"))?.configured();
        let request = request.timeout(ANSWER_TIMEOUT).body_bytes_max(ANSWER_BYTES_MAX);
        let mut request = request.header(header::AUTHORIZATION, token);
        if let Some(body) = body {
            request = request.json(body)?;
        }
        let response = self.outbound().send(request).await?;
        Ok((response.status(), response.bytes().await?))
    }
}

/// Gives a network's instance a name that is unique among all services.
fn name_instance(instance: &mut Value, service: &str) {
    if let Some(network) = instance.get("network_id").and_then(Value::as_str) {
        instance["instance_id"] = format!("{service}|{network}").into();
    }
}

fn add_instances(whole: &mut Map<String, Value>, mut more: Map<String, Value>) {
    let Some(Value::Array(more)) = more.remove("instances") else { return };
    if let Some(instances) = whole.entry("instances").or_insert_with(|| json!([])).as_array_mut() {
        instances.extend(more);
    }
}

/// A path segment.
fn segment(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let letter = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(letter).collect()
}
