//! Lending a hand to servers that are not in a room: templates for joining, leaving and knocking, and taking up the events
//! that they make of them.

use lyceum_events::{Draft, Event, Placing, build, countersign, template};
use ruma::{
    CanonicalJsonObject, OwnedServerName, RoomId, RoomVersionId, ServerName, UserId,
    events::{StateEventType, TimelineEventType},
};
use serde_json::value::RawValue;
use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use crate::{
    Acceptance, Act, Known, MemberProfile, Membership, Result, RoomError, RoomState, Rooms, Sender, Snapshot,
    membership_acts::{Authorising, member_content},
    write::{Writing, bad, membership_of},
};

/// People whose memberships come with a state without members: enough to name the room.
const HEROES: usize = 5;

/// A template of a membership event.
#[derive(Debug, Clone)]
pub struct Template {
    /// The room's version.
    pub version: RoomVersionId,
    /// The event, neither hashed nor signed.
    pub event: CanonicalJsonObject,
}

/// What a server is told that has joined a room.
#[derive(Debug, Clone)]
pub struct JoinedState {
    /// The join, if this server signed it too.
    pub event: Option<Event>,
    /// The state before it.
    pub state: Vec<Arc<Known>>,
    /// What permits that.
    pub auth_chain: Vec<Arc<Known>>,
    /// Whether most members were left out, as was asked.
    pub members_omitted: bool,
    /// The servers in the room, told when members were left out.
    pub servers: Vec<OwnedServerName>,
}

impl Rooms {
    /// A template for somebody of another server to join, leave or knock.
    pub async fn lend_template(
        &self,
        room: &RoomId,
        user: &UserId,
        membership: Membership,
        versions: &[RoomVersionId],
    ) -> Result<Template> {
        let writing = self.write(room).await?;
        let snapshot = writing.snapshot().clone();
        self.check_lending(&snapshot, user.server_name()).await?;
        if membership != Membership::Leave && !versions.contains(snapshot.version()) {
            return Err(RoomError::IncompatibleVersion(snapshot.version().to_string()));
        }
        let (known, room_id) = (Some(&*snapshot), room.to_owned());
        match membership {
            Membership::Join if !snapshot.is_joined(user) => {
                self.judge(user, &Act::Join { room: known, room_id }).await?;
            }
            Membership::Knock => self.judge(user, &Act::Knock { room: known, room_id }).await?,
            _ => {}
        }
        let mut content = member_content(membership, &MemberProfile::default());
        if membership == Membership::Join {
            match self.authorising_user(&snapshot, user).await? {
                Authorising::NotNeeded => {}
                Authorising::By(by) => {
                    content.insert("join_authorised_via_users_server".to_owned(), by.to_string().into());
                }
                Authorising::Unknown => return Err(RoomError::UnableToAuthorizeJoin),
                Authorising::Nobody => return Err(nobody_vouches()),
            }
        }
        let draft = Draft::state(TimelineEventType::RoomMember, user.as_str(), content);
        let event = writing.lend(user, draft).await?;
        Ok(Template { version: snapshot.version().clone(), event })
    }

    /// A server may be helped into a room that this one is in, if the room does not keep it out.
    pub(crate) async fn check_lending(&self, snapshot: &Snapshot, server: &ServerName) -> Result<()> {
        // Who does not know the whole state can neither say whether somebody may come in nor tell them all of it.
        if !snapshot.is_local() || snapshot.partial().is_some() {
            return Err(RoomError::UnknownRoom(snapshot.room_id().clone()));
        }
        if !self.server_allowed(snapshot.room_id(), server).await? {
            return Err(RoomError::forbidden("the room's server ACL keeps your server out"));
        }
        Ok(())
    }

