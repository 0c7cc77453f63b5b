//! What other servers are told of a room's graph: states, auth chains, events before others; each event only as far as the
//! asking server may see it.

use lyceum_events::{Event, redacted};
use ruma::{
    EventId, OwnedEventId, OwnedServerName, RoomId, ServerName, UserId,
    events::{TimelineEventType, room::history_visibility::HistoryVisibility},
};
use std::{
    collections::{BTreeSet, BinaryHeap, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use crate::{
    Known, Membership, Place, Result, RoomError, RoomState, Rooms,
    write::{bad, membership_of, target_of},
};

/// Events of one auth chain at most.
const AUTH_CHAIN_MAX: usize = 200_000;
/// Events looked at to find those another server misses.
const LOOKED_AT_MAX: usize = 5_000;
/// Memberships of one person looked back on, for whether somebody was in a room: kicks, bans and invites since.
const MEMBERSHIPS_LOOKED_AT_MAX: usize = 8;
/// Events that one answer to `/backfill` holds at most.
pub const BACKFILL_MAX: usize = 100;
/// Events that one answer to `/get_missing_events` holds at most.
pub const MISSING_EVENTS_MAX: usize = 50;

impl Rooms {
    /// Refuses a server that is not in a room, or that the room's ACL keeps out.
    pub async fn check_server(&self, room: &RoomId, server: &ServerName) -> Result<()> {
        let snapshot = self.snapshot(room).await?;
        if !self.server_allowed(room, server).await? {
            return Err(RoomError::forbidden("the room's server ACL keeps your server out"));
        }
        if !snapshot.has_server(server) {
            return Err(RoomError::forbidden("your server is not in this room"));
        }
        Ok(())
    }

    /// Refuses a server that neither is in a room nor was after an event: one that has just gone may still be taking up what it
    /// was told of when it came.
    pub async fn check_server_since(&self, room: &RoomId, server: &ServerName, event: &EventId) -> Result<()> {
        let Err(refused) = self.check_server(room, server).await else { return Ok(()) };
        if self.server_allowed(room, server).await? && self.was_in_since(room, server, event).await? {
            return Ok(());
        }
        Err(refused)
    }

    /// Whether a server that has nobody in a room had somebody there after an event.
    async fn was_in_since(&self, room: &RoomId, server: &ServerName, event: &EventId) -> Result<bool> {
        let known = self.known(event).await?.filter(|known| known.event().room() == room);
        let Some(order) = known.and_then(|known| known.order()) else { return Ok(false) };
        let snapshot = self.snapshot(room).await?;
        for (_, member) in snapshot.state().members().filter(|(user, _)| user.server_name() == server) {
            let mut at = self.known(&member.event_id).await?;
            for _ in 0..MEMBERSHIPS_LOOKED_AT_MAX {
                let Some(went) = at.filter(|went| went.order().is_some_and(|at| at > order)) else { break };
                let Some(before) = went.replaces() else { break };
                at = self.known(before).await?;
                if at.as_ref().is_some_and(|was| membership_of(was.event()) == Membership::Join) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The state before an event.
    pub async fn state_before(&self, room: &RoomId, event: &EventId) -> Result<Arc<RoomState>> {
        if self.snapshot(room).await?.partial().is_some() {
            return Err(RoomError::forbidden("this server does not know the whole state of the room yet"));
        }
        let known = self.known(event).await?.filter(|known| known.event().room() == room);
        let known = known.filter(|known| !known.event().is_rejected());
        let known = known.ok_or_else(|| RoomError::UnknownEvent(event.to_owned()))?;
        match known.before() {
            Some(group) => self.state_of_group(room, group).await,
            None if known.event().prev().is_empty() => Ok(Arc::default()),
            None => Err(RoomError::UnknownEvent(event.to_owned())),
        }
    }

    /// The events that permit these, those that permit them, and so on; without these themselves unless they permit each
    /// other.
    pub async fn auth_chain(&self, of: impl IntoIterator<Item = OwnedEventId>) -> Result<Vec<Arc<Known>>> {
        let of: Vec<_> = of.into_iter().collect();
        let (mut seen, mut chain) = (HashSet::new(), Vec::new());
        let mut ahead: Vec<OwnedEventId> = Vec::new();
        for known in self.known_many(&of).await?.into_iter().flatten() {
            ahead.extend(known.event().auth().iter().filter(|id| seen.insert((*id).clone())).cloned());
        }
        while !ahead.is_empty() {
            if seen.len() > AUTH_CHAIN_MAX {
                return Err(RoomError::Limit("the auth chain is too long".to_owned()));
            }
            let level = std::mem::take(&mut ahead);
            for known in self.known_many(&level).await?.into_iter().flatten() {
                ahead.extend(known.event().auth().iter().filter(|id| seen.insert((*id).clone())).cloned());
                chain.push(known);
            }
        }
        Ok(chain)
    }

    /// The events between `earliest` and `latest` that another server misses, the earliest first.
    pub async fn missing_events(
        &self,
        room: &RoomId,
        (earliest, latest): (&[OwnedEventId], &[OwnedEventId]),
        (limit, depth_min): (usize, u64),
    ) -> Result<Vec<Arc<Known>>> {
        let limit = limit.clamp(1, MISSING_EVENTS_MAX);
        let earliest: HashSet<_> = earliest.iter().cloned().collect();
        let mut seen: HashSet<_> = latest.iter().cloned().collect();
        let mut ahead: VecDeque<_> = latest.iter().cloned().collect();
        let mut found = Vec::new();
        while let Some(id) = ahead.pop_front() {
            let Some(known) = self.known(&id).await?.filter(|known| known.event().room() == room) else { continue };
            if !latest.contains(&id) {
                if known.event().depth() < depth_min {
                    continue;
                }
                found.push(known.clone());
                if found.len() == limit {
                    break;
                }
            }
            for prev in known.event().prev() {
                if !earliest.contains(prev) && seen.insert(prev.clone()) && seen.len() < LOOKED_AT_MAX {
                    ahead.push_back(prev.clone());
                }
            }
        }
        found.retain(|known| is_told(known));
        found.sort_by_key(|known| (known.event().depth(), known.order()));
        Ok(found)
    }

    /// These events and those before them, the latest first.
    pub async fn events_before(&self, room: &RoomId, from: &[OwnedEventId], limit: usize) -> Result<Vec<Arc<Known>>> {
        let limit = limit.clamp(1, BACKFILL_MAX);
        let mut seen: HashSet<_> = from.iter().cloned().collect();
        let mut ahead = BinaryHeap::new();
        let mut events: HashMap<OwnedEventId, Arc<Known>> = HashMap::new();
        let mut wanted: Vec<_> = from.to_vec();
        let mut found = Vec::new();
        loop {
            for known in self.known_many(&wanted).await?.into_iter().flatten() {
                if known.event().room() == room {
                    ahead.push((known.event().depth(), known.order(), known.id().clone()));
                    events.insert(known.id().clone(), known);
                }
            }
            let Some(known) = ahead.pop().and_then(|(_, _, id)| events.remove(&id)) else { break };
            wanted = known.event().prev().iter().filter(|id| seen.insert((*id).clone())).cloned().collect();
            if is_told(&known) {
                found.push(known);
            }
            if found.len() == limit || seen.len() > LOOKED_AT_MAX {
                break;
            }
        }
        Ok(found)
    }

    /// Events as far as a server may see them: of those it may not, state among them, only what redaction leaves.
    pub async fn for_server(&self, server: &ServerName, events: &[Arc<Known>]) -> Result<Vec<Event>> {
        let mut seen: HashMap<u64, bool> = HashMap::new();
        let mut shown = Vec::with_capacity(events.len());
        for known in events {
            let may = self.server_may_see_of(server, known, &mut seen).await?;
            let event = known.event();
            if let Some(left) = self.unless_erased_for(server, known).await? {
                shown.push(left);
            } else if may || event.sender().server_name() == server {
                shown.push(event.clone());
            } else {
                let rules = self.snapshot(event.room()).await?.shared_rules();
                shown.push(redacted(event, &rules).map_err(bad)?);
            }
        }
        Ok(shown)
    }

    /// Whether a server may see an event.
    pub(crate) async fn server_may_see(&self, server: &ServerName, known: &Known) -> Result<bool> {
        self.server_may_see_of(server, known, &mut HashMap::new()).await
    }

    /// The same of one event among many: what was found is kept by state.
    async fn server_may_see_of(
        &self,
        server: &ServerName,
        known: &Known,
        seen: &mut HashMap<u64, bool>,
    ) -> Result<bool> {
        let mut groups: Vec<_> = known.after().or(known.before()).into_iter().collect();
        if groups.is_empty() {
            // State is told with its auth chain to whoever is in the room.
            return Ok(true);
        }
        if is_seen_from_both_sides(known.event(), server) {
            groups.extend(known.before());
        }
        for group in groups {
            let may = match seen.get(&group) {
                Some(may) => *may,
                None => self.server_sees(server, known.event().room(), group).await?,
            };
            seen.insert(group, may);
            if may {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a server sees what was sent when the state was this.
    async fn server_sees(&self, server: &ServerName, room: &RoomId, group: u64) -> Result<bool> {
        if self.snapshot(room).await?.partial().is_some_and(|partial| partial.has_server(server)) {
            // Whose people were there is not known; that the server was is.
            return Ok(true);
        }
        let state = self.state_of_group(room, group).await?;
        let of_server = |wanted: fn(Membership) -> bool| {
            state.members().any(|(user, member)| user.server_name() == server && wanted(member.membership))
        };
        Ok(match self.visibility_of(&state).await? {
            HistoryVisibility::WorldReadable | HistoryVisibility::Shared => true,
            HistoryVisibility::Invited => of_server(Membership::is_in_or_invited),
            _ => of_server(|membership| membership == Membership::Join),
        })
    }

    /// The servers that had somebody in a room when an event had come here. Where only part of the state is known, those that are
    /// known to be there now.
    pub async fn servers_at(&self, known: &Known) -> Result<BTreeSet<OwnedServerName>> {
        let snapshot = self.snapshot(known.event().room()).await?;
        let then = known.room_after().filter(|group| Some(*group) != snapshot.group() && snapshot.partial().is_none());
        let Some(group) = then else { return Ok(snapshot.servers().map(|(server, _)| server.clone()).collect()) };
        let state = self.state_of_group(snapshot.room_id(), group).await?;
        let joined = state.members().filter(|(_, member)| member.membership == Membership::Join);
        let servers: HashSet<_> = joined.map(|(user, _)| user.server_name()).collect();
        Ok(servers.into_iter().map(ToOwned::to_owned).collect())
    }

    /// One event, for a server that is in its room, or was after it.
    pub async fn event_for_server(&self, server: &ServerName, id: &EventId) -> Result<Event> {
        let unknown = || RoomError::UnknownEvent(id.to_owned());
        let known = self.known(id).await?.filter(|known| !known.event().is_rejected()).ok_or_else(unknown)?;
        self.check_server_since(known.event().room(), server, id).await?;
        let mut shown = self.for_server(server, &[known]).await?;
        shown.pop().ok_or_else(unknown)
    }

    /// This server's people in a room, for whom something is to be done.
    pub async fn local_members(&self, room: &RoomId) -> Result<Vec<ruma::OwnedUserId>> {
        match self.snapshot(room).await {
            Ok(snapshot) => Ok(snapshot.local_joined().cloned().collect()),
            Err(RoomError::UnknownRoom(_)) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// The people of this server who are in a room with somebody.
    pub async fn local_company(&self, user: &UserId) -> Result<HashSet<ruma::OwnedUserId>> {
        let mut company = HashSet::new();
        for room in self.joined_rooms(user).await? {
            company.extend(self.local_members(&room).await?);
        }
        Ok(company)
    }
}

/// Whether an event is seen by whoever may see what was before it, or what comes after it: spec, "Room history visibility", of
/// `m.room.history_visibility` and of the membership events of one's own.
fn is_seen_from_both_sides(event: &Event, server: &ServerName) -> bool {
    *event.kind() == TimelineEventType::RoomHistoryVisibility
        || target_of(event).is_some_and(|user| user.server_name() == server)
}

/// Whether other servers are told of an event: refused ones are kept to ourselves.
fn is_told(known: &Known) -> bool {
    !matches!(known.place(), Place::Rejected(_) | Place::Outlier)
}
