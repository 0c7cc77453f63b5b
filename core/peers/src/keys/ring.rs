//! The key ring: other servers' keys, from memory, the store, the servers themselves, or a key server, in this order.

use futures_util::{StreamExt, stream};
use lyceum_events::Clock;
use lyceum_storage::{Batch, StorageError, Store};
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use ruma::{CanonicalJsonObject, OwnedServerName, ServerName};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Weak},
    time::Duration,
};

use super::{
    document::KeyDocument,
    remote::{RemoteKeys, ToldBy},
};
use crate::{Call, PeerError, Peers, Persistence, path::Target, tables::REMOTE_KEYS};

/// Servers whose keys are kept in memory.
const IN_MEMORY_MAX: usize = 10_000;

/// Servers asked for their keys at the same time.
const FETCHES_MAX: usize = 50;

/// With more servers than this to be asked, key servers are asked first: some of so many are surely gone.
const NOTARIES_FIRST_FROM: usize = 5;

/// A server is not asked for its keys more often than this.
const FETCH_PAUSE: Duration = Duration::from_secs(5);

/// Limits of one fetch.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
const DOCUMENT_BYTES_MAX: usize = 64 * 1024;

/// What must be known of a server: one of these keys, as it held at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Need {
    /// Any of these will do.
    pub(crate) any_of: Vec<String>,
    /// The key must have held then; `None`: it is enough that it is one of the server's.
    pub(crate) at_ms: Option<u64>,
}

impl Need {
    fn is_met(&self, keys: &RemoteKeys) -> bool {
        self.any_of.iter().any(|id| match self.at_ms {
            Some(at) => keys.valid_at(id, at).is_some(),
            None => keys.ever(id).is_some(),
        })
    }
}

/// Needs by server.
pub(crate) type Needs = BTreeMap<OwnedServerName, BTreeSet<Need>>;

/// Keys by server.
pub(crate) type Found = HashMap<OwnedServerName, Arc<RemoteKeys>>;

/// The memory of keys.
pub(crate) struct KeyRing {
    store: Store,
    clock: Arc<dyn Clock>,
    memory: Cache<OwnedServerName, Arc<RemoteKeys>>,
    asked: Cache<OwnedServerName, Duration>,
    fetching: Mutex<HashMap<OwnedServerName, Weak<tokio::sync::Mutex<()>>>>,
}

impl KeyRing {
    pub(crate) fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        let (memory, asked) = (Cache::new(IN_MEMORY_MAX), Cache::new(IN_MEMORY_MAX));
        Self { store, clock, memory, asked, fetching: Mutex::default() }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now().get().into()
    }

    /// What is known without asking anybody.
    pub(crate) async fn known(&self, server: &ServerName) -> Result<Arc<RemoteKeys>, StorageError> {
        if let Some(keys) = self.memory.get(server) {
            return Ok(keys);
        }
        let keys = Arc::new(self.store.get(&REMOTE_KEYS, server.as_str()).await?.unwrap_or_default());
        self.memory.insert(server.to_owned(), keys.clone());
        Ok(keys)
    }

    /// Takes a document in, durably.
    async fn take(&self, document: &KeyDocument, by: ToldBy) -> Result<(), PeerError> {
        let before = self.known(&document.server).await?;
        let mut keys = RemoteKeys::clone(&before);
        keys.take(document, by, self.now_ms());
        let mut batch = Batch::new();
        batch.put(&REMOTE_KEYS, document.server.as_str(), &keys);
        self.store.commit(batch).await?;
        self.memory.insert(document.server.clone(), Arc::new(keys));
        Ok(())
    }

    /// The lock under which one server is asked, so that many who need its keys ask once.
    fn turn(&self, server: &ServerName) -> Arc<tokio::sync::Mutex<()>> {
        let mut fetching = self.fetching.lock();
        if let Some(turn) = fetching.get(server).and_then(Weak::upgrade) {
            return turn;
        }
        fetching.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        fetching.insert(server.to_owned(), Arc::downgrade(&turn));
        turn
    }

    /// Whether the server may be asked again; if so, that it was asked now.
    fn may_ask(&self, server: &ServerName) -> bool {
        let now = self.clock.monotonic();
        let soon = self.asked.get(server).is_some_and(|asked| now < asked + FETCH_PAUSE);
        if !soon {
            self.asked.insert(server.to_owned(), now);
        }
        !soon
    }
}

impl Peers {
    /// The keys that are needed, as far as they can be had of those whose they are, or of the key servers that configuration
    /// trusts (spec, "Querying Keys Through Another Server"). Nobody else is believed: a document that is signed with a key
    /// it publishes itself says nothing of who made it.
    pub(crate) async fn keys_for(&self, needs: &Needs) -> Result<Found, PeerError> {
        Ok(self.look_for(needs).await?.0)
    }

