//! The signatures of events: keys for many fetched together, then checked on all cores.

use lyceum_events::{Event, PublicKeys, Received, References, SignatureError, Verified, parse_all, signed_with};
use rayon::prelude::*;
use ruma::{
    CanonicalJsonObject, MilliSecondsSinceUnixEpoch, OwnedEventId, ServerName, UInt,
    room_version_rules::RoomVersionRules,
};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::{
    Need,
    document::{PublicKey, is_signed, signatures},
    ring::{Found, Needs},
};
use crate::{PeerError, Peers, VerifyError, calls::RawEvent};

/// Fewer events than this are checked where they are: handing them to other cores would take longer.
const PARALLEL_FROM: usize = 8;

/// The key of an event that is not older is waited for: its server, and those that vouch for it, may be out of reach for the
/// moment. Later it is taken as lost.
const KEY_PATIENCE_MS: u64 = 24 * 60 * 60 * 1000;

/// An event whose signatures are to be checked.
#[derive(Debug, Clone)]
pub struct Unverified {
    /// The event as it was received.
    pub event: Received,
    /// The rules of its room's version.
    pub rules: Arc<RoomVersionRules>,
}

impl Peers {
    /// Checks the signatures and content hashes of events; the answers stand in the order of the events.
    pub async fn verify_events(
        &self,
        events: Vec<Unverified>,
    ) -> Result<Vec<Result<Verified, VerifyError>>, PeerError> {
        let found = self.keys_for(&self.needs(&events)).await?;
        self.verify_with(events, found).await
    }

    /// The same of events that a server handed out of a room that somebody joins by its help: see [`Self::begin_reading`].
    pub async fn verify_joining(
        &self,
        resident: &ServerName,
        events: Vec<Unverified>,
    ) -> Result<Vec<Result<Verified, VerifyError>>, PeerError> {
        let found = self.keys_for_joining(&self.needs(&events), resident).await?;
        self.verify_with(events, found).await
    }

    async fn verify_with(
        &self,
        events: Vec<Unverified>,
        found: Found,
    ) -> Result<Vec<Result<Verified, VerifyError>>, PeerError> {
        let keys = self.keys_of(&events, &found);
        let now = self.shared.ring.now_ms();
        let check = move |one: Unverified| {
            let hopeful = may_still_be_proved(&one.event, &found, now);
            one.event.verify(&keys, &one.rules).map_err(|error| match VerifyError::from(error) {
                VerifyError::NoKey(server) if hopeful => VerifyError::NoKeyYet(server),
                error => error,
            })
        };
        if events.len() < PARALLEL_FROM {
            return Ok(events.into_iter().map(check).collect());
        }
        let checked = tokio::task::spawn_blocking(move || events.into_par_iter().map(check).collect()).await;
        checked.map_err(interrupted)
    }

    /// Reads events as another server sent them and checks who signed them: the events that are believed, in the places
    /// of those that were sent.
    pub async fn read_events(
        &self,
        sent: Vec<RawEvent>,
        rules: &Arc<RoomVersionRules>,
        named: References,
    ) -> Result<Vec<Option<Event>>, PeerError> {
        let Parsed { places, once } = parsed(sent, rules, named).await?;
        let believed: Vec<_> = self.verify_events(once).await?.into_iter().map(believed).collect();
        Ok(places.into_iter().map(|place| believed[place?].clone()).collect())
    }

    /// Reads what the server by whose help somebody joins says of the room, very many events, and fetches the keys for them.
    /// They are believed part by part. Of a room that is new here, `resident` tells the keys of servers that are gone itself.
    pub async fn begin_reading(
        &self,
        resident: Option<&ServerName>,
        sent: Vec<RawEvent>,
        rules: &Arc<RoomVersionRules>,
    ) -> Result<Reading, PeerError> {
        let Parsed { places, once } = parsed(sent, rules, References::Limited).await?;
        let needs = self.needs(&once);
        let found = match resident {
            Some(resident) => self.keys_for_joining(&needs, resident).await?,
            None => self.keys_for(&needs).await?,
        };
        let keys = Arc::new(self.keys_of(&once, &found));
        let ids = places.into_iter().map(|place| Some(once[place?].event.event().id().clone())).collect();
        Ok(Reading { ids, left: once.into(), keys })
    }

    /// Checks that a server signed an object, with a key in use now.
    pub async fn verify_object(&self, server: &ServerName, object: &CanonicalJsonObject) -> Result<(), VerifyError> {
        let no_key = || VerifyError::NoKey(server.to_owned());
        if server == self.server() {
            let signed = is_signed(object, server, |id| self.shared.own.get(id).map(|(key, _)| key));
            return signed.then_some(()).ok_or_else(|| VerifyError::Signature("of this server".into()));
        }
        let now = self.shared.ring.now_ms();
        let any_of = signatures(object, server).map(|(id, _)| id.to_owned()).collect();
        let needs = [(server.to_owned(), [Need { any_of, at_ms: Some(now) }].into())].into();
        let found = self.keys_for(&needs).await.map_err(|_| no_key())?;
        let keys = found.get(server).ok_or_else(no_key)?;
        let signed = is_signed(object, server, |id| keys.valid_at(id, now));
        signed.then_some(()).ok_or_else(|| VerifyError::Signature(format!("of {server}")))
    }

