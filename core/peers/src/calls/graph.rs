//! Pieces of a room's graph from another server.

use ruma::{EventId, OwnedEventId, RoomId, ServerName};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

use super::RawEvent;
use crate::{Call, PeerError, Peers, Target};

/// The state of a large room may take long and be large.
const STATE_TIMEOUT: Duration = Duration::from_secs(120);
const STATE_BYTES_MAX: usize = 512 * 1024 * 1024;

/// A page of history: the events asked for, at their largest.
const PAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Events asked for in one page at most.
const PAGE_EVENTS_MAX: usize = 500;

/// The state of a room at an event, whole.
#[derive(Debug, Deserialize)]
pub struct WholeState {
    /// The state.
    pub pdus: Vec<RawEvent>,
    /// The events that permit it.
    pub auth_chain: Vec<RawEvent>,
}

/// The state of a room at an event, by ids.
#[derive(Debug, Clone, Deserialize)]
pub struct StateIds {
    /// The state.
    pub pdu_ids: Vec<OwnedEventId>,
    /// The events that permit it.
    pub auth_chain_ids: Vec<OwnedEventId>,
}

/// The event nearest to a time.
#[derive(Debug, Clone, Deserialize)]
pub struct Nearest {
    /// Which.
    pub event_id: OwnedEventId,
    /// When it was sent.
    pub origin_server_ts: u64,
}

#[derive(Deserialize)]
struct Pdus {
    pdus: Vec<RawEvent>,
}

#[derive(Deserialize)]
struct Chain {
    auth_chain: Vec<RawEvent>,
}

#[derive(Deserialize)]
struct Missing {
    events: Vec<RawEvent>,
}

fn federation(endpoint: &str) -> Target {
    Target::at(&format!("/_matrix/federation/v1/{endpoint}"))
}

impl Peers {
    /// The state before an event, whole.
    pub async fn state(&self, server: &ServerName, room: &RoomId, at: &EventId) -> Result<WholeState, PeerError> {
        let call = Call::get(federation("state").segment(room).query("event_id", at));
        self.ask(server, call.timeout(STATE_TIMEOUT).answer_bytes_max(STATE_BYTES_MAX)).await
    }

    /// The state before an event, by ids.
    pub async fn state_ids(&self, server: &ServerName, room: &RoomId, at: &EventId) -> Result<StateIds, PeerError> {
        let call = Call::get(federation("state_ids").segment(room).query("event_id", at));
        self.ask(server, call.timeout(STATE_TIMEOUT).answer_bytes_max(STATE_BYTES_MAX)).await
    }

    /// One event.
    pub async fn event(&self, server: &ServerName, id: &EventId) -> Result<RawEvent, PeerError> {
        let mut answer: Pdus = self.ask(server, Call::get(federation("event").segment(id))).await?;
        let nonsense = || PeerError::Nonsense { server: server.to_owned(), why: "no event".into() };
        answer.pdus.pop().ok_or_else(nonsense)
    }

    /// Everything that permits an event, and what permits that.
    pub async fn event_auth(
        &self,
        server: &ServerName,
        room: &RoomId,
        id: &EventId,
    ) -> Result<Vec<RawEvent>, PeerError> {
        let call = Call::get(federation("event_auth").segment(room).segment(id));
        let answer: Chain = self.ask(server, call.timeout(STATE_TIMEOUT).answer_bytes_max(STATE_BYTES_MAX)).await?;
        Ok(answer.auth_chain)
    }

    /// At most `limit` events up to and including those in `from`.
    pub async fn backfill(
        &self,
        server: &ServerName,
        room: &RoomId,
        from: &[OwnedEventId],
        limit: usize,
    ) -> Result<Vec<RawEvent>, PeerError> {
        let target = from.iter().fold(federation("backfill").segment(room), |target, id| target.query("v", id));
        let target = target.query("limit", limit.min(PAGE_EVENTS_MAX).to_string());
        let answer: Pdus = self.ask(server, Call::get(target).answer_bytes_max(PAGE_BYTES_MAX)).await?;
        Ok(answer.pdus)
    }

    /// At most `limit` events between those that are known and those that are not.
    pub async fn get_missing_events(
        &self,
        server: &ServerName,
        room: &RoomId,
        earliest: &[OwnedEventId],
        latest: &[OwnedEventId],
        limit: usize,
    ) -> Result<Vec<RawEvent>, PeerError> {
        let body = json!({ "earliest_events": earliest, "latest_events": latest, "limit": limit.min(PAGE_EVENTS_MAX) });
        let call = Call::post(federation("get_missing_events").segment(room), &body)?;
        let answer: Missing = self.ask(server, call.answer_bytes_max(PAGE_BYTES_MAX)).await?;
        Ok(answer.events)
    }

    /// The event nearest to a time, looking forward (`f`) or back (`b`).
    pub async fn timestamp_to_event(
        &self,
        server: &ServerName,
        room: &RoomId,
        ts_ms: u64,
        direction: &str,
    ) -> Result<Nearest, PeerError> {
        let target = federation("timestamp_to_event").segment(room);
        self.ask(server, Call::get(target.query("ts", ts_ms.to_string()).query("dir", direction))).await
    }
}
