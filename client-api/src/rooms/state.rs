//! Reading and setting a room's state.

use axum::extract::{RawQuery, State};
use lyceum_events::Clock;
use lyceum_rooms::{Rooms, Sender};
use lyceum_web::{Answer, Authed, RawJson, Ruma};
use ruma::api::client::state::{
    get_state_event_for_key::{self, v3::StateEventFormat},
    get_state_events, send_state_event,
};
use serde_json::json;
use std::sync::Arc;

use super::{
    content,
    delayed::{self, Delay},
    looker, raws,
    send::time_of,
};
use crate::answers::Raw;

/// `GET /_matrix/client/v3/rooms/{roomId}/state`.
pub(crate) async fn get_state_events(
    State(rooms): State<Rooms>,
    State(clock): State<Arc<dyn Clock>>,
    Authed { session, body }: Authed<get_state_events::v3::Request>,
) -> Answer<get_state_events::v3::Response> {
    let events = rooms.state_events_for(&session.user_id, &body.room_id).await?;
    let forms = rooms.present_state(looker(&session, &*clock), &events).await?;
    Ok(Ruma(get_state_events::v3::Response::new(raws(forms))))
}

/// `GET /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}`.
pub(crate) async fn get_state_event_for_key(
    State(rooms): State<Rooms>,
    State(clock): State<Arc<dyn Clock>>,
    Authed { session, body }: Authed<get_state_event_for_key::v3::Request>,
) -> Answer<get_state_event_for_key::v3::Response> {
    let known = rooms.state_event_for(&session.user_id, &body.room_id, &body.event_type, &body.state_key).await?;
    let answer = match body.format {
        StateEventFormat::Event => {
            let forms = rooms.present_state(looker(&session, &*clock), std::slice::from_ref(&known)).await?;
            forms.into_iter().next().unwrap_or_else(|| known.event().content().to_owned())
        }
        _ => known.event().content().to_owned(),
    };
    Ok(Ruma(get_state_event_for_key::v3::Response::new(answer)))
}

/// `PUT /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}`.
pub(crate) async fn send_state_event(
    State(rooms): State<Rooms>,
    RawQuery(query): RawQuery,
    Authed { session, body }: Authed<send_state_event::v3::Request>,
) -> Raw {
    let sender = Sender { user: &session.user_id, transaction: None, ts: time_of(&session, body.timestamp) };
    let content = content(&body.body)?;
    if let Some(delay_ms) = Delay::of(query.as_deref())? {
        let what = (body.event_type.to_string().into(), Some(body.state_key.as_str()));
        return delayed::answer(&rooms.delay(sender, &body.room_id, what, &content, delay_ms).await?);
    }
    let key = (body.event_type, body.state_key.as_str());
    let event_id = rooms.set_state(sender, &body.room_id, key, content).await?;
    RawJson::of(&json!({ "event_id": event_id }))
}
