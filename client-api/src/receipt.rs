//! How far somebody has read: receipts and the fully-read marker.

pub(crate) mod create_receipt;
pub(crate) mod set_read_marker;

use lyceum_accounts::Accounts;
use lyceum_rooms::{RoomError, Rooms, receipts::ReceiptKind};
use lyceum_web::ApiError;
use ruma::{EventId, RoomId, UserId, events::receipt::ReceiptThread};

/// Moves a public or private receipt. Reading is a sign of being there.
async fn read(
    rooms: &Rooms,
    accounts: &Accounts,
    (user, room): (&UserId, &RoomId),
    kind: ReceiptKind,
    thread: ReceiptThread,
    event: &EventId,
) -> Result<(), ApiError> {
    rooms.read(user, room, kind, thread, event).await?;
    accounts.presence().note_active(user);
    Ok(())
}

/// Moves the fully-read marker, which is account data of the room.
async fn fully_read(
    rooms: &Rooms,
    accounts: &Accounts,
    (user, room): (&UserId, &RoomId),
    event: &EventId,
) -> Result<(), ApiError> {
    if !rooms.snapshot(room).await?.is_joined(user) {
        return Err(ApiError::forbidden("You are not in this room"));
    }
    let known = rooms.known(event).await?.filter(|known| known.event().room() == room);
    known.ok_or_else(|| RoomError::UnknownEvent(event.to_owned()))?;
    Ok(accounts.set_fully_read(user, room, event).await?)
}
