//! Rooms: all of them, one of them, who is in it, its state.

use axum::extract::State;
use lyceum_accounts::Accounts;
use lyceum_events::Clock;
use lyceum_rooms::{Membership, Rooms, Snapshot};
use lyceum_web::{ApiError, AuthedRaw, RawJson};
use ruma::{OwnedRoomId, RoomId, events::StateEventType};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::{cmp::Reverse, sync::Arc};

use super::page;
use crate::{answers::Raw, rooms::looker};

/// Rooms read at once.
const READ_AT_ONCE: usize = 500;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Query {
    from: usize,
    limit: Option<usize>,
    order_by: Option<String>,
    dir: Option<String>,
    search_term: Option<String>,
    public_rooms: Option<bool>,
    empty_rooms: Option<bool>,
}

/// A room as it is listed.
struct Listed {
    snapshot: Arc<Snapshot>,
    public: bool,
}

/// `GET /_synapse/admin/v1/rooms`
pub(crate) async fn list(State(rooms): State<Rooms>, request: AuthedRaw<(), Query>) -> Raw {
    request.session.check_admin()?;
    let query = &request.query;
    let (mut all, mut after): (Vec<Listed>, Option<OwnedRoomId>) = (Vec::new(), None);
    loop {
        let ids = rooms.ids_after(after.as_deref(), READ_AT_ONCE).await?;
        let Some(last) = ids.last().cloned() else { break };
        for id in ids {
            let listed = Listed { snapshot: rooms.snapshot(&id).await?, public: rooms.is_listed(&id).await? };
            if query.wants(&listed) {
                all.push(listed);
            }
        }
        after = Some(last);
    }
    query.sort(&mut all)?;
    let (total, limit) = (all.len(), query.limit.unwrap_or(super::PAGE));
    let (shown, next) = page(all, query.from, query.limit);
    let told: Vec<_> = shown.iter().map(told).collect();
    let mut answer = json!({ "rooms": told, "offset": query.from, "total_rooms": total });
    if let Some(next) = next {
        answer["next_batch"] = next.into();
    }
    if query.from > 0 {
        answer["prev_batch"] = query.from.saturating_sub(limit).into();
    }
    RawJson::of(&answer)
}

impl Query {
    fn wants(&self, room: &Listed) -> bool {
        let facts = room.snapshot.facts();
        let names = |term: &String| {
            let small = term.to_lowercase();
            facts.name.as_deref().is_some_and(|name| name.to_lowercase().contains(&small))
                || facts.canonical_alias.as_ref().is_some_and(|alias| alias.alias().to_lowercase().contains(&small))
                || room.snapshot.room_id().as_str().contains(term.as_str())
        };
        self.public_rooms.is_none_or(|public| public == room.public)
            && self.empty_rooms.is_none_or(|empty| empty == (room.snapshot.joined_count() == 0))
            && self.search_term.as_ref().is_none_or(names)
    }

    fn sort(&self, all: &mut [Listed]) -> Result<(), ApiError> {
        let text = |room: &Listed, field: &str| told(room)[field].as_str().unwrap_or_default().to_lowercase();
        match self.order_by.as_deref().unwrap_or("name") {
            "alphabetical" => all.sort_by_cached_key(|room| text(room, "name")),
            "size" | "joined_members" => all.sort_by_key(|room| Reverse(room.snapshot.joined_count())),
            "joined_local_members" => all.sort_by_key(|room| Reverse(room.snapshot.local_joined_count())),
            "state_events" => all.sort_by_key(|room| Reverse(room.snapshot.state().len())),
            "federatable" => all.sort_by_key(|room| room.snapshot.facts().federate),
            "public" => all.sort_by_key(|room| room.public),
            "version" => all.sort_by_cached_key(|room| Reverse(told(room)["version"].to_string())),
            field @ ("name" | "canonical_alias" | "creator" | "encryption" | "join_rules" | "guest_access"
            | "history_visibility") => all.sort_by_cached_key(|room| text(room, field)),
            other => return Err(ApiError::invalid_param(format!("Rooms cannot be ordered by {other}"))),
        }
        if self.dir.as_deref() == Some("b") {
            all.reverse();
        }
        Ok(())
    }
}

