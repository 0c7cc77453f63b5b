//! Who proves to be in a room, and who proves to have been there, once its state is whole.

use lyceum_storage::{Batch, Subject};
use ruma::{OwnedEventId, OwnedServerName, OwnedUserId, UserId, events::StateEventType};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::Again;
use crate::{
    Change, Known, Membership, Partial, Result, RoomState,
    import::{BATCH_EVENTS, UnderWay},
    members::MembershipRow,
    tables::{MEMBERSHIP_LOG, MEMBERSHIPS},
};

impl Again<'_> {
    /// The servers that were in the room at some time when it was not believed here.
    pub(super) async fn servers_missed(
        &mut self,
        events: &[Arc<Known>],
        partial: &Partial,
    ) -> Result<Vec<OwnedServerName>> {
        let mut missed = BTreeSet::new();
        let mut last = None;
        for known in events.iter().filter(|known| known.order().is_some()) {
            let Some(state) = self.states.get(known.id()) else { continue };
            let (was, is) = (known.after(), state.group);
            if last.replace((was, is)) == Some((was, is)) {
                continue;
            }
            let joined = servers_joined(&state.state);
            let believed = match was {
                Some(group) => servers_joined(&self.writing.state_of(group).await?.state),
                None => BTreeSet::new(),
            };
            missed.extend(joined.into_iter().filter(|one| !believed.contains(one) && !partial.has_server(one)));
        }
        missed.remove(self.writing.rooms.server());
        Ok(missed.into_iter().collect())
    }

    /// How people of other servers stand to the room: many rows, written before the room is whole.
    pub(super) async fn write_remote_members(&self, changes: &[Change]) -> Result<()> {
        let (rooms, room) = (&self.writing.rooms, &self.writing.room.id);
        let mut members: Vec<_> =
            changes.iter().filter_map(member_of).filter(|(user, _)| !rooms.is_local(user)).collect();
        members.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let mut under_way = UnderWay::default();
        for part in members.chunks(BATCH_EVENTS) {
            let ids: Vec<_> = part.iter().filter_map(|(_, id)| id.clone()).collect();
            let events: HashMap<_, _> =
                rooms.must_know_all(ids.iter()).await?.into_iter().map(|known| (known.id().clone(), known)).collect();
            let mut batch = Batch::new();
            for (user, id) in part {
                match id.as_ref().and_then(|id| events.get(id)) {
                    Some(known) => {
                        let row = MembershipRow::of(known.event(), 0).stored();
                        batch.put(&MEMBERSHIPS, (user.as_str(), room.as_str()), &row)
                    }
                    None => batch.delete(&MEMBERSHIPS, (user.as_str(), room.as_str())),
                };
            }
            under_way.add(rooms.store().enqueue(batch)).await?;
        }
        under_way.end().await?;
        for (user, _) in &members {
            rooms.0.memberships.drop_user(user);
        }
        Ok(())
    }

    /// How people of this server stand to the room, where that proves to be otherwise.
    pub(super) async fn note_local_members(&mut self, changes: &[Change]) -> Result<()> {
        let rooms = self.writing.rooms.clone();
        for (user, id) in changes.iter().filter_map(member_of).filter(|(user, _)| rooms.is_local(user)) {
            let event = match &id {
                Some(id) => Some(self.writing.event(id).await?),
                None => None,
            };
            let (shared, room) = (rooms.0.clone(), self.writing.room.id.clone());
            let batch = self.writing.batch();
            batch.touch(Subject::user(&user));
            let owner = user.clone();
            batch.at_position(move |position, writes| {
                match &event {
                    Some(event) => {
                        let row = MembershipRow::of(event, position.0).stored();
                        writes.put(&MEMBERSHIPS, (owner.as_str(), room.as_str()), &row);
                    }
                    None => writes.delete(&MEMBERSHIPS, (owner.as_str(), room.as_str())),
                }
                writes.put(&MEMBERSHIP_LOG, (owner.as_str(), position.0), &room.to_string());
            });
            batch.after_commit(move |_| shared.memberships.drop_user(&user));
        }
        Ok(())
    }
}

/// Whose membership a change is about, and the event that holds it from now on.
fn member_of(change: &Change) -> Option<(OwnedUserId, Option<OwnedEventId>)> {
    let (kind, user) = &change.key;
    let user = UserId::parse(user.as_str()).ok().filter(|_| *kind == StateEventType::RoomMember)?;
    Some((user, change.to.as_ref().map(|(id, _)| id.clone())))
}

fn servers_joined(state: &RoomState) -> BTreeSet<OwnedServerName> {
    let joined = state.members().filter(|(_, member)| member.membership == Membership::Join);
    joined.map(|(user, _)| user.server_name().to_owned()).collect()
}
