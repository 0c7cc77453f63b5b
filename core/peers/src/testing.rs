//! Servers in one process for this crate's tests: real signing and JSON over a wire that can be cut.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Response, header};
use lyceum_events::{ManualClock, ServerKey};
use lyceum_outbound::{Outbound, OutboundError, Wire};
use lyceum_storage::Store;
use parking_lot::Mutex;
use ruma::OwnedServerName;
use serde_json::{Value, json};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use crate::{Credentials, FederationConfig, NoServices, Peers, PeersParts, Signed};

/// Answers a request that was not one for keys; it is told who sent it.
type Answer = Arc<dyn Fn(OwnedServerName, String, Value) -> BoxFuture<'static, (u16, Value)> + Send + Sync>;

/// All servers and the wire between them.
#[derive(Clone)]
pub(crate) struct Net {
    pub(crate) clock: ManualClock,
    servers: Arc<Mutex<HashMap<String, (Peers, Answer)>>>,
    cut: Arc<Mutex<HashSet<String>>>,
    asked: Arc<Mutex<Vec<String>>>,
    /// Answers that are no JSON, by the path: a header with its value, and the body.
    raw: Arc<Mutex<HashMap<String, (&'static str, Bytes)>>>,
}

#[async_trait]
impl Wire for Net {
    async fn call(&self, request: http::Request<Bytes>) -> Result<Response<Bytes>, OutboundError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let path = request.uri().path().to_owned();
        self.asked.lock().push(format!("{host}{path}"));
        let server = self.servers.lock().get(&host).cloned();
        let (peers, answer) = server
            .filter(|_| !self.cut.lock().contains(&host))
            .ok_or_else(|| OutboundError::Connect("nobody there".into()))?;
        if let Some((content_type, body)) = self.raw.lock().get(&path).cloned() {
            let response = Response::builder().header(header::CONTENT_TYPE, content_type);
            return Ok(response.body(body).expect("a response"));
        }
        let (status, body) = match path.as_str() {
            "/.well-known/matrix/server" => (404, json!({})),
            "/_matrix/key/v2/server" => (200, json!(peers.key_document().expect("a document"))),
            "/_matrix/key/v2/query" => notary(&peers, request.body()).await,
            _ => signed(&peers, &answer, &request).await,
        };
        Ok(Response::builder().status(status).body(body.to_string().into()).expect("a response"))
    }
}

async fn notary(peers: &Peers, body: &[u8]) -> (u16, Value) {
    #[derive(serde::Deserialize)]
    struct Criteria {
        minimum_valid_until_ts: Option<u64>,
    }
    #[derive(serde::Deserialize)]
    struct Query {
        server_keys: HashMap<OwnedServerName, HashMap<String, Criteria>>,
    }
    let query: Query = serde_json::from_slice(body).expect("a query");
    let criteria = |keys: HashMap<String, Criteria>| {
        keys.into_iter().map(|(id, criteria)| (id, criteria.minimum_valid_until_ts)).collect()
    };
    let query = query.server_keys.into_iter().map(|(server, keys)| (server, criteria(keys))).collect();
    (200, json!({ "server_keys": peers.notarize(query).await.expect("documents") }))
}

async fn signed(peers: &Peers, answer: &Answer, request: &http::Request<Bytes>) -> (u16, Value) {
    let (method, target) = (request.method().as_str(), request.uri().path_and_query().expect("a path").as_str());
    let Some(header) = request.headers().get(header::AUTHORIZATION) else {
        return (401, json!({ "errcode": "M_UNAUTHORIZED", "error": "not signed" }));
    };
    let credentials = Credentials::parse(header).expect("a header of our own");
    match peers.authenticate(Signed { method, target, body: request.body() }, &credentials).await {
        Ok(origin) => {
            let body = serde_json::from_slice(request.body()).unwrap_or_default();
            answer(origin, target.to_owned(), body).await
        }
        Err(error) => (401, json!({ "errcode": "M_UNAUTHORIZED", "error": error.to_string() })),
    }
}

impl Net {
    pub(crate) fn new() -> Self {
        let clock = ManualClock::at(1_700_000_000_000);
        Self { clock, servers: Arc::default(), cut: Arc::default(), asked: Arc::default(), raw: Arc::default() }
    }

    /// A server that answers every signed request with what it was asked.
    pub(crate) async fn server(&self, name: &str) -> Peers {
        self.server_with(name, FederationConfig::default()).await
    }

    pub(crate) async fn server_with(&self, name: &str, config: FederationConfig) -> Peers {
        let store = Store::memory().await.expect("a store");
        self.server_on(&store, name, 1, config).await
    }

    /// A server over a store, with the `n`th signing key of its name.
    pub(crate) async fn server_on(&self, store: &Store, name: &str, n: u8, config: FederationConfig) -> Peers {
        let peers = self.make(store, name, n, config).await.expect("a server");
        let echo: Answer = Arc::new(|origin, target, body| {
            Box::pin(async move { (200, json!({ "origin": origin, "target": target, "body": body })) })
        });
        self.servers.lock().insert(name.to_owned(), (peers.clone(), echo));
        peers
    }

    pub(crate) async fn make(
        &self,
        store: &Store,
        name: &str,
        n: u8,
        config: FederationConfig,
    ) -> Result<Peers, crate::StartError> {
        let mut seed = [n; 32];
        seed[0] = name.bytes().fold(0, u8::wrapping_add);
        let server = OwnedServerName::try_from(name).expect("a server name");
        Peers::start(PeersParts {
            store: store.clone(),
            key: ServerKey::from_seed(server, &seed, &format!("k{n}")).expect("a key"),
            clock: Arc::new(self.clock.clone()),
            outbound: Outbound::over(self.clone()),
            services: Arc::new(NoServices),
            config,
        })
        .await
    }

    /// Lets a server answer otherwise.
    pub(crate) fn answers(
        &self,
        name: &str,
        answer: impl Fn(OwnedServerName, String, Value) -> BoxFuture<'static, (u16, Value)> + Send + Sync + 'static,
    ) {
        let mut servers = self.servers.lock();
        if let Some(server) = servers.get_mut(name) {
            server.1 = Arc::new(answer);
        }
    }

    /// Answers a path with bytes.
    pub(crate) fn answers_bytes(&self, path: &str, content_type: &'static str, body: impl Into<Bytes>) {
        self.raw.lock().insert(path.to_owned(), (content_type, body.into()));
    }

    /// The handle of a server.
    pub(crate) fn peers(&self, name: &str) -> Peers {
        self.servers.lock()[name].0.clone()
    }

    pub(crate) fn cut(&self, name: &str) {
        self.cut.lock().insert(name.to_owned());
    }

    pub(crate) fn heal(&self, name: &str) {
        self.cut.lock().remove(name);
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// How often something was asked, by the end of host and path.
    pub(crate) fn asked(&self, what: &str) -> usize {
        self.asked.lock().iter().filter(|one| one.ends_with(what)).count()
    }
}
