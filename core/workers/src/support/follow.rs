//! What wakes the support desk: what happens in the chats with it, and in the room of those who support.

use lyceum_institution::kinds::SUPPORT_DESK;
use lyceum_rooms::{Joining, Membership, RoomError, Snapshot};
use lyceum_storage::{Batch, CommitPage, Follower};
use ruma::{CanonicalJsonObject, RoomId, UserId};
use std::time::Duration;

use super::Support;
use crate::{
    moderation::Result,
    stream::{happened, is_kind, rooms_of},
};

/// The follower's name.
const NAME: &str = "support";
/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);

impl Support {
    /// Passes on what is asked and answered, for as long as the server runs.
    pub async fn run(self) {
        let mut follower = None;
        loop {
            let stepped = tokio::select! {
                () = self.store().ended() => return,
                stepped = self.step(&mut follower) => stepped,
            };
            if let Err(error) = stepped {
                tracing::warn!(%error, "the support desk could not go on, trying again");
                follower = None;
                self.parts().clock.sleep(PAUSE).await;
            }
        }
    }

    /// Works through one page of the stream. Each event is passed on once, however often the page is worked through.
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
        let (Some((account, _)), Some(team)) = (self.desk(), self.team().await?) else { return Ok(()) };
        let own = self.parts().institution.account();
        for (room, first) in rooms_of(page) {
            let is_team = room == team;
            match self.is_asked_in(account, &room).await {
                Err(error) if error.is_trouble() => return Err(error),
                Err(error) => tracing::warn!(%error, %room, "the support desk could not come into a chat"),
                Ok(true) => {}
                Ok(false) if is_team => {}
                Ok(false) => continue,
            }
            for known in happened(&self.parts().rooms, &room, (first, page.through)).await? {
                let heard = match is_team {
                    true => self.hear_team(&team, &known).await,
                    false => self.hear_asker(&team, &known).await,
                };
                match heard {
                    Err(error) if error.is_trouble() => return Err(error),
                    Err(error) => {
                        tracing::warn!(%error, "something was not passed on at the support desk");
                        let told = self.tell_failure(if is_team { own } else { account }, &known, &error).await;
                        if let Err(error) = told
                            && error.is_trouble()
                        {
                            return Err(error);
                        }
                    }
                    Ok(()) => {}
                }
            }
        }
        Ok(())
    }

    /// Whether a room is a chat with the desk, which comes in when it is asked to.
    async fn is_asked_in(&self, account: &UserId, room: &RoomId) -> Result<bool> {
        let snapshot = match self.parts().rooms.snapshot(room).await {
            Err(RoomError::UnknownRoom(_)) => return Ok(false),
            snapshot => snapshot?,
        };
        match snapshot.membership(account) {
            Membership::Join => Ok(self.is_chat(account, &snapshot)),
            Membership::Invite if self.is_chat(account, &snapshot) => {
                let joining =
                    Joining { user: account, reason: None, is_guest: false, more: CanonicalJsonObject::new() };
                self.parts().rooms.join(&joining, room).await?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn is_chat(&self, account: &UserId, room: &Snapshot) -> bool {
        is_kind(room, SUPPORT_DESK, |maker| maker.server_name() == account.server_name())
    }
}
