//! Coming, going, and being asked in or sent away.

use lyceum_events::Draft;
use ruma::{
    CanonicalJsonObject, OwnedEventId, OwnedUserId, RoomId, UserId,
    events::TimelineEventType,
    room::{AllowRule, JoinRule, Restricted},
};

use crate::{
    Act, MemberProfile, Membership, Result, RoomError, Rooms, Sender, Snapshot,
    send::unknown_is_forbidden,
    tables::MEMBERSHIPS,
    write::{WRITE_TRIES, Writing},
};
use std::sync::Arc;

/// What came of an act that another server may have to take part in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done, by this event.
    Done(OwnedEventId),
    /// This server cannot do it alone: a server in the room has to be asked.
    ByAnotherServer,
}

/// Somebody who wants to come in.
#[derive(Debug, Clone)]
pub struct Joining<'a> {
    /// Who.
    pub user: &'a UserId,
    /// What they say to it.
    pub reason: Option<&'a str>,
    /// Whether they have a guest's account.
    pub is_guest: bool,
    /// What else the client wants their membership event to say.
    pub more: CanonicalJsonObject,
}

/// What a membership event says that its sender has no say in.
const DECIDED_HERE: [&str; 3] = ["membership", "join_authorised_via_users_server", "third_party_invite"];

impl Joining<'_> {
    /// The content of the membership event, apart from who vouches for it.
    pub fn content(&self, profile: &MemberProfile) -> CanonicalJsonObject {
        let mut content = member_content(Membership::Join, profile);
        let said = self.more.iter().filter(|(field, _)| !DECIDED_HERE.contains(&field.as_str()));
        content.extend(said.map(|(field, value)| (field.clone(), value.clone())));
        content
    }
}

/// The content of a membership event.
pub(crate) fn member_content(membership: Membership, profile: &MemberProfile) -> CanonicalJsonObject {
    let mut content = CanonicalJsonObject::from([("membership".to_owned(), membership.as_str().into())]);
    profile.put_into(&mut content);
    content
}

pub(crate) fn draft(target: &UserId, mut content: CanonicalJsonObject, reason: Option<&str>) -> Draft {
    if let Some(reason) = reason {
        content.insert("reason".to_owned(), reason.into());
    }
    Draft::state(TimelineEventType::RoomMember, target.as_str(), content)
}

impl Rooms {
    /// Comes into a room.
    pub async fn join(&self, joining: &Joining<'_>, room: &RoomId) -> Result<Outcome> {
        for tries in 1.. {
            match self.try_join(joining, room).await {
                Err(RoomError::Busy) if tries < WRITE_TRIES => {}
                Err(RoomError::UnknownRoom(_)) => break,
                Ok(Outcome::ByAnotherServer) => break,
                done => return done,
            }
        }
        let known = self.known_room(room).await?;
        self.judge(joining.user, &Act::Join { room: known.as_deref(), room_id: room.to_owned() }).await?;
        Ok(Outcome::ByAnotherServer)
    }

