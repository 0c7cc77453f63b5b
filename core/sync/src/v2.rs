//! `/sync`: waits until there is something to tell, and tells it.
//!
//! What has to be looked at is found from what changed ([`crate::activity`]), not from what there is: a person in 500 rooms
//! in which nothing happened costs one look at an empty list.

use lyceum_rooms::{Membership, MembershipRow, RoomError, RoomState, Snapshot};
use lyceum_storage::{Position, Subject};
use ruma::{DeviceId, OwnedRoomId, OwnedUserId, RoomId, UserId, events::StateEventType};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::AtomicBool,
    time::Duration,
};
use tokio::time::Instant;

use crate::{
    Result, Sync,
    activity::Changes,
    filter::SyncFilter,
    request::{StateForm, SyncRequest, TIMEOUT_MAX, Wanted},
    response::{DeviceLists, Rooms, SyncResponse},
    token::SyncToken,
};

/// Commits looked through for what changed; with more, every room of the person is looked at instead.
const COMMITS_LOOKED_AT_MAX: usize = 5_000;

/// One answer in the making.
pub(crate) struct Turn<'a> {
    pub(crate) request: &'a SyncRequest<'a>,
    pub(crate) wanted: &'a Wanted,
    /// Where the client stands.
    pub(crate) since: Option<SyncToken>,
    /// What is answered goes up to here.
    pub(crate) to: SyncToken,
    /// What changed in between.
    pub(crate) changes: &'a Changes,
    /// Whether this answer has waited for the client to take in what it just sent.
    pub(crate) paused: &'a AtomicBool,
}

impl Turn<'_> {
    /// The device the client is; an application service may have none.
    pub(crate) fn device(&self) -> Option<&DeviceId> {
        self.request.device.map(Into::into)
    }

    /// The position the client stands at.
    pub(crate) fn since_position(&self) -> Option<Position> {
        self.since.map(|since| since.position)
    }
}

/// Who moved between sharing a room with the person and not.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    /// They share a room now that they did not share before.
    pub(crate) came: BTreeSet<OwnedUserId>,
    /// They left a shared room; others may still be shared.
    pub(crate) went: BTreeSet<OwnedUserId>,
    /// The person came into a room that other servers are in, which are told of their devices.
    pub(crate) is_told_elsewhere: bool,
}

/// How the person stands to a room, and whether that changed since the client's token.
pub(crate) struct Standing {
    pub(crate) row: MembershipRow,
    pub(crate) changed: bool,
}

impl Sync {
    /// Answers a `/sync`, waiting for news as long as the client allows.
    pub async fn v2(&self, request: &SyncRequest<'_>) -> Result<SyncResponse> {
        let wanted = Wanted::of(request.filter);
        let deadline = Instant::now() + request.timeout.min(TIMEOUT_MAX);
        let waits = request.since.is_some() && !request.full_state && !request.timeout.is_zero();
        let bell = self.wakes().of(request.user.as_str());
        loop {
            // The bell is listened to before looking, so that what happens in between is not slept through.
            let rung = bell.rung();
            tokio::pin!(rung);
            rung.as_mut().enable();
            let to = self.token();
            let response = self.answer(request, &wanted, to).await?;
            if !waits || response.has_news() || Instant::now() >= deadline {
                return Ok(response);
            }
            tokio::select! {
                () = &mut rung => {}
                () = tokio::time::sleep_until(deadline) => {}
                () = self.closing() => return Ok(response),
            }
        }
    }

    async fn answer(&self, request: &SyncRequest<'_>, wanted: &Wanted, to: SyncToken) -> Result<SyncResponse> {
        // A token from the future is one of another life of this server: all it can mean is "now".
        let since = request.since.map(|since| SyncToken {
            position: since.position.min(to.position),
            typing: since.typing.min(to.typing),
            presence: since.presence.min(to.presence),
        });
        let changes = match since {
            None => Changes::Anything,
            Some(since) => self.activity().between(since.position, to.position, COMMITS_LOOKED_AT_MAX),
        };
        let paused = AtomicBool::default();
        let turn = Turn { request, wanted, since, to, changes: &changes, paused: &paused };
        let (rooms, moved) = self.rooms_of(&turn).await?;
        Ok(SyncResponse { next_batch: to.to_string(), rooms, ..self.own_things(&turn, &moved).await? })
    }

