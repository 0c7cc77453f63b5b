//! What wakes moderation: reports, what is to be told, and what is written in the moderation room.

use lyceum_rooms::{Direction, HELD_SUBJECT};
use lyceum_storage::{Batch, CommitPage, Follower, Position, Subject};

use std::time::Duration;

use super::{Moderation, error::Result, notices};
use crate::campus::MODERATION_ROOM;

/// The follower's name.
const NAME: &str = "moderation";
/// How a commit says that there is a report.
const REPORTS: &str = "reports";
/// Events of the moderation room read at once.
const PAGE: usize = 100;
/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);

impl Moderation {
    /// Takes up reports, does what moderators write and tells what is to be told, for as long as the server runs.
    pub async fn run(self) {
        let mut follower = None;
        loop {
            let stepped = tokio::select! {
                () = self.store().ended() => return,
                stepped = self.step(&mut follower) => stepped,
            };
            if let Err(error) = stepped {
                tracing::warn!(%error, "moderation could not go on, trying again");
                follower = None;
                self.parts().clock.sleep(PAUSE).await;
            }
        }
    }

    /// Works through one page of the stream.
    async fn step(&self, follower: &mut Option<Follower>) -> Result<()> {
        let follower = match follower {
            Some(follower) => follower,
            None => follower.insert(Follower::new(self.store(), NAME).await?),
        };
        let page = follower.next().await?;
        self.work(&page).await?;
        let mut batch = Batch::new();
        follower.advance(&mut batch, page.through);
        self.store().commit(batch).await?;
        Ok(())
    }

    async fn work(&self, page: &CommitPage) -> Result<()> {
        let _working = self.0.working.lock().await;
        let touches = |name: &str| {
            let is_it = |subject: &Subject| matches!(subject, Subject::Other(other) if &**other == name);
            page.missed || page.commits.iter().any(|commit| commit.subjects.iter().any(is_it))
        };
        if touches(REPORTS) {
            self.take_reports().await?;
        }
        if touches(HELD_SUBJECT) {
            self.tell_of_waiting().await?;
        }
        self.hear_all(page).await?;
        if touches(REPORTS) || touches(notices::SUBJECT) {
            self.tell_all().await?;
        }
        Ok(())
    }

    /// Hears what was said in the moderation room. Each is heard once, or if the server fails meanwhile twice and answered
    /// once.
    async fn hear_all(&self, page: &CommitPage) -> Result<()> {
        let Some(room) = self.parts().keeper.room_for(MODERATION_ROOM).await? else { return Ok(()) };
        let subject = Subject::room(&room);
        let about = page.commits.iter().filter(|commit| commit.subjects.contains(&subject));
        let Some(first) = about.map(|commit| commit.first).min() else { return Ok(()) };
        let through = order(page.through);
        let mut from = order(first) - 1;
        loop {
            let said = self.parts().rooms.page(&room, Direction::Forward, from, Some(through), PAGE).await?;
            for known in &said.events {
                self.hear(&room, known).await?;
            }
            match said.next {
                Some(next) => from = next,
                None => return Ok(()),
            }
        }
    }
}

fn order(position: Position) -> i64 {
    position.0.cast_signed()
}