    /// The same for what a server hands out of a room that somebody joins by its help. Of servers whose keys cannot be had it
    /// says which they were: they may be gone, and the room is whatever this server says for now in any case. That is
    /// believed of this one answer, and remembered nowhere.
    pub(crate) async fn keys_for_joining(&self, needs: &Needs, resident: &ServerName) -> Result<Found, PeerError> {
        let (mut found, mut unmet) = self.look_for(needs).await?;
        unmet.retain(|server, _| found.get(server).is_none_or(|known| known.keys.is_empty()));
        if unmet.is_empty() {
            return Ok(found);
        }
        for document in keep_storage_errors(self.ask_notary(resident, &unmet).await)?.unwrap_or_default() {
            let mut said = RemoteKeys::default();
            said.take(&document, ToldBy::Another, self.shared.ring.now_ms());
            found.insert(document.server.clone(), Arc::new(said));
        }
        Ok(found)
    }

    /// What is known or can be had, and what is needed beyond that.
    async fn look_for(&self, needs: &Needs) -> Result<(Found, Needs), PeerError> {
        let mut found = Found::new();
        let mut unmet = Needs::new();
        for (server, wanted) in needs {
            let keys = self.shared.ring.known(server).await?;
            let missing: BTreeSet<_> = wanted.iter().filter(|need| !need.is_met(&keys)).cloned().collect();
            if !missing.is_empty() {
                unmet.insert(server.clone(), missing);
            } else if keys.is_ageing(self.shared.ring.now_ms()) {
                self.refresh_later(server);
            }
            found.insert(server.clone(), keys);
        }
        if unmet.len() > NOTARIES_FIRST_FROM {
            self.ask_notaries(&mut unmet, &mut found).await?;
            self.ask_servers(&mut unmet, &mut found).await?;
        } else {
            self.ask_servers(&mut unmet, &mut found).await?;
            self.ask_notaries(&mut unmet, &mut found).await?;
        }
        Ok((found, unmet))
    }

    async fn ask_notaries(&self, unmet: &mut Needs, found: &mut Found) -> Result<(), PeerError> {
        for notary in &self.shared.config.key_servers {
            if unmet.is_empty() {
                break;
            }
            for document in keep_storage_errors(self.ask_notary(notary, unmet).await)?.unwrap_or_default() {
                self.shared.ring.take(&document, ToldBy::Another).await?;
            }
            self.look_again(unmet, found).await?;
        }
        Ok(())
    }

    async fn ask_servers(&self, unmet: &mut Needs, found: &mut Found) -> Result<(), PeerError> {
        let asking = unmet.iter().map(|(server, needs)| {
            let enough = |keys: &RemoteKeys| needs.iter().all(|need| need.is_met(keys));
            self.fetch_keys(server, Persistence::Gated, enough)
        });
        let results: Vec<_> = stream::iter(asking.collect::<Vec<_>>()).buffer_unordered(FETCHES_MAX).collect().await;
        for result in results {
            keep_storage_errors(result)?;
        }
        self.look_again(unmet, found).await
    }

    async fn look_again(&self, unmet: &mut Needs, found: &mut Found) -> Result<(), PeerError> {
        for server in unmet.keys().cloned().collect::<Vec<_>>() {
            let keys = self.shared.ring.known(&server).await?;
            if let Some(needs) = unmet.get_mut(&server) {
                needs.retain(|need| !need.is_met(&keys));
            }
            found.insert(server, keys);
        }
        unmet.retain(|_, needs| !needs.is_empty());
        Ok(())
    }

    /// Asks a server for its keys, unless `enough` is known by the time it is our turn or it was asked just before.
    pub(crate) async fn fetch_keys(
        &self,
        server: &ServerName,
        persistence: Persistence,
        enough: impl Fn(&RemoteKeys) -> bool,
    ) -> Result<(), PeerError> {
        self.check_allowed(server)?;
        let turn = self.shared.ring.turn(server);
        let _turn = turn.lock().await;
        if enough(&*self.shared.ring.known(server).await?) || !self.shared.ring.may_ask(server) {
            return Ok(());
        }
        let call = Call::get(Target::at("/_matrix/key/v2/server"));
        let call = call.unsigned().timeout(FETCH_TIMEOUT).answer_bytes_max(DOCUMENT_BYTES_MAX);
        let call = Call { persistence, ..call };
        let object: CanonicalJsonObject = self.ask(server, call).await?;
        let nonsense = |why: &str| PeerError::Nonsense { server: server.to_owned(), why: why.to_owned() };
        let document = KeyDocument::read(object).map_err(nonsense)?;
        if document.server != server {
            return Err(nonsense("the keys of another server"));
        }
        self.shared.ring.take(&document, ToldBy::Itself).await
    }

    /// Fetches keys again in the background, before they expire.
    fn refresh_later(&self, server: &ServerName) {
        let (peers, server) = (self.clone(), server.to_owned());
        tokio::spawn(async move {
            let now = peers.shared.ring.now_ms();
            if let Err(error) = peers.fetch_keys(&server, Persistence::Gated, |keys| !keys.is_ageing(now)).await {
                tracing::debug!(%server, %error, "the keys could not be refreshed");
            }
        });
    }
}

/// A server that gives no keys is one thing, a store that fails another.
fn keep_storage_errors<T>(result: Result<T, PeerError>) -> Result<Option<T>, PeerError> {
    match result {
        Err(error @ (PeerError::Storage(_) | PeerError::Commit(_))) => Err(error),
        Err(error) => {
            tracing::debug!(%error, "keys could not be fetched");
            Ok(None)
        }
        Ok(had) => Ok(Some(had)),
    }
}
