//! Which rooms a client looks at: all of the person's rooms in order, cut down to the lists and stretches asked for.

use lyceum_rooms::{Direction, Membership, RoomError};
use lyceum_storage::Subject;
use ruma::{
    OwnedRoomId, RoomId, UserId,
    events::{GlobalAccountDataEventType, TimelineEventType},
};
use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::{
    Result, Sync,
    activity::Changes,
    sliding::{
        Look,
        connection::{Connection, Placed},
        message::{Filters, ListAnswer, Stretch, Subscription},
        position_of,
    },
    timeline::order_of,
};

/// Events looked back through for one that lifts a room in the order.
const LOOKED_BACK_MAX: usize = 200;
/// Stretches one list may ask for.
const STRETCHES_MAX: usize = 32;

/// What of a room is wanted, over all lists and subscriptions that show it.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) timeline_limit: u64,
    pub(crate) required_state: BTreeSet<(String, String)>,
    pub(crate) lists: BTreeSet<String>,
    pub(crate) subscribed: bool,
}

impl Wishes {
    fn add(&mut self, wishes: &Subscription) {
        self.timeline_limit = self.timeline_limit.max(wishes.timeline_limit);
        self.required_state.extend(wishes.required_state.iter().cloned());
    }
}

/// The rooms a client looks at.
pub(crate) type Watched = BTreeMap<OwnedRoomId, Wishes>;

impl Sync {
    pub(crate) async fn lists(
        &self,
        look: &Look<'_>,
        after: &mut Connection,
    ) -> Result<(BTreeMap<String, ListAnswer>, Watched)> {
        self.place_rooms(look, after).await?;
        let mut order: Vec<(&OwnedRoomId, &Placed)> = after.placed.iter().collect();
        order.sort_by(|(one, a), (other, b)| b.bump_stamp.cmp(&a.bump_stamp).then_with(|| one.cmp(other)));
        let direct = self.direct_rooms(look.turn.request.user).await?;

        let (mut answers, mut watched) = (BTreeMap::new(), Watched::new());
        for (name, list) in &look.request.lists {
            let mut rooms = Vec::new();
            for (room, placed) in &order {
                if self.belongs(look, list.filters.as_ref(), room, placed, &direct).await? {
                    rooms.push((*room).clone());
                }
            }
            let mut ops = Vec::new();
            for (first, last) in list.ranges.iter().take(STRETCHES_MAX).copied() {
                let stretch = stretch(&rooms, first, last);
                for room in stretch {
                    let wishes = watched.entry(room.clone()).or_default();
                    wishes.add(&list.wishes);
                    wishes.lists.insert(name.clone());
                }
                ops.push(Stretch { op: "SYNC", range: (first, last), room_ids: stretch.to_vec() });
            }
            answers.insert(name.clone(), ListAnswer { count: rooms.len() as u64, ops });
        }
        for (room, wishes) in &look.request.room_subscriptions {
            if after.placed.contains_key(room)
                || look.before.sent.contains_key(room)
                || self.may_peek(look, room).await?
            {
                let entry = watched.entry(room.clone()).or_default();
                entry.add(wishes);
                entry.subscribed = true;
            }
        }
        // A room one was told of and then removed from is told once more.
        for room in look.before.sent.keys().filter(|room| !after.placed.contains_key(*room)) {
            watched.entry(room.clone()).or_default();
        }
        Ok((answers, watched))
    }

