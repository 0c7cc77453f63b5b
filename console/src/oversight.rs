//! `/_lyceum/v1/rooms/…`, `/_lyceum/v1/search`, sealed originals: what those who oversee may look at. The desk writes the audit
//! rows before it looks.

use axum::extract::State;
use lyceum_institution::Scope;
use lyceum_web::{ApiError, RawJson};
use ruma::OwnedRoomId;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::Desk,
    asked::{Asked, Raw, Why},
    pages::{Limit, listing},
};

#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    from: Option<i64>,
    limit: Option<Limit>,
    why: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Sought {
    term: Option<String>,
    room_id: Option<OwnedRoomId>,
    limit: Option<Limit>,
    why: Option<String>,
}

/// `GET /_lyceum/v1/rooms/{roomId}/messages`
pub(crate) async fn messages(State(desk): State<Desk>, asked: Asked<(OwnedRoomId,), Page>) -> Raw {
    let caller = asked.program.with(Scope::OversightRead)?;
    let ((room,), Page { from, limit, why }) = (asked.path, asked.query);
    let (said, next) = desk.open()?.look(&caller.actor, (&room, from), Limit::of(limit), why.as_deref()).await?;
    listing("messages", &said, next.map(|next| next.to_string()))
}

/// `GET /_lyceum/v1/search`
pub(crate) async fn search(State(desk): State<Desk>, asked: Asked<(), Sought>) -> Raw {
    let caller = asked.program.with(Scope::OversightRead)?;
    let Sought { term, room_id, limit, why } = asked.query;
    let term = term.ok_or_else(|| ApiError::missing_param("term is required"))?;
    let sought = (room_id.as_deref(), term.as_str());
    let found = desk.open()?.search(&caller.actor, sought, Limit::of(limit), why.as_deref()).await?;
    let found: Vec<Value> = found.iter().map(|(room, said)| json!({ "room_id": room, "event": said })).collect();
    listing("found", &found, None)
}

/// `GET /_lyceum/v1/cases/{number}/original`
pub(crate) async fn original(State(desk): State<Desk>, asked: Asked<(u64,), Why>) -> Raw {
    let caller = asked.program.with(Scope::OversightRead)?;
    let original = desk.open()?.original(&caller.actor, asked.path.0, asked.query.why.as_deref()).await?;
    RawJson::of(&json!({ "event": original }))
}
