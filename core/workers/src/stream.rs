//! What followers of rooms read of the stream: where something was committed, and what was said there.

use lyceum_rooms::{Direction, Known, Rooms, Snapshot};
use lyceum_storage::{CommitPage, Position, Subject};
use ruma::{OwnedRoomId, RoomId, UserId, events::StateEventType};
use std::{collections::BTreeMap, sync::Arc};

/// Events of a room read at once.
const PAGE: usize = 100;

/// The rooms in which something was committed, each with the first position at which it was.
pub(crate) fn rooms_of(page: &CommitPage) -> BTreeMap<OwnedRoomId, Position> {
    let mut rooms = BTreeMap::new();
    for commit in &page.commits {
        for subject in commit.subjects.iter() {
            if let Subject::Room(room) = subject
                && let Ok(room) = RoomId::parse(room.as_ref())
            {
                rooms.entry(room).or_insert(commit.first);
            }
        }
    }
    rooms
}

/// What happened in a room from one position to another, in order.
pub(crate) async fn happened(
    rooms: &Rooms,
    room: &RoomId,
    (first, through): (Position, Position),
) -> lyceum_rooms::Result<Vec<Arc<Known>>> {
    let (mut from, through) = (Some(order(first) - 1), order(through));
    let mut happened = Vec::new();
    while let Some(at) = from {
        let page = rooms.page(room, Direction::Forward, at, Some(through), PAGE).await?;
        happened.extend(page.events);
        from = page.next;
    }
    Ok(happened)
}

/// Whether a room is of a kind and was made by one of those whose word on it counts.
pub(crate) fn is_kind(room: &Snapshot, kind: &str, made_by: impl Fn(&UserId) -> bool) -> bool {
    let marks = &room.facts().campus;
    marks.kind.as_deref() == Some(kind)
        && room.kept(&StateEventType::RoomCreate).is_some_and(|create| made_by(create.sender()))
}

fn order(position: Position) -> i64 {
    position.0.cast_signed()
}
