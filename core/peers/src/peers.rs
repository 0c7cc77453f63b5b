//! The handle to other servers, and what it is built from.

use lyceum_events::{Clock, EventError, ServerKey};
use lyceum_outbound::Outbound;
use lyceum_storage::Store;
use ruma::{CanonicalJsonObject, ServerName};
use std::sync::{Arc, OnceLock};

use crate::{
    FederationConfig,
    discovery::{Discovery, ServiceLookup},
    error::StartError,
    health::Health,
    keys::{KeyRing, OwnKeys},
    names::Lists,
};

/// What the handle is built from.
pub struct PeersParts {
    /// Where keys and places in the stream are kept.
    pub store: Store,
    /// The key this server signs with.
    pub key: ServerKey,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The way out.
    pub outbound: Outbound,
    /// Who looks service records up.
    pub services: Arc<dyn ServiceLookup>,
    /// Settings.
    pub config: FederationConfig,
}

/// Other servers. Cheap to clone.
#[derive(Clone)]
pub struct Peers {
    pub(crate) shared: Arc<Shared>,
}

/// Who is told of signs of life.
type OnLife = Box<dyn Fn(&ServerName) + Send + Sync>;

pub(crate) struct Shared {
    pub(crate) key: ServerKey,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) outbound: Outbound,
    pub(crate) config: FederationConfig,
    pub(crate) lists: Lists,
    pub(crate) discovery: Discovery,
    pub(crate) health: Health,
    pub(crate) own: OwnKeys,
    pub(crate) ring: KeyRing,
    on_life: OnceLock<OnLife>,
}

impl Peers {
    /// The handle. Takes note of the signing key: one that was not used before retires the last.
    pub async fn start(parts: PeersParts) -> Result<Self, StartError> {
        let PeersParts { store, key, clock, outbound, services, config } = parts;
        let own = OwnKeys::start(&store, key.clone(), clock.clone()).await?;
        let shared = Shared {
            lists: Lists::new(&config),
            discovery: Discovery::new(outbound.clone(), services, clock.clone()),
            health: Health::new(clock.clone()),
            ring: KeyRing::new(store, clock.clone()),
            on_life: OnceLock::new(),
            clock,
            own,
            key,
            outbound,
            config,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// This server's name.
    pub fn server(&self) -> &ServerName {
        self.shared.own.server()
    }

    /// Whether this server speaks with that one.
    pub fn allows(&self, server: &ServerName) -> bool {
        self.shared.lists.allow(server)
    }

    /// The signed document of this server's keys, for `/_matrix/key/v2/server`.
    pub fn key_document(&self) -> Result<CanonicalJsonObject, EventError> {
        self.shared.own.document()
    }

    /// Calls this whenever a server is heard of. The first one to ask is called.
    pub(crate) fn on_life(&self, call: impl Fn(&ServerName) + Send + Sync + 'static) {
        // A second sender over one handle would be a mistake of wiring; it goes without signs of life.
        let _ = self.shared.on_life.set(Box::new(call));
    }

    /// A server was heard of: whatever waits for it is tried again.
    pub(crate) fn answered(&self, server: &ServerName) {
        self.shared.health.alive(server);
        if let Some(on_life) = self.shared.on_life.get() {
            on_life(server);
        }
    }
}