    async fn rooms_of(&self, turn: &Turn<'_>) -> Result<(Rooms, Moved)> {
        let (mut rooms, mut moved) = (Rooms::default(), Moved::default());
        for (room, standing) in self.rooms_to_look_at(turn).await? {
            self.note_moves(turn, &mut moved, &room, &standing).await?;
            if turn.wanted.room(&room) {
                self.add_room(turn, &mut rooms, &room, standing).await?;
            }
        }
        Ok((rooms, moved))
    }

    /// Who moved between sharing a room with the person and not.
    pub(crate) async fn moved_people(&self, turn: &Turn<'_>) -> Result<Moved> {
        let mut moved = Moved::default();
        if turn.since.is_some() {
            for (room, standing) in self.rooms_to_look_at(turn).await? {
                self.note_moves(turn, &mut moved, &room, &standing).await?;
            }
        }
        Ok(moved)
    }

    /// Whose keys changed, and with whom no room is shared any more, between two tokens.
    pub async fn device_lists_between(&self, user: &UserId, from: SyncToken, to: SyncToken) -> Result<DeviceLists> {
        let filter = SyncFilter::default();
        let request = SyncRequest {
            user,
            device: None,
            since: Some(from),
            filter: &filter,
            full_state: false,
            state_form: StateForm::After,
            timeout: Duration::ZERO,
        };
        let wanted = Wanted::of(&filter);
        let changes = self.activity().between(from.position, to.position, COMMITS_LOOKED_AT_MAX);
        let paused = AtomicBool::default();
        let turn =
            Turn { request: &request, wanted: &wanted, since: Some(from), to, changes: &changes, paused: &paused };
        let moved = self.moved_people(&turn).await?;
        self.device_lists(&turn, &moved).await
    }