    async fn may_peek(&self, look: &Look<'_>, room: &RoomId) -> Result<bool> {
        match self.rooms().visibility(look.turn.request.user, room).await {
            Ok(visibility) => Ok(visibility.may_look()),
            Err(RoomError::UnknownRoom(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Looks again at the places of those rooms that changed.
    async fn place_rooms(&self, look: &Look<'_>, after: &mut Connection) -> Result<()> {
        let user = look.turn.request.user;
        let rows = self.rooms().memberships(user).await?;
        let changed: Option<HashSet<OwnedRoomId>> = match (look.before.token, look.turn.changes) {
            (Some(token), Changes::Subjects(subjects)) => {
                let rooms = subjects.iter().filter_map(|subject| match subject {
                    Subject::Room(room) => RoomId::parse(&**room).ok(),
                    _ => None,
                });
                let moves = self.rooms().membership_changes(user, token.position, look.turn.to.position).await?;
                Some(rooms.chain(moves.into_iter().map(|(_, room)| room)).collect())
            }
            _ => None,
        };
        if changed.is_none() {
            after.placed = imbl::HashMap::new();
        }
        let changed_rows: Vec<_> = match &changed {
            Some(changed) => changed.iter().filter_map(|room| rows.get(room)).collect(),
            None => rows.values().collect(),
        };
        for row in changed_rows {
            let is_shown = match row.membership {
                Membership::Join | Membership::Knock => !row.forgotten,
                Membership::Invite => !self.is_hidden_invite(user, &row.sender).await?,
                Membership::Leave | Membership::Ban => false,
            };
            if !is_shown {
                after.placed.remove(&row.room_id);
                continue;
            }
            let bump_stamp = match row.membership {
                Membership::Join => self.bump_stamp(&row.room_id).await?.unwrap_or(row.position.0),
                _ => row.position.0,
            };
            after.placed.insert(row.room_id.clone(), Placed { bump_stamp, membership: row.membership });
        }
        Ok(())
    }

    /// The place of the last event that lifts a room in the order: messages do, renaming or joining does not.
    async fn bump_stamp(&self, room: &RoomId) -> Result<Option<u64>> {
        let last = self.rooms().now(room).await?.1;
        if let Some((seen, bump)) = self.bumps().get(room)
            && seen == last
        {
            return Ok(bump);
        }
        let (floor, known) = self.bumps().get(room).map_or((None, None), |(seen, bump)| (Some(seen), bump));
        let page = self.rooms().page(room, Direction::Backward, last, floor, LOOKED_BACK_MAX).await?;
        let newest = page.events.iter().find(|known| lifts(known.event().kind())).and_then(|known| known.order());
        let bump = newest.and_then(|order| u64::try_from(order).ok()).or(known);
        self.bumps().insert(room.to_owned(), (last, bump));
        Ok(bump)
    }

    async fn belongs(
        &self,
        look: &Look<'_>,
        filters: Option<&Filters>,
        room: &RoomId,
        placed: &Placed,
        direct: &HashSet<OwnedRoomId>,
    ) -> Result<bool> {
        let Some(filters) = filters else { return Ok(true) };
        let invited = placed.membership == Membership::Invite;
        if filters.is_invite.is_some_and(|wanted| wanted != invited)
            || filters.is_dm.is_some_and(|wanted| wanted != direct.contains(room))
        {
            return Ok(false);
        }
        let asks_for_state = filters.is_encrypted.is_some()
            || filters.room_types.is_some()
            || !filters.not_room_types.is_empty()
            || filters.room_name_like.is_some();
        if asks_for_state && !self.state_fits(filters, room).await? {
            return Ok(false);
        }
        if filters.tags.is_none() && filters.not_tags.is_empty() {
            return Ok(true);
        }
        let tags = self.accounts().tags(look.turn.request.user, room).await?;
        Ok(filters.tags.as_ref().is_none_or(|wanted| wanted.iter().any(|tag| tags.contains_key(tag)))
            && !filters.not_tags.iter().any(|tag| tags.contains_key(tag)))
    }

    async fn state_fits(&self, filters: &Filters, room: &RoomId) -> Result<bool> {
        let snapshot = match self.rooms().snapshot(room).await {
            Ok(snapshot) => snapshot,
            // An invite to a room elsewhere: nothing is known of its state.
            Err(RoomError::UnknownRoom(_)) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let facts = snapshot.facts();
        let kind = &facts.room_type;
        let name = facts.name.as_deref().unwrap_or_default().to_lowercase();
        Ok(filters.is_encrypted.is_none_or(|wanted| wanted == facts.encryption.is_some())
            && filters.room_types.as_ref().is_none_or(|types| types.contains(kind))
            && !filters.not_room_types.contains(kind)
            && filters.room_name_like.as_ref().is_none_or(|part| name.contains(&part.to_lowercase())))
    }

    /// The person's direct chats, as their clients keep them.
    pub(crate) async fn direct_rooms(&self, user: &UserId) -> Result<HashSet<OwnedRoomId>> {
        let kind = GlobalAccountDataEventType::Direct.to_string();
        let Some(content) = self.accounts().account_data(user, None, &kind).await? else { return Ok(HashSet::new()) };
        let by_person: BTreeMap<String, Vec<OwnedRoomId>> = serde_json::from_str(&content).unwrap_or_default();
        Ok(by_person.into_values().flatten().collect())
    }

    /// Whether anything in a room may have changed since the client was told of it.
    pub(crate) fn may_have_changed(&self, look: &Look<'_>, room: &RoomId) -> bool {
        let user = look.turn.request.user;
        look.turn.changes.may_include(&Subject::room(room)) || look.turn.changes.may_include(&Subject::own(user, room))
    }

    /// Whether a room was told of before the last answer but not with it, so that more may be new than changed since then.
    pub(crate) fn is_behind(&self, look: &Look<'_>, room: &RoomId) -> bool {
        let last = position_of(look.before.token);
        look.before.sent.get(room).is_some_and(|sent| order_of(sent.up_to) < order_of(last))
    }
}

fn stretch(rooms: &[OwnedRoomId], first: u64, last: u64) -> &[OwnedRoomId] {
    let place = |place: u64| usize::try_from(place).unwrap_or(usize::MAX);
    let end = place(last).saturating_add(1).min(rooms.len());
    rooms.get(place(first).min(end)..end).unwrap_or_default()
}

/// Whether an event lifts its room in the order.
fn lifts(kind: &TimelineEventType) -> bool {
    matches!(
        kind.to_string().as_str(),
        "m.room.create"
            | "m.room.message"
            | "m.room.encrypted"
            | "m.sticker"
            | "m.call.invite"
            | "m.poll.start"
            | "org.matrix.msc3381.poll.start"
            | "m.beacon_info"
            | "org.matrix.msc3672.beacon_info"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::room_id;

    #[test]
    fn a_stretch_ends_where_the_list_does() {
        let rooms: Vec<_> = [room_id!("!a:x"), room_id!("!b:x"), room_id!("!c:x")].map(ToOwned::to_owned).into();
        assert_eq!(stretch(&rooms, 0, 1), &rooms[..2]);
        assert_eq!(stretch(&rooms, 1, 99), &rooms[1..]);
        assert!(stretch(&rooms, 5, 9).is_empty());
        assert!(stretch(&rooms, 2, 1).is_empty());
    }
}