    /// Takes up a membership event that another server made of a template.
    async fn take_up(&self, origin: &ServerName, event: &Event, membership: Membership) -> Result<Arc<Known>> {
        let snapshot = self.snapshot(event.room()).await?;
        if snapshot.partial().is_some() {
            return Err(RoomError::UnknownRoom(event.room().to_owned()));
        }
        let about_sender =
            *event.kind() == TimelineEventType::RoomMember && event.state_key() == Some(event.sender().as_str());
        if !about_sender || membership_of(event) != membership {
            return Err(RoomError::InvalidParam(format!("this is not a {} of its sender", membership.as_str())));
        }
        if event.sender().server_name() != origin {
            return Err(RoomError::forbidden("this is not from one of your people"));
        }
        self.check_lending(&snapshot, origin).await?;
        let (room, room_id) = (Some(&*snapshot), snapshot.room_id().clone());
        match membership {
            Membership::Join if !snapshot.is_joined(event.sender()) => {
                self.judge(event.sender(), &Act::Join { room, room_id }).await?;
            }
            Membership::Knock => self.judge(event.sender(), &Act::Knock { room, room_id }).await?,
            _ => {}
        }
        // Its signature says that it came in by this server, which tells the others of it.
        let event = &countersign(event, snapshot.rules(), &self.0.key).map_err(bad)?;
        match self.accept(event).await? {
            Acceptance::Accepted | Acceptance::Known(crate::Place::Timeline(_)) => self.must_know(event.id()).await,
            Acceptance::Rejected(why) => Err(RoomError::Forbidden(why)),
            Acceptance::SoftFailed => Err(RoomError::forbidden("the room does not permit that now")),
            Acceptance::Known(_) => Err(RoomError::forbidden("this event was refused before")),
            Acceptance::Missing { .. } => {
                Err(RoomError::Bad("the event stands on others that are not here".to_owned()))
            }
        }
    }

    /// Takes up a join, and tells what the joined server has to know.
    pub async fn take_up_join(&self, origin: &ServerName, event: Event, omit_members: bool) -> Result<JoinedState> {
        let vouches = self.vouches_for(&event).await?;
        let known = self.take_up(origin, &event, Membership::Join).await?;
        let event = known.event().clone();
        let state = match known.before() {
            Some(group) => self.state_of_group(event.room(), group).await?,
            None => return Err(RoomError::Damaged("a join without a state before it".to_owned())),
        };
        let told: Vec<_> = match omit_members {
            false => state.event_ids().cloned().collect(),
            true => {
                let heroes = state.members().filter(|(_, member)| member.membership.is_in_or_invited()).take(HEROES);
                let own = state.member(event.sender()).map(|member| &member.event_id);
                let members = heroes.map(|(_, member)| &member.event_id).chain(own);
                let mut seen = HashSet::new();
                let ids = state.rest().map(|(_, id)| id).chain(members);
                ids.filter(|id| seen.insert((*id).clone())).cloned().collect()
            }
        };
        let servers = if omit_members { servers_of(&state) } else { Vec::new() };
        let own_chain = std::iter::once(event.id().clone());
        let mut auth_chain = self.auth_chain(told.iter().cloned().chain(own_chain)).await?;
        if omit_members {
            // Spec: "any events that are returned in `state` may be omitted from `auth_chain`".
            let told: HashSet<_> = told.iter().collect();
            auth_chain.retain(|known| !told.contains(known.id()));
        }
        Ok(JoinedState {
            event: vouches.then_some(event),
            state: self.must_know_all(told.iter()).await?,
            auth_chain,
            members_omitted: omit_members,
            servers,
        })
    }

    /// Whether somebody of this server vouches for a join to a restricted room. Who cannot, ends it.
    async fn vouches_for(&self, event: &Event) -> Result<bool> {
        #[derive(serde::Deserialize)]
        struct Content {
            join_authorised_via_users_server: Option<ruma::OwnedUserId>,
        }
        let by = event.content_as::<Content>().and_then(|content| content.join_authorised_via_users_server);
        if !by.is_some_and(|by| self.is_local(&by)) {
            return Ok(false);
        }
        let snapshot = self.snapshot(event.room()).await?;
        match self.authorising_user(&snapshot, event.sender()).await? {
            Authorising::Unknown => Err(RoomError::UnableToAuthorizeJoin),
            Authorising::Nobody => Err(nobody_vouches()),
            Authorising::NotNeeded | Authorising::By(_) => Ok(true),
        }
    }

    /// Takes up a leave.
    pub async fn take_up_leave(&self, origin: &ServerName, event: &Event) -> Result<()> {
        self.take_up(origin, event, Membership::Leave).await.map(drop)
    }

    /// Takes up a knock, and tells what somebody knocking may see of the room.
    pub async fn take_up_knock(&self, origin: &ServerName, event: &Event) -> Result<Vec<Box<RawValue>>> {
        self.take_up(origin, event, Membership::Knock).await?;
        Ok(told_outside(&*self.snapshot(event.room()).await?))
    }
}