    /// Notes who came to share a room with the person, and who may no longer.
    async fn note_moves(&self, turn: &Turn<'_>, moved: &mut Moved, room: &RoomId, standing: &Standing) -> Result<()> {
        let Some(since) = turn.since_position() else { return Ok(()) };
        let me = turn.request.user;
        let is_in = standing.row.membership == Membership::Join;
        if !(is_in || standing.changed) || !turn.changes.may_include(&Subject::room(room)) {
            return Ok(());
        }
        let Ok(snapshot) = self.rooms().snapshot(room).await else { return Ok(()) };
        let (before, now) = (self.group_at(room, since).await?, snapshot.group());
        let came_whole = came_whole(&snapshot, Some(since), turn.to.position);
        if before == now && !came_whole {
            return Ok(());
        }
        let before = self.state_at(room, since).await?;
        let was_in = before.membership(me) == Membership::Join;
        let joined = |state: &RoomState| {
            let members = state.members().filter(|(_, member)| member.membership == Membership::Join);
            members.map(|(user, _)| user.clone()).collect::<Vec<_>>()
        };
        match (was_in, is_in) {
            (false, true) => {
                moved.came.extend(joined(snapshot.state()).into_iter().filter(|user| user != me));
                moved.is_told_elsewhere |= snapshot.servers().any(|(server, _)| server != me.server_name());
            }
            (true, false) => moved.went.extend(joined(&before)),
            (false, false) => {}
            (true, true) if came_whole => self.note_members_who_came_with_the_rest(moved, &snapshot, me).await?,
            (true, true) => {
                for change in before.member_changes_to(snapshot.state()) {
                    let (was, is) = (before.membership(change), snapshot.membership(change));
                    match (was == Membership::Join, is == Membership::Join) {
                        (false, true) => drop(moved.came.insert(change.clone())),
                        (true, false) => drop(moved.went.insert(change.clone())),
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }

    /// Notes of whom the client has to know anew once a room's state is whole: of everybody in an encrypted room, which is where
    /// keys are needed; elsewhere of those whose keys changed while nobody knew that they are there.
    async fn note_members_who_came_with_the_rest(
        &self,
        moved: &mut Moved,
        snapshot: &Snapshot,
        me: &UserId,
    ) -> Result<()> {
        let Some((from, until)) = snapshot.part_time() else { return Ok(()) };
        let is_other = |user: &UserId| user != me && snapshot.is_joined(user);
        if snapshot.kept(&StateEventType::RoomEncryption).is_some() {
            let members = snapshot.state().members().map(|(user, _)| user);
            moved.came.extend(members.filter(|user| is_other(user)).cloned());
            return Ok(());
        }
        let changed = self.accounts().device_changes(from, until).await?;
        moved.came.extend(changed.into_iter().map(|(user, _)| user).filter(|user| is_other(user)));
        Ok(())
    }

    /// The rooms where anything may have changed for the person.
    async fn rooms_to_look_at(&self, turn: &Turn<'_>) -> Result<BTreeMap<OwnedRoomId, Standing>> {
        let user = turn.request.user;
        let to = turn.to.position;
        let mut changed: BTreeMap<OwnedRoomId, bool> = BTreeMap::new();
        if let Some(since) = turn.since {
            let may_be_own = turn.changes.may_include(&Subject::user(user));
            if may_be_own {
                let changes = self.rooms().membership_changes(user, since.position, to).await?;
                changed.extend(changes.into_iter().map(|(_, room)| (room, true)));
            }
        }
        let rows = self.rooms().memberships(user).await?;
        match (turn.since, turn.changes) {
            (Some(since), Changes::Subjects(subjects)) if !turn.request.full_state => {
                let rooms = subjects.iter().filter_map(|subject| match subject {
                    Subject::Room(room) => Some(room),
                    Subject::Own(owner, room) if **owner == *user.as_str() => Some(room),
                    _ => None,
                });
                for room in rooms.filter_map(|room| RoomId::parse(&**room).ok()) {
                    changed.entry(room).or_insert(false);
                }
                for room in self.rooms().typing().changed(since.typing, turn.to.typing) {
                    changed.entry(room).or_insert(false);
                }
            }
            _ => {
                for room in rows.keys() {
                    changed.entry(room.clone()).or_insert(false);
                }
            }
        }
        let mut found = BTreeMap::new();
        for (room, changed) in changed {
            // That a room was left is told once even if it was forgotten at once: the person's other devices show it still.
            let told = |row: &&MembershipRow| !row.forgotten || (changed && turn.since.is_some());
            let Some(row) = rows.get(&room).filter(told) else { continue };
            let row = if row.position <= to { row.clone() } else { self.row_at(user, row, to).await? };
            found.insert(room, Standing { row, changed });
        }
        Ok(found)
    }

    /// How the person stood to a room at a position, when what is known is newer.
    async fn row_at(&self, user: &UserId, row: &MembershipRow, at: Position) -> Result<MembershipRow> {
        let membership = match self.rooms().snapshot(&row.room_id).await {
            Ok(_) => self.state_at(&row.room_id, at).await?.membership(user),
            Err(RoomError::UnknownRoom(_)) => Membership::Leave,
            Err(error) => return Err(error.into()),
        };
        Ok(MembershipRow { membership, position: Position::default(), ..row.clone() })
    }
}

/// Whether the rest of a room's state, of which only part was here before, came between two positions.
pub(crate) fn came_whole(snapshot: &Snapshot, since: Option<Position>, to: Position) -> bool {
    snapshot.whole_since().is_some_and(|whole| since.is_none_or(|since| whole > since) && whole <= to)
}
