//! What a client is told of each room it looks at.

use lyceum_rooms::{Membership, RoomError, RoomState, Snapshot, UnreadCounts};
use lyceum_storage::Position;
use ruma::{OwnedEventId, OwnedRoomId, RoomId, UserId, events::StateEventType};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    Result, Sync,
    request::Wanted,
    sliding::{
        Look,
        connection::{Connection, Sent},
        lists::{Watched, Wishes},
        message::{Hero, RoomAnswer},
    },
    timeline::{Slice, Span, order_of},
    v2::{Turn, came_whole},
};

impl Sync {
    pub(crate) async fn watched_rooms(
        &self,
        look: &Look<'_>,
        watched: &Watched,
        after: &mut Connection,
    ) -> Result<BTreeMap<OwnedRoomId, RoomAnswer>> {
        let mut answers = BTreeMap::new();
        let rules_changed = self.unread_rules_changed(look).await?;
        for (room, wishes) in watched {
            let sent = look.before.sent.get(room);
            let is_known = sent.is_some_and(|sent| {
                wishes.timeline_limit <= sent.timeline_limit && wishes.required_state.is_subset(&sent.required_state)
            });
            if is_known && !rules_changed && !self.may_have_changed(look, room) && !self.is_behind(look, room) {
                if let Some(sent) = after.sent.get_mut(room) {
                    sent.up_to = look.turn.to.position;
                }
                continue;
            }
            if let Some(answer) = self.watched_room(look, room, wishes, sent, after).await? {
                answers.insert(room.clone(), answer);
            }
        }
        Ok(answers)
    }

