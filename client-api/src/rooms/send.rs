//! Saying things: messages and redactions, once for each transaction id.

use axum::extract::State;
use lyceum_accounts::{Session, SessionKind};
use lyceum_events::Draft;
use lyceum_rooms::{Rooms, Sender, Transaction};
use lyceum_web::{Answer, Authed, Ruma};
use ruma::{
    MilliSecondsSinceUnixEpoch,
    api::client::{message::send_message_event, redact::redact_event},
    events::TimelineEventType,
};

use super::content;

/// `PUT /_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}`.
pub(crate) async fn send_message_event(
    State(rooms): State<Rooms>,
    Authed { session, body }: Authed<send_message_event::v3::Request>,
) -> Answer<send_message_event::v3::Response> {
    let kind = body.event_type.to_string();
    let endpoint = format!("send|{kind}");
    let transaction = transaction(&session, &endpoint, body.txn_id.as_str());
    let sender =
        Sender { user: &session.user_id, transaction: Some(transaction), ts: time_of(&session, body.timestamp) };
    let mut content = content(&body.body)?;
    let event_id = if kind == TimelineEventType::RoomRedaction.to_string() {
        let redacts = redacted_by(&mut content)?;
        rooms.send_redaction(sender, &body.room_id, &redacts, content).await?
    } else {
        rooms.send(sender, &body.room_id, Draft::message(kind, content)).await?
    };
    Ok(Ruma(send_message_event::v3::Response::new(event_id)))
}

/// What a redaction that is sent like any other event redacts.
fn redacted_by(content: &mut ruma::CanonicalJsonObject) -> Result<ruma::OwnedEventId, lyceum_web::ApiError> {
    let redacts = content.remove("redacts");
    let redacts = redacts.as_ref().and_then(|value| value.as_str()).and_then(|id| id.try_into().ok());
    redacts.ok_or_else(|| lyceum_web::ApiError::bad_json("A redaction names the event it redacts"))
}

/// `PUT /_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId}`.
pub(crate) async fn redact_event(
    State(rooms): State<Rooms>,
    Authed { session, body }: Authed<redact_event::v3::Request>,
) -> Answer<redact_event::v3::Response> {
    let endpoint = format!("redact|{}", body.event_id);
    let transaction = transaction(&session, &endpoint, body.txn_id.as_str());
    let sender = Sender { user: &session.user_id, transaction: Some(transaction), ts: None };
    let event_id = rooms.redact(sender, &body.room_id, &body.event_id, body.reason.as_deref()).await?;
    Ok(Ruma(redact_event::v3::Response::new(event_id)))
}

fn transaction<'a>(session: &'a Session, endpoint: &'a str, id: &'a str) -> Transaction<'a> {
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
