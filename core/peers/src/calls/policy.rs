//! Asking policy servers for their signatures.

use async_trait::async_trait;
use lyceum_events::Event;
use lyceum_rooms::{NotRecommended, PolicyServers};
use ruma::{CanonicalJsonObject, ServerName};
use serde_json::value::RawValue;
use std::time::Duration;

use crate::{Call, PeerError, Peers, Target};

/// The time for an answer: whoever sends something waits for it, and everybody else in the room too.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Signatures are short.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

#[async_trait]
impl PolicyServers for Peers {
    async fn sign(&self, server: &ServerName, event: &Event) -> Result<CanonicalJsonObject, NotRecommended> {
        self.sign_by_policy(server, event).await.map_err(|error| match error {
            PeerError::Refused { status, errcode, message, .. } if (400..500).contains(&status) => {
                NotRecommended { status, errcode, reason: message }
            }
            error => NotRecommended {
                status: 403,
                errcode: "M_FORBIDDEN".to_owned(),
                reason: format!("the room's policy server could not be asked: {error}"),
            },
        })
    }
}

impl Peers {
    async fn sign_by_policy(&self, server: &ServerName, event: &Event) -> Result<CanonicalJsonObject, PeerError> {
        let event: &RawValue =
            serde_json::from_str(event.json()).map_err(|error| PeerError::Unsendable(error.to_string()))?;
        let call = Call::post(Target::at("/_matrix/policy/v1/sign"), event)?;
        // A policy server is often a program of its own behind the name of somebody's homeserver.
        self.ask(server, call.timeout(TIMEOUT).answer_bytes_max(ANSWER_BYTES_MAX).even_to_myself()).await
    }
}
