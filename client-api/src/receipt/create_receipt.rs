//! `POST /_matrix/client/v3/rooms/{roomId}/receipt/{receiptType}/{eventId}`.

use axum::extract::State;
use lyceum_accounts::Accounts;
use lyceum_rooms::{Rooms, receipts::ReceiptKind};
use lyceum_web::{Answer, ApiError, Authed, Ruma};
use ruma::{
    api::client::receipt::create_receipt::v3::{ReceiptType, Request, Response},
    events::receipt::ReceiptThread,
};

pub(crate) async fn create_receipt(
    State(rooms): State<Rooms>,
    State(accounts): State<Accounts>,
    Authed { session, body }: Authed<Request>,
) -> Answer<Response> {
    let whose = (&*session.user_id, &*body.room_id);
    if matches!(&body.thread, ReceiptThread::Thread(root) if root.as_str().is_empty()) {
        return Err(ApiError::invalid_param("The thread_id is empty"));
    }
    match body.receipt_type {
        ReceiptType::Read => {
            super::read(&rooms, &accounts, whose, ReceiptKind::Public, body.thread, &body.event_id).await?;
        }
        ReceiptType::ReadPrivate => {
            super::read(&rooms, &accounts, whose, ReceiptKind::Private, body.thread, &body.event_id).await?;
        }
        ReceiptType::FullyRead if body.thread == ReceiptThread::Unthreaded => {
            super::fully_read(&rooms, &accounts, whose, &body.event_id).await?;
        }
        ReceiptType::FullyRead => return Err(ApiError::invalid_param("A fully-read marker has no thread")),
        other => return Err(ApiError::invalid_param(format!("There is no receipt type {other}"))),
    }
    Ok(Ruma(Response::new()))
}
