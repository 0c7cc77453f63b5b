//! The signatures of events: keys for many fetched together, then checked on all cores.

use lyceum_events::{PublicKeys, Received, SignatureError, Verified, signed_with};
use rayon::prelude::*;
use ruma::{CanonicalJsonObject, MilliSecondsSinceUnixEpoch, ServerName, UInt, room_version_rules::RoomVersionRules};
use std::sync::Arc;

use super::{
    Need,
    document::{PublicKey, is_signed, signatures},
    ring::{Found, Needs},
};
use crate::{PeerError, Peers, VerifyError};

/// Fewer events than this are checked where they are: handing them to other cores would take longer.
const PARALLEL_FROM: usize = 8;

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
        let keys = self.keys_of(&events, &found);
        let check = move |one: Unverified| one.event.verify(&keys, &one.rules).map_err(VerifyError::from);
        if events.len() < PARALLEL_FROM {
            return Ok(events.into_iter().map(check).collect());
        }
        let checked = tokio::task::spawn_blocking(move || events.into_par_iter().map(check).collect()).await;
        checked.map_err(|_| PeerError::Unsendable("the check of signatures was interrupted".into()))
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

impl From<SignatureError> for VerifyError {
    fn from(error: SignatureError) -> Self {
        match error {
            SignatureError::UnknownKey(server) => Self::NoKey(server),
            SignatureError::Event(error) => Self::Event(error),
            error @ (SignatureError::NotSigned(_) | SignatureError::Mismatch(_)) => Self::Signature(error.to_string()),
        }
    }
}
