//! `/_lyceum/v1/posts`: posts that wait to be looked at. The desk writes the audit rows.

use axum::extract::State;
use lyceum_institution::Scope;
use lyceum_web::{RawJson, body};
use ruma::OwnedEventId;
use serde::Deserialize;
use serde_json::json;

use crate::{
    api::Desk,
    asked::{Asked, Raw, Why},
    pages::{Limit, listing},
};

#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    from: Option<OwnedEventId>,
    limit: Option<Limit>,
}

/// `GET /_lyceum/v1/posts`
pub(crate) async fn list(State(desk): State<Desk>, asked: Asked<(), Wanted>) -> Raw {
    let caller = asked.program.with(Scope::CasesRead)?;
    let Wanted { from, limit } = asked.query;
    let limit = Limit::of(limit);
    let posts = desk.open()?.waiting(&caller.actor, from.as_deref(), limit).await?;
    let next = posts.last().map(|last| last.event_id.clone());
    listing("posts", &posts, next)
}

/// `POST /_lyceum/v1/posts/{eventId}/approve`
pub(crate) async fn approve(State(desk): State<Desk>, asked: Asked<(OwnedEventId,)>) -> Raw {
    let caller = asked.program.with(Scope::CasesWrite)?;
    let Why { why } = body::json(&asked.body)?;
    desk.open()?.approve(&caller.actor, &asked.path.0, why.as_deref()).await?;
    RawJson::of(&json!({}))
}

/// `POST /_lyceum/v1/posts/{eventId}/refuse`
pub(crate) async fn refuse(State(desk): State<Desk>, asked: Asked<(OwnedEventId,)>) -> Raw {
    let caller = asked.program.with(Scope::CasesWrite)?;
    let Why { why } = body::json(&asked.body)?;
    desk.open()?.refuse(&caller.actor, &asked.path.0, why.as_deref()).await?;
    RawJson::of(&json!({}))
}
