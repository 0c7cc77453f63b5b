//! `/_lyceum/v1/cases`: what people reported, and what is done about it. The desk writes the audit rows.

use axum::extract::State;
use lyceum_institution::Scope;
use lyceum_web::{ApiError, RawJson, body};
use lyceum_workers::moderation::Measure;
use ruma::OwnedUserId;
use serde::Deserialize;

use crate::{
    api::Desk,
    asked::{Asked, Raw},
    pages::{Limit, listing},
};

#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    all: bool,
    #[serde(default)]
    from: u64,
    limit: Option<Limit>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Assign {
    user_id: OwnedUserId,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    text: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Close {
    #[serde(default)]
    dismissed: bool,
    why: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Taken {
    measure: String,
    until_ms: Option<u64>,
    #[serde(default)]
    everywhere: bool,
    why: Option<String>,
}

/// `GET /_lyceum/v1/cases`
pub(crate) async fn list(State(desk): State<Desk>, asked: Asked<(), Wanted>) -> Raw {
    let caller = asked.program.with(Scope::CasesRead)?;
    let Wanted { all, from, limit } = asked.query;
    let limit = Limit::of(limit);
    let cases = desk.open()?.cases(&caller.actor, all, from, limit).await?;
    // A full page may be followed by an empty one: that is when a program knows that it has them all.
    let next = cases.last().filter(|_| cases.len() >= limit).map(|last| last.number.to_string());
    listing("cases", &cases, next)
}

/// `GET /_lyceum/v1/cases/{number}`
pub(crate) async fn get(State(desk): State<Desk>, asked: Asked<(u64,)>) -> Raw {
    let caller = asked.program.with(Scope::CasesRead)?;
    RawJson::of(&desk.open()?.read(&caller.actor, asked.path.0).await?)
}

/// `GET /_lyceum/v1/cases/{number}/context`
pub(crate) async fn context(State(desk): State<Desk>, asked: Asked<(u64,)>) -> Raw {
    let caller = asked.program.with(Scope::CasesRead)?;
    RawJson::of(&desk.open()?.context(&caller.actor, asked.path.0).await?)
}

/// `POST /_lyceum/v1/cases/{number}/assign`
pub(crate) async fn assign(State(desk): State<Desk>, asked: Asked<(u64,)>) -> Raw {
    let caller = asked.program.with(Scope::CasesWrite)?;
    let Assign { user_id } = body::json(&asked.body)?;
    RawJson::of(&desk.open()?.assign(&caller.actor, asked.path.0, &user_id).await?)
}

/// `POST /_lyceum/v1/cases/{number}/note`
pub(crate) async fn note(State(desk): State<Desk>, asked: Asked<(u64,)>) -> Raw {
    let caller = asked.program.with(Scope::CasesWrite)?;
    let Note { text } = body::json(&asked.body)?;
    RawJson::of(&desk.open()?.note(&caller.actor, asked.path.0, &text).await?)
}

/// `POST /_lyceum/v1/cases/{number}/measure`
pub(crate) async fn measure(State(desk): State<Desk>, asked: Asked<(u64,)>) -> Raw {
    let caller = asked.program.with(Scope::CasesWrite)?;
    let Taken { measure, until_ms, everywhere, why } = body::json(&asked.body)?;
    let measure = match measure.as_str() {
        "delete" => Measure::Delete,
        "warn" => Measure::Warn,
        "remove" => Measure::Remove,
        "block" => Measure::Block { until_ms, everywhere },
        "unblock" => Measure::Unblock { everywhere },
        "hold" => Measure::Hold { until_ms, everywhere },
        "unhold" => Measure::Unhold { everywhere },
        "suspend" => Measure::Suspend,
        "unsuspend" => Measure::Unsuspend,
        "lock" => Measure::Lock,
        "unlock" => Measure::Unlock,
        other => return Err(ApiError::invalid_param(format!("There is no measure {other:?}"))),
    };
    RawJson::of(&desk.open()?.measure(&caller.actor, asked.path.0, &measure, why.as_deref()).await?)
}

/// `POST /_lyceum/v1/cases/{number}/close`
pub(crate) async fn close(State(desk): State<Desk>, asked: Asked<(u64,)>) -> Raw {
    let caller = asked.program.with(Scope::CasesWrite)?;
    let Close { dismissed, why } = body::json(&asked.body)?;
    RawJson::of(&desk.open()?.close(&caller.actor, asked.path.0, dismissed, why.as_deref()).await?)
}
