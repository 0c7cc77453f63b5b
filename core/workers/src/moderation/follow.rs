//! What wakes moderation: reports, what is to be told, and what is written in the moderation room.

use lyceum_institution::kinds::APPROVALS;
use lyceum_rooms::{HELD_SUBJECT, RoomError};
use lyceum_storage::{Batch, CommitPage, Follower, Subject};
use ruma::RoomId;

use std::time::Duration;

use super::{Moderation, error::Result, notices};
use crate::{
    campus::MODERATION_ROOM,
    stream::{happened, is_kind, rooms_of},
};

/// The follower's name.
const NAME: &str = "moderation";
/// How a commit says that there is a report.
const REPORTS: &str = "reports";
/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// Where commands are heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The moderation room.
    Moderation,
    /// A room in which those who teach this unit look at posts that wait.
    Approvals(String),
}

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

    /// Hears what was said where commands are heard. Each is heard once, or if the server fails meanwhile twice and answered
    /// once.
    async fn hear_all(&self, page: &CommitPage) -> Result<()> {
        let moderation = self.parts().keeper.room_for(MODERATION_ROOM).await?;
        for (room, first) in rooms_of(page) {
            let place = match moderation.as_ref() == Some(&room) {
                true => Some(Place::Moderation),
                false => self.approvals(&room).await?,
            };
            let Some(place) = place else { continue };
            for known in happened(&self.parts().rooms, &room, (first, page.through)).await? {
                self.hear((&room, &place), &known).await?;
            }
        }
        Ok(())
    }

    /// Whether those who teach a unit look at posts in a room.
    async fn approvals(&self, room: &RoomId) -> Result<Option<Place>> {
        if self.parts().institution.settings().approval.is_empty() {
            return Ok(None);
        }
        let snapshot = match self.parts().rooms.snapshot(room).await {
            Err(RoomError::UnknownRoom(_)) => return Ok(None),
            snapshot => snapshot?,
        };
        let ours = is_kind(&snapshot, APPROVALS, |maker| maker == self.account());
        Ok(snapshot.facts().campus.unit.clone().filter(|_| ours).map(Place::Approvals))
    }
}
