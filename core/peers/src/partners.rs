//! Asking partner servers what their people are, before campus rules judge what these do: a statement is taken up only when
//! it bears the signature of the person's own server.

use futures_util::{StreamExt, stream};
use lyceum_institution::{Institution, ROLE_FIELD};
use ruma::{CanonicalJsonObject, OwnedUserId, UserId};
use serde_json::{Map, Value};
use std::{collections::BTreeSet, time::Duration};

use crate::{Call, PeerError, Peers, Target};

/// How long a partner may take to say what somebody is. Whoever it says nothing of is a visitor for a while.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// People asked about at the same time.
const ASKED_AT_ONCE: usize = 8;

/// Knows what people of partner servers are. Cheap to clone.
#[derive(Clone)]
pub struct Partners {
    peers: Peers,
    institution: Institution,
}

impl Partners {
    /// For the partners of this institution.
    pub fn new(peers: &Peers, institution: &Institution) -> Self {
        Self { peers: peers.clone(), institution: institution.clone() }
    }

    /// Learns what these people are, as far as they are of partner servers and it is not known. Call it before they are
    /// judged, and never with a room in hand: it may take a while.
    pub async fn meet(&self, users: &[&UserId]) {
        let unknown = users.iter().filter(|user| self.institution.is_to_be_asked_about(user));
        let unknown: BTreeSet<OwnedUserId> = unknown.map(|user| (*user).to_owned()).collect();
        stream::iter(unknown).for_each_concurrent(ASKED_AT_ONCE, |user| self.ask(user)).await;
    }

    async fn ask(&self, user: OwnedUserId) {
        let believed = match self.stated(&user).await {
            Ok(Some(statement)) => match self.peers.verify_object(user.server_name(), &statement).await {
                Ok(()) => Some(statement),
                Err(error) => {
                    tracing::warn!(%user, %error, "what a partner server states of somebody is not believed");
                    None
                }
            },
            Ok(None) => None,
            Err(error) => {
                tracing::info!(%user, %error, "a partner server does not say what somebody is");
                None
            }
        };
        self.institution.learn_role(&user, believed.as_ref());
    }

    async fn stated(&self, user: &UserId) -> Result<Option<CanonicalJsonObject>, PeerError> {
        let target = Target::at("/_matrix/federation/v1/query/profile").query("user_id", user);
        let call = Call::get(target.query("field", ROLE_FIELD)).timeout(ASK_TIMEOUT);
        let call = call.answer_bytes_max(ANSWER_BYTES_MAX);
        let mut profile: Map<String, Value> = self.peers.ask(user.server_name(), call).await?;
        Ok(profile.remove(ROLE_FIELD).and_then(|statement| serde_json::from_value(statement).ok()))
    }
}
