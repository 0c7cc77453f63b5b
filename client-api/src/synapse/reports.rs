//! What people reported about events.

use axum::extract::State;
use lyceum_rooms::{Report, RoomError, Rooms};
use lyceum_storage::Position;
use lyceum_web::{ApiError, AuthedRaw, RawJson};
use ruma::{OwnedEventId, RoomId};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::page;
use crate::answers::{Raw, empty};

/// Reports read at once.
const READ_AT_ONCE: usize = 500;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Query {
    from: usize,
    limit: Option<usize>,
    dir: Option<String>,
    user_id: Option<String>,
    room_id: Option<String>,
    event_sender_user_id: Option<String>,
}

impl Query {
    fn wants(&self, report: &Report) -> bool {
        let is = |wanted: &Option<String>, found: Option<&String>| {
            wanted.as_ref().is_none_or(|wanted| found.is_some_and(|found| found.contains(wanted.as_str())))
        };
        report.event_id.is_some()
            && is(&self.user_id, Some(&report.reporter))
            && is(&self.room_id, report.room_id.as_ref())
            && is(&self.event_sender_user_id, report.user_id.as_ref())
    }
}

/// `GET /_synapse/admin/v1/event_reports`
pub(crate) async fn list(State(rooms): State<Rooms>, request: AuthedRaw<(), Query>) -> Raw {
    request.session.check_admin()?;
    let query = &request.query;
    let (mut all, mut after) = (Vec::new(), Position(0));
    loop {
        let read = rooms.reports_since(after, READ_AT_ONCE).await?;
        let Some((last, _)) = read.last() else { break };
        after = *last;
        all.extend(read.into_iter().filter(|(_, report)| query.wants(report)));
    }
    if query.dir.as_deref() != Some("f") {
        all.reverse();
    }
    let total = all.len();
    let (shown, next) = page(all, query.from, query.limit);
    let mut told_all = Vec::with_capacity(shown.len());
    for (id, report) in &shown {
        told_all.push(told(&rooms, *id, report).await?);
    }
    let mut answer = json!({ "event_reports": told_all, "total": total });
    if let Some(next) = next {
        answer["next_token"] = next.into();
    }
    RawJson::of(&answer)
}

/// `GET /_synapse/admin/v1/event_reports/{reportId}`
pub(crate) async fn get(State(rooms): State<Rooms>, request: AuthedRaw<(u64,)>) -> Raw {
    request.session.check_admin()?;
    let id = Position(request.path.0);
    let report = rooms.report_at(id).await?.filter(|report| report.event_id.is_some());
    let report = report.ok_or_else(|| ApiError::not_found("Event report not found"))?;
    let mut answer = told(&rooms, id, &report).await?;
    if let Some(event) = report.event_id.and_then(|event| OwnedEventId::try_from(event).ok())
        && let Some(known) = rooms.known(&event).await?
    {
        let event: &RawValue = serde_json::from_str(known.event().json())?;
        answer["event_json"] = serde_json::to_value(event)?;
    }
    RawJson::of(&answer)
}

/// `DELETE /_synapse/admin/v1/event_reports/{reportId}`
pub(crate) async fn delete(State(rooms): State<Rooms>, request: AuthedRaw<(u64,)>) -> Raw {
    request.session.check_admin()?;
    let id = Position(request.path.0);
    rooms.report_at(id).await?.ok_or_else(|| ApiError::not_found("Event report not found"))?;
    rooms.remove_report(id).await?;
    empty()
}

async fn told(rooms: &Rooms, id: Position, report: &Report) -> Result<Value, ApiError> {
    let (mut name, mut alias) = (None, None);
    if let Some(room) = report.room_id.as_deref().and_then(|room| RoomId::parse(room).ok()) {
        match rooms.snapshot(&room).await {
            Ok(snapshot) => {
                name = snapshot.facts().name.clone();
                alias = snapshot.facts().canonical_alias.clone();
            }
            Err(RoomError::UnknownRoom(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(json!({
        "id": id.0,
        "event_id": report.event_id,
        "room_id": report.room_id,
        "reason": report.reason,
        // No longer asked for by the specification since v1.8.
        "score": null,
        "received_ts": report.at_ms,
        "canonical_alias": alias,
        "name": name,
        "sender": report.user_id,
        "user_id": report.reporter,
    }))
}
