//! Memberships of rooms that this server is not in: invites and knocks, with what was told of the room.

use lyceum_events::{Event, Placing, build, countersign, rules_of};
use lyceum_storage::{Batch, Subject};
use ruma::{OwnedServerName, OwnedUserId, RoomId, RoomVersionId, ServerName, UserId, events::TimelineEventType};
use serde::Deserialize;

use crate::{
    Act, MemberProfile, Membership, Result, RoomError, Rooms,
    borrow::LOCAL_ID_LETTERS,
    client_form::{base_of, stripped_form, stripped_of},
    members::MembershipRow,
    membership_acts::{draft, member_content},
    tables::{MEMBERSHIP_LOG, MEMBERSHIPS, STRIPPED},
    write::{bad, membership_of, target_of},
};

/// Invites of one server's people that one person may have left without an answer, to rooms that nobody here is in.
const UNANSWERED_INVITES_MAX: usize = 200;
/// Stripped state events that come with an invite or a knock at most.
const STRIPPED_MAX: usize = 100;
/// The bytes of all of them.
const STRIPPED_BYTES_MAX: usize = 256 * 1024;

impl Rooms {
    /// Takes an invite of another server for a person of this one, and signs it.
    pub async fn take_invite(
        &self,
        origin: &ServerName,
        version: &RoomVersionId,
        event: Event,
        stripped: Vec<String>,
    ) -> Result<Event> {
        let rules = rules_of(version).ok_or_else(|| RoomError::UnsupportedVersion(version.to_string()))?;
        let invitee = invitee_of(&event).ok_or_else(|| RoomError::InvalidParam("this is not an invite".to_owned()))?;
        if !self.is_local(&invitee) || event.sender().server_name() != origin {
            let why = "the invite is not from one of your people to one of ours";
            return Err(RoomError::InvalidParam(why.to_owned()));
        }
        if !self.0.people.is_here(&invitee).await {
            // Spec, `PUT /invite`: 403 where "the homeserver does not permit anyone to invite its users" and the like. Nobody
            // would ever answer it.
            return Err(RoomError::forbidden("there is nobody of this name here"));
        }
        if !self.0.people.takes_invite(&invitee, event.sender()).await {
            return Err(RoomError::InviteBlocked);
        }
        self.check_open(event.room()).await?;
        let signed = countersign(&event, &rules, &self.0.key).map_err(bad)?;
        match self.snapshot(event.room()).await {
            Ok(snapshot) if snapshot.is_local() => {
                // The room is here: the invite comes again through it, and is judged there.
                if !self.server_allowed(event.room(), origin).await? {
                    return Err(RoomError::forbidden("the room's server ACL keeps your server out"));
                }
                self.judge(event.sender(), &Act::Invite { room: Some(&snapshot), invitee }).await?;
                return Ok(signed);
            }
            Ok(snapshot) => {
                let act = Act::Invite { room: Some(&snapshot), invitee: invitee.clone() };
                self.judge(event.sender(), &act).await?;
            }
            Err(RoomError::UnknownRoom(_)) => {
                self.judge(event.sender(), &Act::Invite { room: None, invitee: invitee.clone() }).await?;
            }
            Err(error) => return Err(error),
        }
        self.check_unanswered(&invitee, origin, event.room()).await?;
        self.remember_outside(&invitee, &signed, stripped).await?;
        Ok(signed)
    }

    /// Rooms cost nothing to whoever makes them up: a server asks a person into so many, and no more until some are answered.
    async fn check_unanswered(&self, invitee: &UserId, origin: &ServerName, room: &RoomId) -> Result<()> {
        let memberships = self.memberships(invitee).await?;
        let unanswered = memberships.values().filter(|row| {
            row.membership == Membership::Invite && row.sender.server_name() == origin && row.room_id != room
        });
        if unanswered.count() < UNANSWERED_INVITES_MAX {
            return Ok(());
        }
        metrics::counter!("lyceum_federation_refused_invites_total").increment(1);
        Err(RoomError::forbidden("your people have asked this person into too many rooms already"))
    }

    /// Remembers how a person stands to a room that this server is not in: asked in, knocking, or no longer so. `told` is
    /// state of the room, as whole events or stripped already.
    pub async fn remember_outside(&self, user: &UserId, event: &Event, told: Vec<String>) -> Result<()> {
        let mut stripped: Vec<_> = told.iter().take(STRIPPED_MAX).filter_map(|one| stripped_of(one)).collect();
        let mut bytes = 0;
        stripped.retain(|one| {
            bytes += one.len();
            bytes <= STRIPPED_BYTES_MAX
        });
        let is_over = !matches!(membership_of(event), Membership::Invite | Membership::Knock);
        match is_over {
            // All there is to show of the room from now on.
            true => stripped = vec![base_of(event).into_string()],
            false => stripped.push(stripped_form(event).get().to_owned()),
        }
        let (room, user) = (event.room().to_string(), user.to_string());
        let mut batch = Batch::new();
        batch.touch(Subject::user(&user));
        batch.put(&STRIPPED, (user.as_str(), room.as_str()), &stripped);
        let written = event.clone();
        let key = (user.clone(), room);
        batch.at_position(move |position, writes| {
            let (user, room) = &key;
            let row = MembershipRow::of(&written, position.0).stored();
            writes.put(&MEMBERSHIPS, (user.as_str(), room.as_str()), &row);
            writes.put(&MEMBERSHIP_LOG, (user.as_str(), position.0), room);
        });
        let (shared, event) = (self.0.clone(), event.clone());
        batch.after_commit(move |position| {
            if let Ok(user) = <&UserId>::try_from(user.as_str()) {
                shared.memberships.changed(user, MembershipRow::of(&event, position.0));
            }
        });
        self.store().commit(batch).await?;
        Ok(())
    }

