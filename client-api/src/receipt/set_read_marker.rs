//! `POST /_matrix/client/v3/rooms/{roomId}/read_markers`: several marks in one request.

use axum::extract::State;
use lyceum_accounts::Accounts;
use lyceum_rooms::{Rooms, receipts::ReceiptKind};
use lyceum_web::{Answer, Authed, Ruma};
use ruma::{
    api::client::read_marker::set_read_marker::v3::{Request, Response},
    events::receipt::ReceiptThread,
};

pub(crate) async fn set_read_marker(
    State(rooms): State<Rooms>,
    State(accounts): State<Accounts>,
    Authed { session, body }: Authed<Request>,
) -> Answer<Response> {
    let whose = (&*session.user_id, &*body.room_id);
    if let Some(event) = &body.fully_read {
        super::fully_read(&rooms, &accounts, whose, event).await?;
    }
    let receipts = [(ReceiptKind::Public, &body.read_receipt), (ReceiptKind::Private, &body.private_read_receipt)];
    for (kind, event) in receipts {
        if let Some(event) = event {
            super::read(&rooms, &accounts, whose, kind, ReceiptThread::Unthreaded, event).await?;
        }
    }
    Ok(Ruma(Response::new()))
}
