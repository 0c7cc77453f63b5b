//! Delayed events (MSC4140): asking for them by `send` and `state`, listing one's own, and acting on them by their ids.

use axum::extract::State;
use lyceum_rooms::{Delayed, DelayedEnd, DelayedOutcome, Rooms, Sender};
use lyceum_web::{ApiError, AuthedRaw, MaybeAuthedRaw, RawJson, body};
use ruma::{CanonicalJsonObject, RoomId, events::TimelineEventType};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::send::transaction;
use crate::answers::{Raw, empty};

/// What `send` and `state` may be asked beside the event.
#[derive(Deserialize)]
pub(crate) struct Delay {
    /// To be sent after so many milliseconds.
    #[serde(rename = "org.matrix.msc4140.delay")]
    delay_ms: Option<u64>,
}

impl Delay {
    /// What a query says about a delay.
    pub(crate) fn of(query: Option<&str>) -> Result<Option<u64>, ApiError> {
        Ok(serde_html_form::from_str::<Self>(query.unwrap_or_default())?.delay_ms)
    }
}

/// A delay as its maker is told of it.
pub(crate) fn answer(delay_id: &str) -> Raw {
    RawJson::of(&json!({ "delay_id": delay_id }))
}

/// The body of the newer way to ask for one.
#[derive(Deserialize)]
pub(crate) struct Asked {
    delay: u64,
    state_key: Option<String>,
    content: CanonicalJsonObject,
}

/// `PUT …/unstable/org.matrix.msc4140/rooms/{roomId}/delayed_event/{eventType}/{txnId}`
pub(crate) async fn send_delayed_event(
    State(rooms): State<Rooms>,
    request: AuthedRaw<(String, String, String)>,
) -> Raw {
    let (room, kind, transaction_id) = &request.path;
    let room = <&RoomId>::try_from(room.as_str())?;
    let endpoint = format!("delayed|{kind}");
    let transaction = transaction(&request.session, &endpoint, transaction_id);
    let sender = Sender { user: &request.session.user_id, transaction: Some(transaction), ts: None };
    if let Some(same) = rooms.already_delayed(sender, room).await? {
        return answer(&same);
    }
    let asked: Asked = body::json(&request.body)?;
    let kind = TimelineEventType::from(kind.as_str());
    let what = (kind, asked.state_key.as_deref());
    answer(&rooms.delay(sender, room, what, &asked.content, asked.delay).await?)
}

/// `GET …/unstable/org.matrix.msc4140/delayed_events`
pub(crate) async fn get_all_delayed_events(State(rooms): State<Rooms>, request: AuthedRaw<(), Wanted>) -> Raw {
    let Wanted { status, delay_id } = &request.query;
    let wants = |which: &str| status.as_deref().is_none_or(|status| status == which);
    if !wants("scheduled") && !wants("finalised") {
        return Err(ApiError::invalid_param("status is scheduled or finalised"));
    }
    let mut all = rooms.delayed(&request.session.user_id).await?;
    all.retain(|one| delay_id.is_empty() || delay_id.contains(&one.id));
    let (ended, waiting): (Vec<_>, Vec<_>) = all.iter().partition(|one| one.end.is_some());
    let scheduled: Vec<_> = waiting.into_iter().map(shown).collect();
    let mut answer = json!({});
    if wants("scheduled") {
        // By its older name as well: clients know the one or the other.
        answer["delayed_events"] = scheduled.clone().into();
        answer["scheduled"] = scheduled.into();
    }
    if wants("finalised") {
        answer["finalised"] = ended.into_iter().filter_map(finalised).collect::<Vec<_>>().into();
    }
    RawJson::of(&answer)
}

/// Which delayed events are asked for.
#[derive(Default, Deserialize)]
pub(crate) struct Wanted {
    status: Option<String>,
    #[serde(default)]
    delay_id: Vec<String>,
}

/// `GET …/unstable/org.matrix.msc4140/delayed_events/{delayId}`
pub(crate) async fn get_delayed_event(State(rooms): State<Rooms>, request: AuthedRaw<(String,)>) -> Raw {
    let all = rooms.delayed(&request.session.user_id).await?;
    let one = all.iter().find(|one| one.id == request.path.0);
    let one = one.ok_or_else(|| ApiError::not_found("There is no such delayed event"))?;
    let mut answer = shown(one);
    if let Some(end) = &one.end {
        answer["finalised_ts"] = end.at_ms.into();
        tell_outcome(&mut answer, end);
    }
    RawJson::of(&answer)
}

/// The body of the older way to act on one.
#[derive(Deserialize)]
pub(crate) struct Action {
    action: Option<String>,
}

/// `POST …/unstable/org.matrix.msc4140/delayed_events/{delayId}`: whoever knows the id may.
pub(crate) async fn update_by_body(State(rooms): State<Rooms>, request: MaybeAuthedRaw<(String,)>) -> Raw {
    let Action { action } = body::json(&request.body)?;
    let action = action.ok_or_else(|| ApiError::missing_param("action is required"))?;
    let unknown = || ApiError::invalid_param("action is cancel, restart or send");
    update(&rooms, &request.path.0, &action).await?.ok_or_else(unknown)
}

/// `POST …/unstable/org.matrix.msc4140/delayed_events/{delayId}/{action}`
pub(crate) async fn update_by_path(State(rooms): State<Rooms>, request: MaybeAuthedRaw<(String, String)>) -> Raw {
    let (id, action) = &request.path;
    update(&rooms, id, action).await?.ok_or_else(|| ApiError::unrecognized("There is no such action"))
}

async fn update(rooms: &Rooms, id: &str, action: &str) -> Result<Option<RawJson>, ApiError> {
    match action {
        "cancel" => rooms.cancel_delayed(id).await?,
        "restart" => rooms.restart_delayed(id).await?,
        "send" => drop(rooms.send_delayed(id).await?),
        _ => return Ok(None),
    }
    empty().map(Some)
}

fn shown(one: &Delayed) -> Value {
    let content = RawValue::from_string(one.content.clone()).ok();
    let mut shown = json!({
        "delay_id": one.id,
        "room_id": one.room,
        "type": one.kind,
        "delay": one.delay_ms,
        "running_since": one.running_since_ms,
        "content": content,
    });
    if let Some(state_key) = &one.state_key {
        shown["state_key"] = state_key.as_str().into();
    }
    shown
}

fn finalised(one: &Delayed) -> Option<Value> {
    let end = one.end.as_ref()?;
    let (outcome, reason) = match (&end.outcome, end.was_asked_for) {
        (DelayedOutcome::Sent(_), true) => ("send", "action"),
        (DelayedOutcome::Sent(_), false) => ("send", "delay"),
        (DelayedOutcome::Cancelled, true) => ("cancel", "action"),
        // Somebody else has set the state that it would have set.
        (DelayedOutcome::Cancelled, false) | (DelayedOutcome::Refused(_), _) => ("cancel", "error"),
    };
    let mut told = json!({
        "delayed_event": shown(one),
        "outcome": outcome,
        "reason": reason,
        "origin_server_ts": end.at_ms,
    });
    tell_outcome(&mut told, end);
    Some(told)
}

fn tell_outcome(answer: &mut Value, end: &DelayedEnd) {
    match &end.outcome {
        DelayedOutcome::Sent(event) => answer["event_id"] = event.as_str().into(),
        DelayedOutcome::Cancelled => {}
        DelayedOutcome::Refused(why) => answer["error"] = json!({ "errcode": "M_FORBIDDEN", "error": why }),
    }
}
