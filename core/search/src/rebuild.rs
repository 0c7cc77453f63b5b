//! The index made anew from the rooms.

use lyceum_rooms::Direction;
use ruma::{OwnedRoomId, RoomId};

use crate::{
    error::Result,
    follow::{Inner, PAGE_EVENTS, Progress, Seen, is_searched},
    index::Change,
};

/// Rooms listed at once.
const PAGE_ROOMS: usize = 500;

impl Inner {
    /// Makes the index anew from the rooms.
    pub(crate) async fn rebuild(&self) -> Result<u64> {
        let mut progress = self.progress.lock().await;
        loop {
            let mut at = self.store.committed();
            self.blocking(|index| index.clear()).await?;
            let count = self.fill().await?;
            // What was committed meanwhile may be in it, or may not.
            while let Some((changes, through)) = self.changes_since(at, Seen::Perhaps).await? {
                self.blocking(move |index| index.apply(changes)).await?;
                if through == at {
                    self.blocking(move |index| index.commit(at)).await?;
                    *progress = Progress::settled(at);
                    return Ok(count);
                }
                at = through;
            }
        }
    }

    /// Puts what all rooms hold into the empty index.
    async fn fill(&self) -> Result<u64> {
        let (mut after, mut count): (Option<OwnedRoomId>, u64) = (None, 0);
        loop {
            let rooms = self.rooms.ids_after(after.as_deref(), PAGE_ROOMS).await?;
            for room in &rooms {
                if self.may_index(room).await? {
                    count += self.rebuild_room(room).await?;
                }
            }
            if rooms.len() < PAGE_ROOMS {
                return Ok(count);
            }
            after = rooms.last().cloned();
        }
    }

    async fn rebuild_room(&self, room: &RoomId) -> Result<u64> {
        let (mut from, mut count) = (i64::MIN, 0);
        loop {
            let page = self.rooms.page(room, Direction::Forward, from, None, PAGE_EVENTS).await?;
            let mut changes = Vec::new();
            for known in page.events.iter().filter(|known| is_searched(known.event().kind())) {
                if let Change::Put(entry) = self.change_of(known).await? {
                    changes.push(Change::Add(entry));
                }
            }
            count += changes.len() as u64;
            self.blocking(move |index| index.apply(changes)).await?;
            match page.next {
                Some(next) => from = next,
                None => return Ok(count),
            }
        }
    }
}