fn told(room: &Listed) -> Value {
    let (snapshot, facts) = (&room.snapshot, room.snapshot.facts());
    // As its event says it: none when the room has no such event.
    let said = |kind: StateEventType, field: &str| -> Value {
        let content: Option<Map<String, Value>> = snapshot.kept(&kind).and_then(|event| event.content_as());
        content.and_then(|mut content| content.remove(field)).unwrap_or_default()
    };
    json!({
        "room_id": snapshot.room_id(),
        "name": facts.name,
        "canonical_alias": facts.canonical_alias,
        "joined_members": snapshot.joined_count(),
        "joined_local_members": snapshot.local_joined_count(),
        "version": snapshot.version(),
        "creator": facts.creators.first(),
        "encryption": facts.encryption,
        "federatable": facts.federate,
        "public": room.public,
        "join_rules": said(StateEventType::RoomJoinRules, "join_rule"),
        "guest_access": said(StateEventType::RoomGuestAccess, "guest_access"),
        "history_visibility": said(StateEventType::RoomHistoryVisibility, "history_visibility"),
        "state_events": snapshot.state().len(),
        "room_type": facts.room_type,
    })
}

/// `GET /_synapse/admin/v1/rooms/{roomId}`
pub(crate) async fn get(
    State(rooms): State<Rooms>,
    State(accounts): State<Accounts>,
    request: AuthedRaw<(String,)>,
) -> Raw {
    request.session.check_admin()?;
    let room = RoomId::parse(&request.path.0)?;
    let listed = Listed { snapshot: rooms.snapshot(&room).await?, public: rooms.is_listed(&room).await? };
    let facts = listed.snapshot.facts();
    let mut devices = 0;
    for user in listed.snapshot.local_joined() {
        devices += accounts.device_ids(user).await?.len();
    }
    let mut answer = told(&listed);
    answer["topic"] = facts.topic.clone().into();
    answer["avatar"] = facts.avatar_url.clone().into();
    answer["joined_local_devices"] = devices.into();
    answer["tombstoned"] = listed.snapshot.kept(&StateEventType::RoomTombstone).is_some().into();
    answer["replacement_room"] = facts.successor.as_ref().map(ToString::to_string).into();
    RawJson::of(&answer)
}

/// `GET /_synapse/admin/v1/rooms/{roomId}/members`
pub(crate) async fn members(State(rooms): State<Rooms>, request: AuthedRaw<(String,)>) -> Raw {
    request.session.check_admin()?;
    let snapshot = rooms.snapshot(&RoomId::parse(&request.path.0)?).await?;
    let joined = snapshot.state().members().filter(|(_, member)| member.membership == Membership::Join);
    let members: Vec<_> = joined.map(|(user, _)| user).collect();
    RawJson::of(&json!({ "members": members, "total": members.len() }))
}

#[derive(Deserialize)]
pub(crate) struct OfType {
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// `GET /_synapse/admin/v1/rooms/{roomId}/state`
pub(crate) async fn state(
    State(rooms): State<Rooms>,
    State(clock): State<Arc<dyn Clock>>,
    request: AuthedRaw<(String,), OfType>,
) -> Raw {
    request.session.check_admin()?;
    let snapshot = rooms.snapshot(&RoomId::parse(&request.path.0)?).await?;
    let mut events = rooms.must_know_all(snapshot.state().event_ids()).await?;
    if let Some(kind) = &request.query.kind {
        events.retain(|known| known.event().kind().to_string() == *kind);
    }
    let forms = rooms.present_state(looker(&request.session, &*clock), &events).await?;
    RawJson::of(&json!({ "state": forms }))
}