/// Spec: "a different server should be attempted for the join".
fn nobody_vouches() -> RoomError {
    RoomError::UnableToGrantJoin("nobody of this server may vouch for that join".to_owned())
}

/// The servers whose people are in a room.
fn servers_of(state: &RoomState) -> Vec<OwnedServerName> {
    let joined = state.members().filter(|(_, member)| member.membership == Membership::Join);
    let servers: BTreeSet<_> = joined.map(|(user, _)| user.server_name()).collect();
    servers.into_iter().map(ToOwned::to_owned).collect()
}

/// What somebody asked in, or knocking, may see of a room: whole events, which their server can prove.
fn told_outside(snapshot: &Snapshot) -> Vec<Box<RawValue>> {
    const TOLD: [StateEventType; 8] = [
        StateEventType::RoomCreate,
        StateEventType::RoomName,
        StateEventType::RoomAvatar,
        StateEventType::RoomTopic,
        StateEventType::RoomJoinRules,
        StateEventType::RoomCanonicalAlias,
        StateEventType::RoomEncryption,
        StateEventType::RoomHistoryVisibility,
    ];
    TOLD.iter().filter_map(|kind| snapshot.kept(kind)).map(whole).collect()
}

fn whole(event: &Event) -> Box<RawValue> {
    // It was parsed from this JSON.
    RawValue::from_string(event.json().to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

impl Writing {
    /// A draft at its place in the graph, as a template for another server; permitted as things stand.
    async fn lend(&self, user: &UserId, draft: Draft) -> Result<CanonicalJsonObject> {
        let auth = self.auth_events(&draft, user).await?;
        let local_id = self.rooms.letters(18);
        let placing = Placing {
            room_id: Some(&self.room.id),
            sender: user,
            ts: self.rooms.0.clock.now(),
            prev_events: self.prev_events(),
            auth_events: auth.iter().map(|event| event.id().clone()).collect(),
            depth: self.next_depth(),
            local_id: &local_id,
        };
        // Built once with our own signature, which is thrown away, to see whether the room would take it.
        let trial = build(draft.clone(), &placing, &self.rules(), &self.rooms.0.key).map_err(bad)?;
        self.authorize(&trial, &auth)?;
        Ok(template(draft, &placing, &self.rules()))
    }
}

/// An invite that is to be signed by the invited person's server.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// The event, signed by this server.
    pub event: Event,
    /// The room's version.
    pub version: RoomVersionId,
    /// What the invited person may see of the room, as whole events.
    pub state: Vec<Box<RawValue>>,
}

impl Rooms {
    /// Makes an invite to somebody of another server. It is nothing before that server has signed it.
    pub async fn write_invitation(
        &self,
        inviter: &UserId,
        room: &RoomId,
        invitee: &UserId,
        reason: Option<&str>,
        is_direct: bool,
    ) -> Result<Invitation> {
        let mut draft = self.invite_draft(invitee, reason).await;
        if is_direct {
            draft.content.insert("is_direct".to_owned(), true.into());
        }
        self.settled_for(room, invitee).await.map_err(crate::send::unknown_is_forbidden)?;
        let writing = self.write(room).await.map_err(crate::send::unknown_is_forbidden)?;
        writing.ask_judge(Sender::of(inviter), &draft).await?;
        if !self.server_allowed(room, invitee.server_name()).await? {
            return Err(RoomError::forbidden("the room's server ACL keeps that server out"));
        }
        writing.invitation(inviter, draft).await
    }
}

impl Writing {
    /// The invite that a draft is of, permitted as things stand, with what may be told of the room.
    pub(crate) async fn invitation(&self, inviter: &UserId, draft: Draft) -> Result<Invitation> {
        let auth = self.auth_events(&draft, inviter).await?;
        let event = self.compose(Sender::of(inviter), draft, &auth)?;
        self.authorize(&event, &auth)?;
        let snapshot = self.snapshot().clone();
        let mut state = told_outside(&snapshot);
        if let Some(member) = snapshot.member(inviter) {
            state.push(whole(self.rooms.must_know(&member.event_id).await?.event()));
        }
        Ok(Invitation { event, version: snapshot.version().clone(), state })
    }
}