    async fn watched_room(
        &self,
        look: &Look<'_>,
        room: &RoomId,
        wishes: &Wishes,
        sent: Option<&Sent>,
        after: &mut Connection,
    ) -> Result<Option<RoomAnswer>> {
        let user = look.turn.request.user;
        let placed = after.placed.get(room).cloned();
        let standing = placed.as_ref().map(|placed| placed.membership);
        let remember = |after: &mut Connection, unread: UnreadCounts, limited: bool| {
            let had = sent.map(|sent| (*sent.required_state).clone()).unwrap_or_default();
            let required_state = had.union(&wishes.required_state).cloned().collect();
            // After a gap the client has no more than it was given just now, whatever it had before.
            let had = sent.filter(|_| !limited).map_or(0, |sent| sent.timeline_limit);
            let timeline_limit = had.max(wishes.timeline_limit);
            let up_to = look.turn.to.position;
            let required_state = Arc::new(required_state);
            after.sent.insert(room.to_owned(), Sent { up_to, timeline_limit, required_state, unread });
        };
        if matches!(standing, Some(Membership::Invite | Membership::Knock)) {
            let is_news =
                sent.is_none_or(|sent| placed.as_ref().is_some_and(|placed| placed.bump_stamp > sent.up_to.0));
            remember(after, UnreadCounts::default(), false);
            return Ok(if is_news { Some(self.asked_in(look, room, after).await?) } else { None });
        }
        let snapshot = match self.rooms().snapshot(room).await {
            Ok(snapshot) => snapshot,
            Err(RoomError::UnknownRoom(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let is_in = snapshot.is_joined(user);
        let mut answer = self.room_answer(look, &snapshot, wishes, sent).await?;
        let mut unread = UnreadCounts::default();
        if is_in {
            unread = self.unreads().unread(user, room).await?.total();
            remember(after, unread, answer.limited);
        } else {
            // Gone: told once, then forgotten.
            after.sent.remove(room);
        }
        let nothing = !answer.initial
            && answer.timeline.is_empty()
            && answer.required_state.is_empty()
            && !answer.limited
            && answer.joined_count.is_none()
            && sent.is_some_and(|sent| sent.unread == unread)
            && is_in;
        answer.bump_stamp = placed.map(|placed| placed.bump_stamp);
        answer.membership = Some(snapshot.membership(user).as_str());
        answer.is_dm = answer.initial.then_some(self.direct_rooms(user).await?.contains(room)).filter(|is_dm| *is_dm);
        if nothing {
            return Ok(None);
        }
        if is_in {
            (answer.notification_count, answer.highlight_count) = (unread.notification_count, unread.highlight_count);
        }
        Ok(Some(answer))
    }

    /// The part that stands in the room itself.
    async fn room_answer(
        &self,
        look: &Look<'_>,
        snapshot: &Snapshot,
        wishes: &Wishes,
        sent: Option<&Sent>,
    ) -> Result<RoomAnswer> {
        let room = snapshot.room_id();
        let has = sent.map(|sent| sent.up_to);
        // A client that asks for more events than before is sent them all again.
        let expanded = sent.is_some_and(|sent| wishes.timeline_limit > sent.timeline_limit);
        let wanted = Wanted::plain(usize::try_from(wishes.timeline_limit).unwrap_or(usize::MAX));
        let turn = Turn { wanted: &wanted, ..*look.turn };
        let span = Span { after: has.filter(|_| !expanded), through: turn.to.position };
        let slice = match wishes.timeline_limit {
            0 => Slice { limited: self.has_news_since(room, has, turn.to.position).await?, ..Slice::default() },
            _ => self.slice(&turn, room, span, true).await?,
        };
        let end = self.state_at(room, turn.to.position).await?;
        let came_whole = has.is_some() && came_whole(snapshot, has, turn.to.position);
        let state = self.required_state(&turn, room, wishes, sent.filter(|_| !came_whole), &slice, &end).await?;
        let facts = snapshot.facts();
        let initial = sent.is_none();
        let people_changed =
            initial || came_whole || self.group_at(room, has.unwrap_or_default()).await? != snapshot.group();
        let since = order_of(position_before(look));
        let live =
            slice.events.iter().filter(|known| look.before.token.is_some() && known.order() > Some(since)).count();
        let limited = slice.limited;
        let timeline = self.timeline_of(&turn, slice).await?;
        let heroes = match people_changed {
            true => self.heroes_shown(snapshot, look.turn.request.user).await?,
            false => None,
        };
        Ok(RoomAnswer {
            initial,
            name: facts.name.clone().filter(|_| people_changed),
            avatar: people_changed.then(|| facts.avatar_url.clone()).filter(|avatar| avatar.is_some() || !initial),
            heroes,
            required_state: state,
            prev_batch: timeline.prev_batch.filter(|_| !timeline.events.is_empty()),
            num_live: Some(live as u64).filter(|_| !timeline.events.is_empty()),
            timeline: timeline.events,
            expanded_timeline: expanded,
            unstable_expanded_timeline: expanded,
            limited,
            joined_count: people_changed.then(|| snapshot.joined_count()),
            invited_count: people_changed.then(|| snapshot.invited_count()),
            ..RoomAnswer::default()
        })
    }

    /// Whether the person's rules changed, or which threads they follow, and with them perhaps the counts of all rooms.
    async fn unread_rules_changed(&self, look: &Look<'_>) -> Result<bool> {
        let (user, since) = (look.turn.request.user, position_before(look));
        let followed_at = self.rooms().subscriptions_changed(user).await?;
        Ok(self.accounts().unread_rules_changed(user, since) || followed_at > Some(since))
    }

    async fn has_news_since(&self, room: &RoomId, since: Option<Position>, to: Position) -> Result<bool> {
        let Some(since) = since else { return Ok(false) };
        let page =
            self.rooms().page(room, lyceum_rooms::Direction::Backward, order_of(to), Some(order_of(since)), 1).await?;
        Ok(!page.events.is_empty())
    }

    /// The wanted state that the client does not have.
    async fn required_state(
        &self,
        turn: &Turn<'_>,
        room: &RoomId,
        wishes: &Wishes,
        sent: Option<&Sent>,
        slice: &Slice,
        end: &RoomState,
    ) -> Result<Vec<crate::response::Json>> {
        let writers: BTreeSet<&UserId> = slice.events.iter().map(|known| known.event().sender()).collect();
        let mut ids: BTreeSet<OwnedEventId> = BTreeSet::new();
        match sent {
            None => ids.extend(wanted_state(end, &wishes.required_state, turn.request.user, &writers)),
            Some(sent) => {
                let before = self.state_at(room, sent.up_to).await?;
                let wishes_now: BTreeSet<_> = sent.required_state.union(&wishes.required_state).cloned().collect();
                let wanted_now = wanted_state(end, &wishes_now, turn.request.user, &writers);
                let had = wanted_state(&before, &sent.required_state, turn.request.user, &BTreeSet::new());
                let had: BTreeSet<OwnedEventId> = had.into_iter().collect();
                ids.extend(wanted_now.into_iter().filter(|id| !had.contains(id)));
            }
        }
        let ids: Vec<_> = ids.into_iter().collect();
        let known: Vec<_> = self.rooms().known_many(&ids).await?.into_iter().flatten().collect();
        Ok(self.rooms().present_state(turn.request.looker(self.now()), &known).await?)
    }

    async fn heroes_shown(&self, snapshot: &Snapshot, viewer: &UserId) -> Result<Option<Vec<Hero>>> {
        #[derive(Default, serde::Deserialize)]
        #[serde(default)]
        struct Profile {
            displayname: Option<String>,
            avatar_url: Option<String>,
        }
        let mut heroes = Vec::new();
        for user in self.heroes(snapshot, viewer).await? {
            let Some(member) = snapshot.member(&user) else { continue };
            let known = self.rooms().known(&member.event_id).await?;
            let profile = known.and_then(|known| known.event().content_as::<Profile>()).unwrap_or_default();
            heroes.push(Hero {
                user_id: user.to_string(),
                displayname: profile.displayname,
                avatar_url: profile.avatar_url,
            });
        }
        Ok((!heroes.is_empty()).then_some(heroes))
    }

    async fn asked_in(&self, look: &Look<'_>, room: &RoomId, after: &Connection) -> Result<RoomAnswer> {
        let placed = after.placed.get(room);
        let name = self.rooms().snapshot(room).await.ok().and_then(|snapshot| snapshot.facts().name.clone());
        Ok(RoomAnswer {
            initial: true,
            name,
            invite_state: Some(self.stripped(look.turn, room).await?),
            membership: placed.map(|placed| placed.membership.as_str()),
            bump_stamp: placed.map(|placed| placed.bump_stamp),
            ..RoomAnswer::default()
        })
    }
}

fn position_before(look: &Look<'_>) -> Position {
    super::position_of(look.before.token)
}

/// The events of a state that a client wants: `*` stands for any type or key, `$ME` for oneself, `$LAZY` for those who wrote.
fn wanted_state(
    state: &RoomState,
    wishes: &BTreeSet<(String, String)>,
    me: &UserId,
    writers: &BTreeSet<&UserId>,
) -> Vec<OwnedEventId> {
    let mut ids = Vec::new();
    for (kind, key) in wishes {
        let members = kind == "*" || kind == "m.room.member";
        match key.as_str() {
            "$LAZY" => ids.extend(
                writers
                    .iter()
                    .copied()
                    .chain([me])
                    .filter_map(|user| state.member(user))
                    .map(|member| member.event_id.clone()),
            ),
            "*" if members => ids.extend(state.members().map(|(_, member)| member.event_id.clone())),
            "$ME" if members => ids.extend(state.member(me).map(|member| member.event_id.clone())),
            key if members && kind != "*" => {
                ids.extend(state.get(&StateEventType::RoomMember, key).map(ToOwned::to_owned));
            }
            _ => {}
        }
        let wanted_key = if key == "$ME" { me.as_str() } else { key };
        let fits = |(has_kind, has_key): &(StateEventType, String)| {
            (kind == "*" || has_kind.to_string() == *kind) && (wanted_key == "*" || has_key == wanted_key)
        };
        if kind != "m.room.member" {
            ids.extend(state.rest().filter(|(place, _)| fits(place)).map(|(_, id)| id.clone()));
        }
    }
    ids
}
