//! `/initialSync`, and `/events` without a room: how clients synced before `/sync`. Deprecated, and still asked by some.
//! Both are an answer of `/sync` in another form.

use axum::extract::State;
use lyceum_rooms::Rooms;
use lyceum_sync::filter::SyncFilter;
use lyceum_sync::{StateForm, Sync, SyncRequest, SyncToken};
use lyceum_web::{ApiError, AuthedRaw, RawJson, Session};
use ruma::{RoomId, UInt, api::client::filter::FilterDefinition};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::time::Duration;

use crate::answers::Raw;

/// Messages of each room that come with the first look, and how many a client may ask for.
const MESSAGES: u32 = 20;
const MESSAGES_MAX: u32 = 100;
/// Events of one room that come at once as news. There is no way to ask for what lies before them.
const NEWS_MAX: u32 = 1000;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Query {
    limit: Option<u32>,
    archived: bool,
}

/// `GET /_matrix/client/v3/initialSync`
pub(crate) async fn initial_sync(
    State(rooms): State<Rooms>,
    State(sync): State<Sync>,
    request: AuthedRaw<(), Query>,
) -> Raw {
    let AuthedRaw { session, query, .. } = request;
    let mut filter = FilterDefinition::default();
    filter.room.include_leave = query.archived;
    filter.room.timeline.limit = Some(UInt::from(query.limit.unwrap_or(MESSAGES).min(MESSAGES_MAX)));
    let mut answer = ask(&sync, &session, &filter.into(), None, Duration::ZERO).await?;
    let mut told = Vec::new();
    for membership in ["join", "invite", "knock", "leave"] {
        let Value::Object(entries) = answer["rooms"][membership].take() else { continue };
        for (room, entry) in entries {
            let mut one = told_of_room(&session, membership, &room, entry, &answer["next_batch"]);
            let id = RoomId::parse(&room)?;
            one["visibility"] = if rooms.is_listed(&id).await? { "public" } else { "private" }.into();
            told.push(one);
        }
    }
    RawJson::of(&json!({
        "end": answer["next_batch"].take(),
        "presence": events(&mut answer, "presence"),
        "account_data": events(&mut answer, "account_data"),
        "rooms": told,
    }))
}

/// `GET /_matrix/client/v3/events` without a room: everything that is new for the person.
pub(crate) async fn news(sync: &Sync, session: &Session, from: Option<&str>, patience: Duration) -> Raw {
    let from = match from {
        Some(from) => from.parse().map_err(|_| ApiError::invalid_param("from was not made by this server"))?,
        None => sync.token(),
    };
    let mut filter = FilterDefinition::default();
    filter.room.timeline.limit = Some(UInt::from(NEWS_MAX));
    let mut answer = ask(sync, session, &filter.into(), Some(from), patience).await?;
    let mut chunk = events(&mut answer, "presence");
    if let Value::Object(entries) = answer["rooms"]["join"].take() {
        for (room, mut entry) in entries {
            chunk.extend(in_room(&room, events(&mut entry, "timeline")));
            chunk.extend(in_room(&room, events(&mut entry, "ephemeral")));
        }
    }
    RawJson::of(&json!({ "start": from.to_string(), "end": answer["next_batch"], "chunk": chunk }))
}

async fn ask(
    sync: &Sync,
    session: &Session,
    filter: &SyncFilter,
    since: Option<SyncToken>,
    timeout: Duration,
) -> Result<Value, ApiError> {
    let response = sync
        .v2(&SyncRequest {
            user: &session.user_id,
            // Without its device: what waits for the device itself is for `/sync` to deliver.
            device: None,
            since,
            filter,
            full_state: false,
            state_form: StateForm::After,
            timeout,
        })
        .await?;
    serde_json::to_value(&response).map_err(|error| ApiError::internal(&error))
}

fn told_of_room(session: &Session, membership: &str, room: &str, mut entry: Value, end: &Value) -> Value {
    let mut told = json!({ "room_id": room, "membership": membership });
    match membership {
        "invite" | "knock" => {
            let stripped = events(&mut entry, &format!("{membership}_state"));
            let own = stripped
                .into_iter()
                .rev()
                .find(|event| event["type"] == "m.room.member" && event["state_key"] == session.user_id.as_str());
            told[membership] = own.unwrap_or_else(|| Value::Object(Map::new()));
        }
        _ => {
            let start = entry["timeline"]["prev_batch"].take();
            let chunk = in_room(room, events(&mut entry, "timeline"));
            told["messages"] = json!({ "chunk": chunk, "end": end });
            if !start.is_null() {
                told["messages"]["start"] = start;
            }
            told["state"] = in_room(room, events(&mut entry, "state_after")).into();
            told["account_data"] = events(&mut entry, "account_data").into();
        }
    }
    told
}

/// The events of a part of an answer.
fn events(of: &mut Value, part: &str) -> Vec<Value> {
    match of.get_mut(part).and_then(|part| part.get_mut("events")).map(Value::take) {
        Some(Value::Array(events)) => events,
        _ => Vec::new(),
    }
}

/// Events that say in which room they are.
fn in_room(room: &str, mut events: Vec<Value>) -> Vec<Value> {
    for event in events.iter_mut().filter_map(Value::as_object_mut) {
        event.entry("room_id").or_insert_with(|| room.into());
    }
    events
}
