//! `POST /_matrix/client/v3/rooms/{roomId}/receipt/{receiptType}/{eventId}`.

use axum::extract::State;
use lyceum_accounts::Accounts;
use lyceum_rooms::{Rooms, receipts::ReceiptKind};
use lyceum_web::{ApiError, AuthedRaw, body};
use ruma::{
    EventId, OwnedEventId, OwnedRoomId, api::client::receipt::create_receipt::v3::ReceiptType,
    events::receipt::ReceiptThread,
};
use serde::Deserialize;
use serde_json::Value;

use crate::answers::{Raw, empty};

/// The body. Ruma takes an empty `thread_id` for none.
#[derive(Deserialize)]
struct Body {
    thread_id: Option<Value>,
}

pub(crate) async fn create_receipt(
    State(rooms): State<Rooms>,
    State(accounts): State<Accounts>,
    request: AuthedRaw<(OwnedRoomId, ReceiptType, OwnedEventId)>,
) -> Raw {
    let (room, kind, event) = &request.path;
    let whose = (&*request.session.user_id, &**room);
    let Body { thread_id } = body::json(&request.body)?;
    let thread = thread(thread_id)?;
    match kind {
        ReceiptType::Read => super::read(&rooms, &accounts, whose, ReceiptKind::Public, thread, event).await?,
        ReceiptType::ReadPrivate => super::read(&rooms, &accounts, whose, ReceiptKind::Private, thread, event).await?,
        ReceiptType::FullyRead if thread == ReceiptThread::Unthreaded => {
            super::fully_read(&rooms, &accounts, whose, event).await?;
        }
        ReceiptType::FullyRead => return Err(ApiError::invalid_param("A fully-read marker has no thread")),
        other => return Err(ApiError::invalid_param(format!("There is no receipt type {other}"))),
    }
    empty()
}

/// Spec: 400 if the `thread_id` "is not a string" or "is empty".
fn thread(id: Option<Value>) -> Result<ReceiptThread, ApiError> {
    let root = match id {
        None | Some(Value::Null) => return Ok(ReceiptThread::Unthreaded),
        Some(Value::String(id)) if id == "main" => return Ok(ReceiptThread::Main),
        Some(Value::String(id)) => EventId::parse(id).ok(),
        Some(_) => None,
    };
    root.map(ReceiptThread::Thread)
        .ok_or_else(|| ApiError::invalid_param("thread_id is main or the id of a thread's root"))
}
