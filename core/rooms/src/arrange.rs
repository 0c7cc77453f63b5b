//! Setting a room up as somebody responsible wants it: many people in or out and state set, in few batches. No campus rule
//! is asked, because the institution itself arranges; the room's own rules hold.

use lyceum_events::Draft;
use lyceum_storage::Batch;
use ruma::{OwnedUserId, RoomId, UserId, events::TimelineEventType, room::JoinRule};

use crate::{
    Created, InitialState, Membership, NewRoom, Result, RoomError, Rooms, Sender,
    membership_acts::member_content,
    write::{WRITE_TRIES, Writing},
};

/// Acts in one batch.
const BATCH_ACTS: usize = 200;

/// How a room is to be.
#[derive(Debug, Clone, Default)]
pub struct Arrangement {
    /// State to be set, where it is not so already.
    pub state: Vec<InitialState>,
    /// People of this server to be in it. Who is banned stays out.
    pub joins: Vec<OwnedUserId>,
    /// People to be out of it.
    pub leaves: Vec<OwnedUserId>,
}

/// One part of an arrangement.
#[derive(Clone, Copy)]
enum Part<'a> {
    Set(&'a InitialState),
    Join(&'a UserId),
    Leave(&'a UserId),
}

impl Rooms {
    /// Makes a room whose id is noted in the same batch.
    pub async fn create_noted(
        &self,
        creator: &UserId,
        new: NewRoom,
        note: &(dyn Fn(&RoomId, &mut Batch) + Sync + '_),
    ) -> Result<Created> {
        self.create_with(creator, new, note).await
    }

    /// Arranges a room by somebody in it who may. Answers how many events it took.
    pub async fn arrange(&self, by: &UserId, room: &RoomId, wanted: &Arrangement) -> Result<usize> {
        let set = wanted.state.iter().map(Part::Set);
        let leave = wanted.leaves.iter().map(|user| Part::Leave(user));
        let join = wanted.joins.iter().map(|user| Part::Join(user));
        let parts: Vec<_> = set.chain(leave).chain(join).collect();
        let mut taken = 0;
        for some in parts.chunks(BATCH_ACTS) {
            taken += self.arrange_some(by, room, some).await?;
        }
        Ok(taken)
    }

    async fn arrange_some(&self, by: &UserId, room: &RoomId, parts: &[Part<'_>]) -> Result<usize> {
        for tries in 1.. {
            match self.try_arrange(by, room, parts).await {
                Err(RoomError::Busy) if tries < WRITE_TRIES => {}
                done => return done,
            }
        }
        Err(RoomError::Busy)
    }

    async fn try_arrange(&self, by: &UserId, room: &RoomId, parts: &[Part<'_>]) -> Result<usize> {
        let mut writing = self.write(room).await?;
        for part in parts {
            match part {
                Part::Set(state) => writing.set_unless_same(by, state).await?,
                Part::Join(user) => writing.bring_in(by, user).await?,
                Part::Leave(user) => writing.take_out(by, user).await?,
            }
        }
        let taken = writing.new.len();
        if taken > 0 {
            writing.queue().durable().await?;
        }
        Ok(taken)
    }
}

impl Writing {
    async fn set_unless_same(&mut self, by: &UserId, state: &InitialState) -> Result<()> {
        let held = self.state_event(&state.kind, &state.state_key).await?;
        if held.is_some_and(|held| held.content_as().as_ref() == Some(&state.content)) {
            return Ok(());
        }
        let draft = Draft::state(state.kind.to_string(), state.state_key.clone(), state.content.clone());
        self.append(Sender::of(by), draft).await.map(drop)
    }

    async fn bring_in(&mut self, by: &UserId, user: &UserId) -> Result<()> {
        let membership = self.snapshot().membership(user);
        if matches!(membership, Membership::Join | Membership::Ban) {
            return Ok(());
        }
        let profile = self.rooms.0.people.profile(user).await;
        let mut content = member_content(Membership::Join, &profile);
        let facts = self.snapshot().facts();
        let vouched = matches!(facts.join_rule, JoinRule::Restricted(_) | JoinRule::KnockRestricted(_))
            && self.snapshot().rules().authorization.restricted_join_rule;
        if vouched {
            content.insert("join_authorised_via_users_server".to_owned(), by.to_string().into());
        } else if membership != Membership::Invite && facts.join_rule != JoinRule::Public {
            let invite = member_content(Membership::Invite, &profile);
            self.append(Sender::of(by), Draft::state(TimelineEventType::RoomMember, user.as_str(), invite)).await?;
        }
        self.append(Sender::of(user), Draft::state(TimelineEventType::RoomMember, user.as_str(), content))
            .await
            .map(drop)
    }

    async fn take_out(&mut self, by: &UserId, user: &UserId) -> Result<()> {
        if !matches!(self.snapshot().membership(user), Membership::Join | Membership::Invite | Membership::Knock) {
            return Ok(());
        }
        let content = member_content(Membership::Leave, &Default::default());
        self.append(Sender::of(by), Draft::state(TimelineEventType::RoomMember, user.as_str(), content)).await.map(drop)
    }
}