    /// Whose keys the signatures of events call for.
    fn needs(&self, events: &[Unverified]) -> Needs {
        let mut needs = Needs::new();
        for Unverified { event, rules } in events {
            let at_ms = rules.enforce_key_validity.then(|| event.event().ts().get().into());
            for server in event.required_servers().iter().filter(|server| *server != self.server()) {
                let any_of = signed_with(event.object(), server).map(ToOwned::to_owned).collect();
                needs.entry(server.clone()).or_default().insert(Need { any_of, at_ms });
            }
        }
        needs
    }

    /// The keys that the signatures of events name, each with when it ended.
    fn keys_of(&self, events: &[Unverified], found: &Found) -> PublicKeys {
        let mut keys = PublicKeys::default();
        for Unverified { event, .. } in events {
            for server in event.required_servers() {
                for id in signed_with(event.object(), server) {
                    if !keys.contains(server, id)
                        && let Some((key, until)) = self.key_of(server, id, found)
                    {
                        keys.add_bytes(server, id, &key, MilliSecondsSinceUnixEpoch(UInt::new_saturating(until)));
                    }
                }
            }
        }
        keys
    }

    fn key_of(&self, server: &ServerName, id: &str, found: &Found) -> Option<(PublicKey, u64)> {
        if server == self.server() {
            let (key, ended) = self.shared.own.get(id)?;
            return Some((key, ended.unwrap_or(u64::MAX)));
        }
        let key = found.get(server)?.keys.get(id)?;
        Some((key.public, key.valid_until_ms))
    }
}

/// Events that another server sent, with the keys to check them by.
pub struct Reading {
    ids: Vec<Option<OwnedEventId>>,
    left: VecDeque<Unverified>,
    keys: Arc<PublicKeys>,
}

impl Reading {
    /// The ids of what was sent, in its order; nothing for what is no event.
    pub fn ids(&self) -> &[Option<OwnedEventId>] {
        &self.ids
    }

    /// Has those that this answers false for come first, otherwise as they were sent.
    pub fn put_last(&mut self, last: impl Fn(&Event) -> bool) {
        self.left.make_contiguous().sort_by_key(|one| last(one.event.event()));
    }

    /// Checks the next events, on all cores: those of them that are believed. `None` when there are no more.
    pub async fn next(&mut self, count: usize) -> Result<Option<Vec<Event>>, PeerError> {
        if self.left.is_empty() {
            return Ok(None);
        }
        let part: Vec<_> = self.left.drain(..count.clamp(1, self.left.len())).collect();
        let keys = self.keys.clone();
        let check = move |one: Unverified| believed(one.event.verify(&keys, &one.rules).map_err(VerifyError::from));
        let checked = tokio::task::spawn_blocking(move || part.into_par_iter().filter_map(check).collect()).await;
        checked.map(Some).map_err(interrupted)
    }
}

/// What was sent, each event once.
struct Parsed {
    /// Which of the events each is; nothing for what is none.
    places: Vec<Option<usize>>,
    once: Vec<Unverified>,
}

/// Reads events on all cores. States and auth chains overlap: each event is to be checked once.
async fn parsed(sent: Vec<RawEvent>, rules: &Arc<RoomVersionRules>, named: References) -> Result<Parsed, PeerError> {
    let texts: Vec<Box<str>> = sent.into_iter().map(Box::from).collect();
    let read = {
        let rules = rules.clone();
        tokio::task::spawn_blocking(move || parse_all(&texts, &rules, named)).await.map_err(interrupted)?
    };
    let (mut places, mut once) = (Vec::with_capacity(read.len()), Vec::with_capacity(read.len()));
    let mut seen = HashMap::with_capacity(read.len());
    for event in read {
        places.push(match event {
            Ok(event) => Some(*seen.entry(event.event().id().clone()).or_insert_with(|| {
                once.push(Unverified { event, rules: rules.clone() });
                once.len() - 1
            })),
            Err(error) => {
                tracing::debug!(%error, "another server sent something that is no event");
                None
            }
        });
    }
    Ok(Parsed { places, once })
}

/// Whether an event whose keys are not known may yet turn out to be signed: it is of these days, and not signed with a key that
/// is known to have been given up.
fn may_still_be_proved(event: &Received, found: &Found, now_ms: u64) -> bool {
    let is_given_up = |server: &ServerName, id: &str| {
        found.get(server).and_then(|keys| keys.keys.get(id)).is_some_and(|key| !key.is_current)
    };
    let mut servers = event.required_servers().iter();
    now_ms.abs_diff(event.event().ts().get().into()) < KEY_PATIENCE_MS
        && !servers.any(|server| signed_with(event.object(), server).any(|id| is_given_up(server, id)))
}

fn interrupted(_: tokio::task::JoinError) -> PeerError {
    PeerError::Unsendable("the check of signatures was interrupted".into())
}

fn believed(checked: Result<Verified, VerifyError>) -> Option<Event> {
    match checked {
        Ok(verified) => Some(verified.into_event()),
        Err(error) => {
            tracing::debug!(%error, "another server sent an event that is not believed");
            None
        }
    }
}

impl From<SignatureError> for VerifyError {
    fn from(error: SignatureError) -> Self {
        match error {
            SignatureError::UnknownKey(server) => Self::NoKey(server),
            SignatureError::Event(error) => Self::Event(error),
            error @ (SignatureError::NotSigned(_) | SignatureError::Mismatch(_)) => Self::Signature(error.to_string()),
        }
    }
}