    /// A room, if this server knows it.
    async fn known_room(&self, room: &RoomId) -> Result<Option<Arc<Snapshot>>> {
        match self.snapshot(room).await {
            Ok(snapshot) => Ok(Some(snapshot)),
            Err(RoomError::UnknownRoom(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn try_join(&self, joining: &Joining<'_>, room: &RoomId) -> Result<Outcome> {
        let mut writing = self.write(room).await?;
        let snapshot = writing.snapshot().clone();
        if let Some(member) = snapshot.member(joining.user).filter(|member| member.membership == Membership::Join) {
            return Ok(Outcome::Done(member.event_id.clone()));
        }
        // Who is banned is among what is not here yet.
        if (!snapshot.is_local() && snapshot.joined_count() > 0) || snapshot.partial().is_some() {
            return Ok(Outcome::ByAnotherServer);
        }
        if joining.is_guest && !snapshot.facts().guest_can_join {
            return Err(RoomError::forbidden("guests may not join this room"));
        }
        let content = joining.content(&self.0.people.profile(joining.user).await);
        let (sender, mut draft) = (Sender::of(joining.user), draft(joining.user, content, joining.reason));
        // Asked first: its refusal tells people why.
        writing.ask_judge(sender, &draft).await?;
        match self.authorising_user(&snapshot, joining.user).await? {
            Authorising::NotNeeded => {}
            Authorising::By(user) => {
                draft.content.insert("join_authorised_via_users_server".to_owned(), user.to_string().into());
            }
            _ if snapshot.servers().count() > 1 => return Ok(Outcome::ByAnotherServer),
            Authorising::Unknown | Authorising::Nobody => return Err(RoomError::UnableToAuthorizeJoin),
        }
        let event = writing.append(sender, draft).await?;
        writing.queue().durable().await?;
        Ok(Outcome::Done(event.id().clone()))
    }

    /// Who vouches for a join to a restricted room.
    pub(crate) async fn authorising_user(&self, snapshot: &Snapshot, user: &UserId) -> Result<Authorising> {
        let (JoinRule::Restricted(rule) | JoinRule::KnockRestricted(rule)) = &snapshot.facts().join_rule else {
            return Ok(Authorising::NotNeeded);
        };
        if !snapshot.rules().authorization.restricted_join_rule || snapshot.membership(user).is_in_or_invited() {
            return Ok(Authorising::NotNeeded);
        }
        match self.is_in_any(user, rule).await? {
            Some(true) => {}
            Some(false) => {
                return Err(RoomError::forbidden("you are in none of the rooms whose members may join this one"));
            }
            None => return Ok(Authorising::Unknown),
        }
        let able = snapshot.local_joined().find(|user| snapshot.power_levels().user_can_invite(user));
        Ok(able.map_or(Authorising::Nobody, |user| Authorising::By(user.clone())))
    }

    /// Whether a person is in one of the rooms whose members a rule lets in; `None` when they are in none that this server
    /// is in, but there are others.
    pub(crate) async fn is_in_any(&self, user: &UserId, rule: &Restricted) -> Result<Option<bool>> {
        let mut knows_all = true;
        for allow in &rule.allow {
            let AllowRule::RoomMembership(allow) = allow else { continue };
            match self.snapshot(&allow.room_id).await {
                Ok(snapshot) if snapshot.is_local() => {
                    if snapshot.is_joined(user) {
                        return Ok(Some(true));
                    }
                }
                // What this server once knew of a room that it has left may long be otherwise.
                Ok(_) | Err(RoomError::UnknownRoom(_)) => knows_all = false,
                Err(error) => return Err(error),
            }
        }
        Ok(knows_all.then_some(false))
    }

    /// Leaves a room, refuses an invite to it, or takes back a knock on it.
    pub async fn leave(&self, user: &UserId, room: &RoomId, reason: Option<&str>) -> Result<Outcome> {
        let snapshot = match self.snapshot(room).await {
            Ok(snapshot) => snapshot,
            Err(RoomError::UnknownRoom(_)) => return self.leave_unknown(user, room).await,
            Err(error) => return Err(error),
        };
        // Where nobody is left there is nobody to ask either.
        if !snapshot.is_local() && snapshot.joined_count() > 0 {
            return self.leave_unknown(user, room).await;
        }
        if snapshot.membership(user) == Membership::Leave {
            return self.left_before(user, room).await;
        }
        let draft = draft(user, member_content(Membership::Leave, &MemberProfile::default()), reason);
        Ok(Outcome::Done(self.send(Sender::of(user), room, draft).await?))
    }

    /// Leaving a room that this server is not in: there can only be an invite or a knock.
    async fn leave_unknown(&self, user: &UserId, room: &RoomId) -> Result<Outcome> {
        let row = self.store().get(&MEMBERSHIPS, (user.as_str(), room.as_str())).await?;
        match row.map(|row| row.membership) {
            Some(Membership::Invite | Membership::Knock) => Ok(Outcome::ByAnotherServer),
            _ => self.left_before(user, room).await,
        }
    }

    /// Whoever has left by themselves may say so again: the answer to the first time may have been lost.
    async fn left_before(&self, user: &UserId, room: &RoomId) -> Result<Outcome> {
        let row = self.membership(user, room).await?;
        match row.filter(|row| row.membership == Membership::Leave && row.sender == user) {
            Some(row) => Ok(Outcome::Done(row.event_id)),
            None => Err(RoomError::forbidden("you are not in this room")),
        }
    }

    /// Asks to be let into a room.
    pub async fn knock(&self, user: &UserId, room: &RoomId, reason: Option<&str>) -> Result<Outcome> {
        let known = self.known_room(room).await?;
        if !known.as_ref().is_some_and(|snapshot| snapshot.is_local() && snapshot.partial().is_none()) {
            self.judge(user, &Act::Knock { room: known.as_deref(), room_id: room.to_owned() }).await?;
            return Ok(Outcome::ByAnotherServer);
        }
        let content = member_content(Membership::Knock, &self.0.people.profile(user).await);
        Ok(Outcome::Done(self.send(Sender::of(user), room, draft(user, content, reason)).await?))
    }

    /// Asks somebody of this server into a room.
    pub async fn invite(
        &self,
        sender: &UserId,
        room: &RoomId,
        invitee: &UserId,
        reason: Option<&str>,
    ) -> Result<OwnedEventId> {
        let draft = self.invite_draft(invitee, reason).await;
        self.settled_for(room, invitee).await.map_err(unknown_is_forbidden)?;
        self.send(Sender::of(sender), room, draft).await
    }

    pub(crate) async fn invite_draft(&self, invitee: &UserId, reason: Option<&str>) -> Draft {
        let profile = self.0.people.profile(invitee).await;
        draft(invitee, member_content(Membership::Invite, &profile), reason)
    }

    /// Sends somebody out of a room.
    pub async fn kick(
        &self,
        sender: &UserId,
        room: &RoomId,
        target: &UserId,
        reason: Option<&str>,
    ) -> Result<OwnedEventId> {
        let snapshot = self.settled_for(room, target).await.map_err(unknown_is_forbidden)?;
        if !matches!(snapshot.membership(target), Membership::Join | Membership::Invite | Membership::Knock) {
            return Err(RoomError::forbidden("that person is not in the room"));
        }
        self.send_away(sender, room, target, (Membership::Leave, reason)).await
    }

    /// Keeps somebody out of a room.
    pub async fn ban(
        &self,
        sender: &UserId,
        room: &RoomId,
        target: &UserId,
        reason: Option<&str>,
    ) -> Result<OwnedEventId> {
        self.settled_for(room, target).await.map_err(unknown_is_forbidden)?;
        self.send_away(sender, room, target, (Membership::Ban, reason)).await
    }

    /// Lets somebody in again who was kept out.
    pub async fn unban(
        &self,
        sender: &UserId,
        room: &RoomId,
        target: &UserId,
        reason: Option<&str>,
    ) -> Result<OwnedEventId> {
        let snapshot = self.settled_for(room, target).await.map_err(unknown_is_forbidden)?;
        if snapshot.membership(target) != Membership::Ban {
            return Err(RoomError::forbidden("that person is not banned"));
        }
        self.send_away(sender, room, target, (Membership::Leave, reason)).await
    }

    async fn send_away(
        &self,
        sender: &UserId,
        room: &RoomId,
        target: &UserId,
        (membership, reason): (Membership, Option<&str>),
    ) -> Result<OwnedEventId> {
        let draft = draft(target, member_content(membership, &MemberProfile::default()), reason);
        self.send(Sender::of(sender), room, draft).await
    }

    /// Shows a person's present profile in all rooms they are in. Rooms that refuse are passed over.
    pub async fn show_profile(&self, user: &UserId) -> Result<()> {
        let profile = self.0.people.profile(user).await;
        for room in self.joined_rooms(user).await? {
            let shown = self.show_profile_in(user, &room, &profile).await;
            if let Err(error @ (RoomError::Storage(_) | RoomError::Commit(_))) = shown {
                return Err(error);
            }
        }
        Ok(())
    }

    async fn show_profile_in(&self, user: &UserId, room: &RoomId, profile: &MemberProfile) -> Result<()> {
        let writing = self.write(room).await?;
        let kind = ruma::events::StateEventType::RoomMember;
        let Some(held) = writing.state_event(&kind, user.as_str()).await? else { return Ok(()) };
        drop(writing);
        let mut content: CanonicalJsonObject = held.content_as().unwrap_or_default();
        for field in ["displayname", "avatar_url", "join_authorised_via_users_server", "reason"] {
            content.remove(field);
        }
        profile.put_into(&mut content);
        self.send(Sender::of(user), room, draft(user, content, None)).await.map(drop)
    }

    /// Forgets a room that the person has left.
    pub async fn forget(&self, user: &UserId, room: &RoomId) -> Result<()> {
        for _ in 0..WRITE_TRIES {
            let key = (user.as_str(), room.as_str());
            let row = self.store().get(&MEMBERSHIPS, key).await?;
            let Some(row) = row else { return Err(RoomError::NotFound("you were never in this room")) };
            if !matches!(row.membership, Membership::Leave | Membership::Ban) {
                return Err(RoomError::StillIn);
            }
            let mut forgotten = row.clone();
            forgotten.forgotten = true;
            let mut batch = lyceum_storage::Batch::new();
            batch.expect(&MEMBERSHIPS, key, Some(&row)).put(&MEMBERSHIPS, key, &forgotten);
            batch.touch(lyceum_storage::Subject::user(user));
            let (shared, user) = (self.0.clone(), user.to_owned());
            batch.after_commit(move |_| shared.memberships.drop_user(&user));
            match self.store().commit(batch).await {
                Err(lyceum_storage::CommitError::Conflict(_)) => {}
                done => return done.map(drop).map_err(Into::into),
            }
        }
        Err(RoomError::Busy)
    }
}

/// Who vouches for a join.
pub(crate) enum Authorising {
    /// The room asks for no such thing of this person.
    NotNeeded,
    /// This person of this server does.
    By(OwnedUserId),
    /// This server is in none of the rooms that would tell whether the person may join.
    Unknown,
    /// The person may join, but nobody of this server may say so.
    Nobody,
}

impl Writing {
    /// Asks the campus rules about a membership event.
    pub(crate) async fn ask_judge_of_membership(&self, sender: Sender<'_>, draft: &Draft) -> Result<()> {
        let target = draft.state_key.as_deref().and_then(|user| UserId::parse(user).ok());
        let membership = draft.content.get("membership").and_then(|value| value.as_str()).and_then(Membership::named);
        let room = Some(&**self.snapshot());
        let room_id = self.room.id.clone();
        let act = match (membership, target) {
            (Some(Membership::Invite), Some(invitee)) => Act::Invite { room, invitee },
            (Some(Membership::Join), _) if !self.snapshot().is_joined(sender.user) => Act::Join { room, room_id },
            (Some(Membership::Knock), _) => Act::Knock { room, room_id },
            _ => return Ok(()),
        };
        if let Act::Invite { invitee, .. } = &act
            && self.rooms.is_local(invitee)
            && !self.rooms.0.people.takes_invite(invitee, sender.user).await
        {
            return Err(RoomError::InviteBlocked);
        }
        self.rooms.judge(sender.user, &act).await
    }
}
