//! `/_lyceum/v1/exams` and `/_lyceum/v1/blocks`: what is taken from people for a while.

use axum::extract::State;
use lyceum_institution::{Block, Change, Exam, Institution, Scope};
use lyceum_web::{ApiError, RawJson, body};
use ruma::{OwnedRoomId, OwnedUserId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    asked::{Asked, Raw, Why},
    pages::{Limit, page},
};

#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    from: Option<String>,
    limit: Option<Limit>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SaidOfExam {
    from_ms: u64,
    until_ms: u64,
    why: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SaidOfBlock {
    room_id: Option<OwnedRoomId>,
    until_ms: Option<u64>,
    why: Option<String>,
}

/// Where a block is lifted.
#[derive(Debug, Deserialize)]
pub(crate) struct Lifted {
    room_id: Option<OwnedRoomId>,
    why: Option<String>,
}

/// `GET /_lyceum/v1/exams`
pub(crate) async fn exams(State(institution): State<Institution>, asked: Asked<(), Wanted>) -> Raw {
    let caller = asked.program.with(Scope::RestraintsRead)?;
    let Wanted { from, limit } = asked.query;
    caller.reads(&institution, "exam.list", None, json!({ "from": from })).await?;
    let roster = institution.roster().await?;
    let exams = roster.exams().filter(|(unit, _)| from.as_deref().is_none_or(|from| *unit > from));
    let view =
        |(unit, exam): (&str, &Exam)| json!({ "unit": unit, "from_ms": exam.from_ms, "until_ms": exam.until_ms });
    page("exams", exams.map(view), Limit::of(limit), |exam| text(&exam["unit"]))
}

/// `PUT /_lyceum/v1/exams/{unit}`
pub(crate) async fn set_exam(State(institution): State<Institution>, asked: Asked<(String,)>) -> Raw {
    let caller = asked.program.with(Scope::RestraintsWrite)?;
    let ((unit,), SaidOfExam { from_ms, until_ms, why }) = (asked.path, body::json(&asked.body)?);
    let exam = Exam { from_ms, until_ms };
    caller.says(&institution, Change::Exam { unit: unit.clone(), exam: Some(exam) }, why.as_deref()).await?;
    RawJson::of(&json!({ "exam": { "unit": unit, "from_ms": from_ms, "until_ms": until_ms } }))
}

/// `DELETE /_lyceum/v1/exams/{unit}`
pub(crate) async fn end_exam(State(institution): State<Institution>, asked: Asked<(String,), Why>) -> Raw {
    let caller = asked.program.with(Scope::RestraintsWrite)?;
    let (unit,) = asked.path;
    if institution.roster().await?.exam(&unit).is_none() {
        return Err(ApiError::not_found(format!("{unit} sits no exam")));
    }
    caller.says(&institution, Change::Exam { unit, exam: None }, asked.query.why.as_deref()).await?;
    RawJson::of(&json!({ "exam": null }))
}

/// `GET /_lyceum/v1/blocks`
pub(crate) async fn blocks(State(institution): State<Institution>, asked: Asked<(), Wanted>) -> Raw {
    let caller = asked.program.with(Scope::RestraintsRead)?;
    let Wanted { from, limit } = asked.query;
    caller.reads(&institution, "block.list", None, json!({ "from": from })).await?;
    let roster = institution.roster().await?;
    let blocks = roster.blocks().map(|(user, room, block)| view(user.as_str(), room, block.until_ms));
    let blocks = blocks.filter(|block| from.as_deref().is_none_or(|from| place(block).as_str() > from));
    page("blocks", blocks, Limit::of(limit), place)
}

/// `PUT /_lyceum/v1/blocks/{userId}`
pub(crate) async fn block(State(institution): State<Institution>, asked: Asked<(OwnedUserId,)>) -> Raw {
    let caller = asked.program.with(Scope::RestraintsWrite)?;
    let ((user,), SaidOfBlock { room_id, until_ms, why }) = (asked.path, body::json(&asked.body)?);
    let told = view(user.as_str(), room_id.as_ref().map(|room| room.as_str()), until_ms);
    let change = Change::Block { user, room: room_id, block: Some(Block { until_ms }) };
    caller.says(&institution, change, why.as_deref()).await?;
    RawJson::of(&json!({ "block": told }))
}

/// `DELETE /_lyceum/v1/blocks/{userId}`
pub(crate) async fn lift(State(institution): State<Institution>, asked: Asked<(OwnedUserId,), Lifted>) -> Raw {
    let caller = asked.program.with(Scope::RestraintsWrite)?;
    let ((user,), Lifted { room_id, why }) = (asked.path, asked.query);
    caller.says(&institution, Change::Block { user, room: room_id, block: None }, why.as_deref()).await?;
    RawJson::of(&json!({ "block": null }))
}

fn view(user: &str, room: Option<&str>, until_ms: Option<u64>) -> Value {
    json!({ "user_id": user, "room_id": room, "until_ms": until_ms })
}

/// Where a block stands in the list: everywhere comes before rooms.
fn place(block: &Value) -> String {
    format!("{} {}", text(&block["user_id"]), text(&block["room_id"]))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
