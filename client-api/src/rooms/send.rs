//! Saying things: messages and redactions, once for each transaction id.

use axum::extract::State;
use lyceum_accounts::{Session, SessionKind};
use lyceum_events::Draft;
use lyceum_rooms::{Rooms, Sender, Transaction};
use lyceum_web::{Answer, ApiError, Authed, AuthedRaw, RawJson, Ruma};
use ruma::{
    CanonicalJsonObject, EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, RoomId,
    api::client::redact::redact_event, events::TimelineEventType,
};
use serde::Deserialize;
use serde_json::json;

use super::delayed;
use crate::answers::Raw;

/// `PUT /_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}`.
pub(crate) async fn send_message_event(
    State(rooms): State<Rooms>,
    request: AuthedRaw<(String, String, String), SendQuery>,
) -> Raw {
    let (session, (room, kind, transaction_id)) = (&request.session, &request.path);
    let room = <&RoomId>::try_from(room.as_str())?;
    let SendQuery { ts, delay_ms } = request.query;
    let endpoint = format!("{}|{kind}", if delay_ms.is_some() { "delayed" } else { "send" });
    let transaction = transaction(session, &endpoint, transaction_id);
    let sender = Sender { user: &session.user_id, transaction: Some(transaction), ts: time_of(session, ts) };
    if delay_ms.is_some()
        && let Some(same) = rooms.already_delayed(sender, room).await?
    {
        return delayed::answer(&same);
    }
    let content: CanonicalJsonObject = serde_json::from_slice(&request.body)?;
    if let Some(delay_ms) = delay_ms {
        session.check_not_suspended()?;
        let what = (TimelineEventType::from(kind.as_str()), None);
        return delayed::answer(&rooms.delay(sender, room, what, &content, delay_ms).await?);
    }
    send(&rooms, session, sender, room, (kind, content)).await
}

/// `POST /_matrix/client/v3/rooms/{roomId}/send/{eventType}`: the same without a transaction, as often as it is asked.
pub(crate) async fn send_without_transaction(
    State(rooms): State<Rooms>,
    request: AuthedRaw<(OwnedRoomId, String)>,
) -> Raw {
    let AuthedRaw { session, path: (room, kind), body, .. } = request;
    let content = serde_json::from_slice(&body)?;
    send(&rooms, &session, Sender::of(&session.user_id), &room, (&kind, content)).await
}

async fn send(
    rooms: &Rooms,
    session: &Session,
    sender: Sender<'_>,
    room: &RoomId,
    (kind, mut content): (&str, CanonicalJsonObject),
) -> Raw {
    let event_id = if kind == TimelineEventType::RoomRedaction.to_string() {
        let redacts = redacted_by(&mut content)?;
        check_may_redact(rooms, session, &redacts).await?;
        rooms.send_redaction(sender, room, &redacts, content).await?
    } else {
        session.check_not_suspended()?;
        rooms.send(sender, room, Draft::message(kind, content)).await?
    };
    RawJson::of(&json!({ "event_id": event_id }))
}

/// What sending may be asked beside the event.
#[derive(Deserialize)]
pub(crate) struct SendQuery {
    /// When it was sent, as application services may say.
    ts: Option<MilliSecondsSinceUnixEpoch>,
    /// To be sent only after so many milliseconds (MSC4140).
    #[serde(rename = "org.matrix.msc4140.delay")]
    delay_ms: Option<u64>,
}

/// Spec, "Account suspension": who is suspended may take back what they said, and nothing of others.
async fn check_may_redact(rooms: &Rooms, session: &Session, target: &EventId) -> Result<(), ApiError> {
    if !session.suspended {
        return Ok(());
    }
    let own = rooms.known(target).await?.is_some_and(|known| known.event().sender() == session.user_id);
    if own { Ok(()) } else { Ok(session.check_not_suspended()?) }
}

/// What a redaction that is sent like any other event redacts.
fn redacted_by(content: &mut CanonicalJsonObject) -> Result<OwnedEventId, ApiError> {
    let redacts = content.remove("redacts");
    let redacts = redacts.as_ref().and_then(|value| value.as_str()).and_then(|id| id.try_into().ok());
    redacts.ok_or_else(|| ApiError::bad_json("A redaction names the event it redacts"))
}

/// `PUT /_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId}`.
pub(crate) async fn redact_event(
    State(rooms): State<Rooms>,
    Authed { session, body }: Authed<redact_event::v3::Request>,
) -> Answer<redact_event::v3::Response> {
    let endpoint = format!("redact|{}", body.event_id);
    let transaction = transaction(&session, &endpoint, body.txn_id.as_str());
    let sender = Sender { user: &session.user_id, transaction: Some(transaction), ts: None };
    check_may_redact(&rooms, &session, &body.event_id).await?;
    let event_id = rooms.redact(sender, &body.room_id, &body.event_id, body.reason.as_deref()).await?;
    Ok(Ruma(redact_event::v3::Response::new(event_id)))
}

/// `POST /_matrix/client/v3/rooms/{roomId}/redact/{eventId}`: the same without a transaction.
pub(crate) async fn redact_without_transaction(
    State(rooms): State<Rooms>,
    request: AuthedRaw<(OwnedRoomId, OwnedEventId)>,
) -> Raw {
    #[derive(Deserialize)]
    struct Why {
        reason: Option<String>,
    }
    let AuthedRaw { session, path: (room, target), body, .. } = request;
    let why: Why = serde_json::from_slice(&body)?;
    check_may_redact(&rooms, &session, &target).await?;
    let event_id = rooms.redact(Sender::of(&session.user_id), &room, &target, why.reason.as_deref()).await?;
    RawJson::of(&json!({ "event_id": event_id }))
}

pub(crate) fn transaction<'a>(session: &'a Session, endpoint: &'a str, id: &'a str) -> Transaction<'a> {
    let device = session.device_id.as_deref().map_or("", |device| device.as_str());
    Transaction { device, endpoint, id }
}

/// Application services may say when something was sent.
pub(crate) fn time_of(
    session: &Session,
    asked: Option<MilliSecondsSinceUnixEpoch>,
) -> Option<MilliSecondsSinceUnixEpoch> {
    asked.filter(|_| matches!(session.kind, SessionKind::Appservice(_)))
}
