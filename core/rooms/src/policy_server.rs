//! Policy servers (spec, server-server API, "Policy Servers"): a room may name a server that looks at each event before it is
//! sent and signs what it recommends. Before an event of this server gets its place that server is asked; an event of another
//! server without such a signature is asked for too, and kept out of sight if there is none to be had.

use async_trait::async_trait;
use lyceum_events::{Event, is_signed_with};
use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedServerName, ServerName, events::TimelineEventType};
use serde::Deserialize;
use std::sync::Arc;

use crate::{
    Acceptance, Result, RoomError, Rooms, Snapshot,
    write::{Writing, bad},
};

/// The only key that policy servers sign events with.
const KEY_ID: &str = "ed25519:policy_server";

/// The policy server that a room names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyServer {
    /// Which.
    pub via: OwnedServerName,
    /// The public half of its key, in base64.
    key: String,
}

/// What `m.room.policy` says.
#[derive(Deserialize)]
pub(crate) struct Content {
    via: OwnedServerName,
    public_keys: Keys,
}

#[derive(Deserialize)]
struct Keys {
    ed25519: String,
}

impl From<Content> for PolicyServer {
    fn from(content: Content) -> Self {
        Self { via: content.via, key: content.public_keys.ed25519 }
    }
}

/// Why a policy server does not recommend an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NotRecommended {
    /// The HTTP status it answered with.
    pub status: u16,
    /// Its Matrix error code.
    pub errcode: String,
    /// Its words.
    pub reason: String,
}

impl NotRecommended {
    fn because(reason: impl Into<String>) -> Self {
        Self { status: 403, errcode: "M_FORBIDDEN".to_owned(), reason: reason.into() }
    }
}

/// Asks policy servers.
#[async_trait]
pub trait PolicyServers: Send + Sync + 'static {
    /// The signatures that a policy server puts to an event.
    async fn sign(&self, server: &ServerName, event: &Event) -> Result<CanonicalJsonObject, NotRecommended>;
}

impl Snapshot {
    /// The policy server that the room uses: one that it names and that has somebody in it.
    pub fn policy_server(&self) -> Option<&PolicyServer> {
        self.facts().policy_server.as_ref().filter(|policy| self.has_server(&policy.via))
    }

    /// Whether an event may be shown as far as the room's policy server goes.
    pub(crate) fn recommends(&self, event: &Event) -> bool {
        self.policy_server().is_none_or(|policy| policy.is_not_asked(event) || policy.has_signed(event, self))
    }
}

impl PolicyServer {
    /// The event that names the policy server is not for it to judge.
    fn is_not_asked(&self, event: &Event) -> bool {
        event.is_state(&TimelineEventType::RoomPolicy, "")
    }

    fn has_signed(&self, event: &Event, room: &Snapshot) -> bool {
        is_signed_with(event, room.rules(), (&self.via, KEY_ID), &self.key)
    }

    /// The event with this server's signature among those that it has already.
    fn added(&self, event: &Event, mut told: CanonicalJsonObject, room: &Snapshot) -> Result<Event> {
        let mut object = event.object();
        let mut theirs = match told.remove(self.via.as_str()) {
            Some(CanonicalJsonValue::Object(theirs)) => theirs,
            _ => CanonicalJsonObject::new(),
        };
        let signatures = object.entry("signatures".to_owned()).or_insert_with(|| CanonicalJsonObject::new().into());
        if let (CanonicalJsonValue::Object(signatures), Some(signature)) = (signatures, theirs.remove(KEY_ID)) {
            let own = signatures.entry(self.via.to_string()).or_insert_with(|| CanonicalJsonObject::new().into());
            if let CanonicalJsonValue::Object(own) = own {
                own.insert(KEY_ID.to_owned(), signature);
            }
        }
        Event::from_object(&object, room.rules()).map_err(bad)
    }
}

impl Rooms {
    /// From now on policy servers are asked by this. The first one to say so is asked.
    pub fn ask_policy_servers_by(&self, servers: Arc<dyn PolicyServers>) {
        // A second one over the same rooms would be a mistake of wiring.
        let _ = self.0.policy_servers.set(servers);
    }

    /// An event with the signature of the room's policy server, where the room uses one.
    pub(crate) async fn recommended(&self, room: &Snapshot, event: Event) -> Result<Event> {
        let Some(policy) = room.policy_server().filter(|_| !room.recommends(&event)) else { return Ok(event) };
        let told = match self.0.policy_servers.get() {
            Some(servers) => servers.sign(&policy.via, &event).await,
            None => Err(NotRecommended::because("this server does not ask policy servers")),
        };
        let signed = policy.added(&event, told.map_err(RoomError::NotRecommended)?, room)?;
        match room.recommends(&signed) {
            true => Ok(signed),
            false => {
                let why = "the room's policy server signed with another key than the room names";
                Err(RoomError::NotRecommended(NotRecommended::because(why)))
            }
        }
    }

    /// The same for an event of another server: as it came if the signature is not to be had.
    pub(crate) async fn recommended_or_not(&self, event: &Event) -> Result<Event> {
        let room = self.snapshot(event.room()).await?;
        match self.recommended(&room, event.clone()).await {
            Err(RoomError::NotRecommended(why)) => {
                tracing::debug!(event = %event.id(), room = %event.room(), %why, "the policy server does not recommend this");
                Ok(event.clone())
            }
            done => done,
        }
    }
}

impl Writing {
    /// Check 7 of the specification's, of an event that the others permit.
    pub(crate) fn ask_policy_of_received(&self, event: &Event, judged: Acceptance) -> Acceptance {
        match judged {
            Acceptance::Accepted if !self.snapshot().recommends(event) => Acceptance::SoftFailed,
            judged => judged,
        }
    }
}