    /// Ends a person's invite to, or knock on, a room that this server is not in, when no other server could be told: by an
    /// event that nobody else sees.
    pub async fn leave_outside(&self, user: &UserId, room: &RoomId, reason: Option<&str>) -> Result<()> {
        let Some(row) = self.membership(user, room).await? else { return Ok(()) };
        let version = self.version_outside(user, room).await?.unwrap_or(RoomVersionId::V1);
        let rules = rules_of(&version).ok_or_else(|| RoomError::UnsupportedVersion(version.to_string()))?;
        let content = member_content(Membership::Leave, &MemberProfile::default());
        let placing = Placing {
            room_id: Some(room),
            sender: user,
            ts: self.0.clock.now(),
            prev_events: vec![row.event_id.clone()],
            auth_events: vec![row.event_id],
            depth: 1,
            local_id: &self.letters(LOCAL_ID_LETTERS),
        };
        let event = build(draft(user, content, reason), &placing, &rules, &self.0.key).map_err(bad)?;
        self.remember_outside(user, &event, Vec::new()).await
    }

    /// The server to ask about a room that a person was asked into or knocks on: the one that spoke of it.
    pub async fn server_of_invite(&self, user: &UserId, room: &RoomId) -> Result<Option<OwnedServerName>> {
        let row = self.membership(user, room).await?;
        Ok(row.filter(|row| row.membership != Membership::Join).map(|row| row.sender.server_name().to_owned()))
    }
}

impl Rooms {
    /// The servers that may know a room which a person was asked into or knocks on: those of whoever spoke of it.
    pub async fn servers_outside(&self, user: &UserId, room: &RoomId) -> Result<Vec<OwnedServerName>> {
        let mut servers: Vec<_> = self.server_of_invite(user, room).await?.into_iter().collect();
        for stripped in self.stripped_state(user, room).await? {
            let sender = serde_json::from_str::<Told>(&stripped).map(|told| told.sender.server_name().to_owned());
            servers.extend(sender.ok().filter(|server| !servers.contains(server)));
        }
        servers.retain(|server| server != self.server());
        Ok(servers)
    }
}

impl Rooms {
    /// The version of a room that a person was asked into or knocks on, as they were told.
    pub async fn version_outside(&self, user: &UserId, room: &RoomId) -> Result<Option<RoomVersionId>> {
        let told = self.stripped_state(user, room).await?;
        let mut told = told.iter().filter_map(|stripped| serde_json::from_str::<Told>(stripped).ok());
        let create = told.find(|told| told.kind == TimelineEventType::RoomCreate.to_string());
        Ok(create.map(|create| create.content.room_version.unwrap_or(RoomVersionId::V1)))
    }

    /// Takes in that somebody of this server, who was asked into a room that it is not in or knocks on it, was sent away
    /// from there. Nothing tells whether the room permits that: whoever spoke of the room to them is believed. Answers
    /// whether it concerned anybody.
    pub async fn take_rejection(&self, event: &Event) -> Result<bool> {
        let Some(user) = target_of(event).filter(|user| self.is_local(user) && user != event.sender()) else {
            return Ok(false);
        };
        if !matches!(membership_of(event), Membership::Leave | Membership::Ban) {
            return Ok(false);
        }
        let server = event.sender().server_name();
        let believed = match self.membership(&user, event.room()).await? {
            // Whether somebody else there may is nothing that can be known from outside.
            Some(row) if row.membership == Membership::Invite => row.sender == event.sender(),
            Some(row) if row.membership == Membership::Knock => {
                self.servers_outside(&user, event.room()).await?.iter().any(|one| one == server)
            }
            _ => false,
        };
        if !believed {
            return Ok(false);
        }
        self.remember_outside(&user, event, Vec::new()).await?;
        Ok(true)
    }
}

/// A piece of state that somebody outside was told.
#[derive(Deserialize)]
struct Told {
    sender: OwnedUserId,
    #[serde(rename = "type")]
    kind: String,
    content: ToldContent,
}

#[derive(Deserialize)]
struct ToldContent {
    room_version: Option<RoomVersionId>,
}

/// Whom an invite is for; nobody, if it is none.
pub fn invitee_of(event: &Event) -> Option<OwnedUserId> {
    let is_invite = *event.kind() == TimelineEventType::RoomMember && membership_of(event) == Membership::Invite;
    UserId::parse(event.state_key()?).ok().filter(|_| is_invite)
}
