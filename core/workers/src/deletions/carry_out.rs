//! One room, taken away: each step is noted, so that after a restart none is taken twice.

use lyceum_events::Draft;
use lyceum_rooms::{Arrangement, Membership, NewRoom, Outcome, Preset, RoomError, Sender};
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedRoomId, OwnedUserId, RoomId, UserId, events::TimelineEventType,
};
use std::time::Duration;

use super::{Deletion, DeletionError, Deletions, DeletionsParts, Purge, Result};
use crate::tables::DELETIONS;

/// The power level of those who are brought into the new room: too low to speak.
const QUIET_LEVEL: i32 = -10;
/// How long other servers have to be told that our people left, before that is forgotten with the rest.
const TELLING: Duration = Duration::from_secs(2);

impl Deletions {
    pub(super) async fn carry_out(&self, id: u64, job: &mut Deletion) -> Result<()> {
        let room = RoomId::parse(&job.room_id).map_err(|error| RoomError::InvalidParam(error.to_string()))?;
        if job.block {
            let by = <&UserId>::try_from(job.by.as_str()).map_err(|error| RoomError::Bad(error.to_string()))?;
            self.0.rooms.block(&room, by).await?;
        }
        let snapshot = match self.0.rooms.snapshot(&room).await {
            Ok(snapshot) => snapshot,
            // There is nobody to leave; what is left of it, if we were cut off, goes now.
            Err(RoomError::UnknownRoom(_)) => return self.purge(job, &room, &[]).await,
            Err(error) => return Err(error.into()),
        };
        let (mut members, mut others) = (Vec::new(), false);
        for (user, member) in snapshot.state().members() {
            let is_there = matches!(member.membership, Membership::Join | Membership::Invite | Membership::Knock);
            match self.0.rooms.is_local(user) {
                true if is_there => members.push((user.clone(), member.membership)),
                true => {}
                false => others |= member.membership == Membership::Join,
            }
        }
        let successor = self.successor(id, job).await?;
        if let Some(successor) = &successor {
            self.bring_over(job, successor, &members).await?;
        }
        self.empty(id, job, &room, &members).await?;
        let aliases = self.0.rooms.redirect_aliases(&room, successor.as_deref()).await?;
        if !aliases.is_empty() {
            job.aliases = aliases.into_iter().map(Into::into).collect();
        }
        self.note(id, job).await?;
        if others && job.purge != Purge::Nothing {
            self.0.clock.sleep(TELLING).await;
        }
        let stayed: Vec<_> = job.stayed.iter().filter_map(|user| UserId::parse(user).ok()).collect();
        self.purge(job, &room, &stayed).await
    }

    /// The room that people come into instead: made once, with the note that it was.
    async fn successor(&self, id: u64, job: &mut Deletion) -> Result<Option<OwnedRoomId>> {
        let Some(by) = job.new_room_by().map(ToOwned::to_owned) else { return Ok(None) };
        if let Some(made) = &job.new_room {
            return Ok(OwnedRoomId::try_from(made.as_str()).ok());
        }
        let levels = [("users_default".to_owned(), CanonicalJsonValue::Integer(QUIET_LEVEL.into()))];
        let new = NewRoom {
            preset: Preset::PublicChat,
            name: Some(job.new_room_name.clone()),
            power_levels: Some(levels.into_iter().collect()),
            ..NewRoom::default()
        };
        let noted = job.clone();
        let note = move |room: &RoomId, batch: &mut lyceum_storage::Batch| {
            batch.put(&DELETIONS, id, &Deletion { new_room: Some(room.to_string()), ..noted.clone() });
        };
        let made = self.0.rooms.create_noted(&by, new, &note).await?.room_id;
        job.new_room = Some(made.to_string());
        let content = [("msgtype", "m.text"), ("body", job.message.as_str())];
        let content = content.into_iter().map(|(key, text)| (key.to_owned(), text.to_owned().into()));
        let draft = Draft::message(TimelineEventType::RoomMessage, content.collect::<CanonicalJsonObject>());
        self.0.rooms.send(Sender::of(&by), &made, draft).await?;
        Ok(Some(made))
    }

    /// Lets everybody of this server leave.
    async fn empty(
        &self,
        id: u64,
        job: &mut Deletion,
        room: &RoomId,
        members: &[(OwnedUserId, Membership)],
    ) -> Result<()> {
        job.stayed.clear();
        for (user, _) in members {
            let left = match self.0.rooms.leave(user, room, None).await {
                Ok(Outcome::Done(_)) => Ok(()),
                // An invite to a room that this server is not in.
                Ok(Outcome::ByAnotherServer) => self.0.rooms.leave_outside(user, room, None).await,
                Err(error) => Err(error),
            };
            match left {
                Ok(()) => job.left.push(user.to_string()),
                Err(error @ (RoomError::Storage(_) | RoomError::Commit(_))) => return Err(error.into()),
                Err(_) => job.stayed.push(user.to_string()),
            }
        }
        self.note(id, job).await
    }

    /// Brings those who were in the old room into the new one.
    async fn bring_over(&self, job: &Deletion, to: &RoomId, members: &[(OwnedUserId, Membership)]) -> Result<()> {
        let Some(by) = job.new_room_by() else { return Ok(()) };
        let were_in = members.iter().filter(|(user, membership)| *membership == Membership::Join && user != by);
        let joins = were_in.map(|(user, _)| user.clone()).collect();
        self.0.rooms.arrange(by, to, &Arrangement { joins, ..Arrangement::default() }).await?;
        Ok(())
    }

    async fn purge(&self, job: &Deletion, room: &RoomId, stayed: &[OwnedUserId]) -> Result<()> {
        let DeletionsParts { rooms, .. } = &*self.0;
        match job.purge {
            Purge::Nothing => return Ok(()),
            Purge::WhenEmpty if !stayed.is_empty() => {
                let why = format!("{} people of this server could not be made to leave", stayed.len());
                return Err(DeletionError::Rooms(RoomError::Forbidden(why)));
            }
            Purge::WhenEmpty | Purge::Always => {}
        }
        rooms.purge(room).await?;
        // Whoever stayed leaves what is no room any more, so that their clients are told.
        for user in stayed {
            rooms.leave_outside(user, room, None).await?;
        }
        Ok(())
    }
}
