//! The campus rules as rooms ask them: facts of a room are put into the institution's words, the answer into ours.

use lyceum_institution::{
    Institution, InstitutionError, Kind, Roster,
    kinds::{DIRECT, ELSEWHERE, Encryption, SPACE, SUPPORT_DESK},
    policies::{self, Place, Post},
};
use ruma::{CanonicalJsonObject, CanonicalJsonValue, UserId, events::StateEventType};
use std::sync::Arc;

use crate::{Act, Asker, InitialState, Judge, NewRoom, Snapshot, Verdict};

/// The field of a create event that names the room's kind, and the one that names its unit.
pub const KIND_FIELD: &str = "org.lyceum.kind";
/// The field of a create event that names the room's unit.
pub const UNIT_FIELD: &str = "org.lyceum.unit";

/// The others of a direct chat that rules look at.
const OTHERS_MAX: usize = 10;

/// Messages that are files.
const FILES: [&str; 4] = ["m.image", "m.file", "m.audio", "m.video"];

/// What messages are encrypted with where that is required.
const MEGOLM: &str = "m.megolm.v1.aes-sha2";

/// The rules of an institution.
pub struct CampusRules(Institution);

impl CampusRules {
    /// Those of this institution.
    pub fn of(institution: Institution) -> Self {
        Self(institution)
    }

    /// The roster; without one nothing can be judged.
    async fn roster(&self) -> Result<Arc<Roster>, Verdict> {
        self.0.roster().await.map_err(|error| unreadable(&error))
    }

    fn is_ours(&self, room: &Snapshot) -> bool {
        let create = room.kept(&StateEventType::RoomCreate);
        create.is_some_and(|create| create.sender().server_name() == self.0.account().server_name())
    }

    /// The kind of a room that is there. What another server's room calls itself counts for nothing.
    fn kind_of(&self, room: Option<&Snapshot>) -> Option<&Kind> {
        let settings = self.0.settings();
        let name = match room.filter(|room| self.is_ours(room)) {
            None => ELSEWHERE,
            Some(room) => match &room.facts().campus.kind {
                Some(kind) => kind,
                None if room.facts().is_space() => SPACE,
                None => &settings.default_kind,
            },
        };
        settings.kind(name)
    }

    fn place<'a>(&'a self, room: Option<&'a Snapshot>, others: &'a [&'a UserId]) -> Option<Place<'a>> {
        let ours = room.filter(|room| self.is_ours(room));
        Some(Place {
            room: room.map(|room| &**room.room_id()),
            kind: self.kind_of(room)?,
            unit: ours.and_then(|room| room.facts().campus.unit.as_deref()),
            is_ours: ours.is_some(),
            is_encrypted: room.is_some_and(|room| room.facts().encryption.is_some()),
            others,
        })
    }

    /// Whether somebody is the account of the support desk.
    fn is_desk(&self, user: &UserId) -> bool {
        self.0.desk() == Some(user)
    }

    /// The kind that a new room is to have: the one asked for, or the one that fits how clients make rooms.
    fn wanted_kind(&self, new: &NewRoom) -> Result<&Kind, Verdict> {
        let settings = self.0.settings();
        let asked = text(&new.creation_content, KIND_FIELD);
        let is_space = text(&new.creation_content, "type") == Some("m.space");
        let name = match asked {
            Some(kind) => kind,
            None if new.invite.iter().any(|user| self.is_desk(user)) => SUPPORT_DESK,
            None if new.is_direct => DIRECT,
            None if is_space => SPACE,
            None => &settings.default_kind,
        };
        settings.kinds.get(name).ok_or_else(|| {
            let reason = format!("There is no kind of room named {name:?}; {}", settings.kind_names());
            Verdict::Deny { rule: "creation".to_owned(), reason }
        })
    }

    /// What rules look at of what somebody is about to say; nothing of it is read where no rule looks at it.
    async fn post(&self, who: &UserId, act: &Act<'_>, roster: &Roster) -> Result<Option<Post>, Verdict> {
        let Act::Send { room, kind, state_key: None, content } = act else { return Ok(None) };
        if self.0.settings().approval.is_empty() && !roster.has_holds() {
            return Ok(None);
        }
        let is_known = self.0.was_approved(who, room.room_id()).await.map_err(|error| unreadable(&error))?;
        let is_file = *kind == "m.sticker" || text(content, "msgtype").is_some_and(|kind| FILES.contains(&kind));
        Ok(Some(Post { text: crate::held::texts_of(content), is_file, is_known }))
    }

    fn judge_with(&self, who: &UserId, act: &Act<'_>, post: Option<&Post>, roster: &Roster) -> Verdict {
        let facts = self.0.facts(roster);
        let act = match act {
            Act::Create { new } => {
                let kind = match self.wanted_kind(new) {
                    Ok(kind) => kind,
                    Err(verdict) => return verdict,
                };
                // Whoever may make a chat with the support desk may ask it in.
                let is_its = |user: &UserId| kind.name == SUPPORT_DESK && self.is_desk(user);
                let invitees: Vec<_> = new.invite.iter().map(|user| &**user).filter(|user| !is_its(user)).collect();
                let unit = text(&new.creation_content, UNIT_FIELD);
                let is_encrypted = new.initial_state.iter().any(|state| state.kind == StateEventType::RoomEncryption);
                let place = Place { room: None, kind, unit, is_ours: true, is_encrypted, others: &[] };
                return answer(policies::judge(who, &policies::Act::Create { place, invitees: &invitees }, &facts));
            }
            Act::Invite { room, invitee } if self.is_desk(invitee) && self.is_desk_room(*room) => {
                self.place(*room, &[]).map(policies::Act::Join)
            }
            Act::Invite { room, invitee } => {
                self.place(*room, &[]).map(|place| policies::Act::Invite { place, whom: invitee })
            }
            Act::Join { room, .. } => self.place(*room, &[]).map(policies::Act::Join),
            Act::Knock { room, .. } => self.place(*room, &[]).map(policies::Act::Knock),
            Act::Send { room, kind, state_key, .. } => {
                let others = self.others(room, who);
                let Some(place) = self.place(Some(room), &others) else { return Verdict::Allow };
                let act = match state_key {
                    Some(_) => policies::Act::Set { place, kind },
                    None => policies::Act::Say { place, kind },
                };
                return answer(match post {
                    Some(post) => policies::judge_post(who, &act, post, &facts),
                    None => policies::judge(who, &act, &facts),
                });
            }
        };
        act.map_or(Verdict::Allow, |act| answer(policies::judge(who, &act, &facts)))
    }

    fn is_desk_room(&self, room: Option<&Snapshot>) -> bool {
        self.kind_of(room).is_some_and(|kind| kind.name == SUPPORT_DESK)
    }

    /// Who else is in a direct chat or asked in; nobody in other rooms, where no rule asks.
    fn others<'a>(&self, room: &'a Snapshot, who: &UserId) -> Vec<&'a UserId> {
        if self.kind_of(Some(room)).is_none_or(|kind| kind.name != DIRECT) {
            return Vec::new();
        }
        let members = room.state().members().filter(|(_, member)| member.membership.is_in_or_invited());
        members.map(|(user, _)| &**user).filter(|user| *user != who).take(OTHERS_MAX).collect()
    }
}

#[async_trait::async_trait]
impl Judge for CampusRules {
    async fn judge(&self, who: &UserId, act: &Act<'_>) -> Verdict {
        if self.0.is_own(who) {
            return Verdict::Allow;
        }
        let roster = match self.roster().await {
            Ok(roster) => roster,
            Err(verdict) => return verdict,
        };
        match self.post(who, act, &roster).await {
            Ok(post) => self.judge_with(who, act, post.as_ref(), &roster),
            Err(verdict) => verdict,
        }
    }

    async fn shape(&self, creator: &UserId, mut new: NewRoom) -> Result<NewRoom, Verdict> {
        if self.0.is_own(creator) {
            return Ok(new);
        }
        let kind = self.wanted_kind(&new)?;
        new.creation_content.insert(KIND_FIELD.to_owned(), kind.name.clone().into());
        if !kind.federates {
            new.creation_content.insert("m.federate".to_owned(), false.into());
        }
        new.required_levels.clone_from(&kind.levels);
        if kind.encryption == Encryption::Required {
            set_unless_given(&mut new, StateEventType::RoomEncryption, "algorithm", MEGOLM);
        }
        set_unless_given(&mut new, StateEventType::RoomHistoryVisibility, "history_visibility", kind.history.as_str());
        if !kind.guests {
            new.initial_state.retain(|state| state.kind != StateEventType::RoomGuestAccess);
            set_unless_given(&mut new, StateEventType::RoomGuestAccess, "guest_access", "forbidden");
        }
        Ok(new)
    }

    async fn shows(&self, asker: Asker<'_>, room: &Snapshot) -> bool {
        let (Ok(roster), Some(place)) = (self.roster().await, self.place(Some(room), &[])) else { return false };
        let server = match asker {
            Asker::Person(user) if room.membership(user).is_in_or_invited() => return true,
            Asker::Person(user) => {
                return policies::judge(user, &policies::Act::See(place), &self.0.facts(&roster))
                    == policies::Verdict::Allow;
            }
            Asker::Server(server) if room.has_server(server) => return true,
            Asker::Server(_) | Asker::Anybody => place.kind.federates,
        };
        // Nobody in particular asks: what a visitor may see.
        server && place.unit.is_none() && place.kind.admits_visitors()
    }
}

/// Nothing is allowed that cannot be judged.
fn unreadable(error: &InstitutionError) -> Verdict {
    tracing::error!(%error, "the rules cannot be read, so nothing is allowed");
    let reason = "The rules of the institution cannot be read at the moment".to_owned();
    Verdict::Deny { rule: "roster".to_owned(), reason }
}

fn answer(verdict: policies::Verdict) -> Verdict {
    match verdict {
        policies::Verdict::Allow => Verdict::Allow,
        policies::Verdict::Hold { rule } => Verdict::Hold { rule: rule.to_owned() },
        policies::Verdict::Deny { rule, reason } => Verdict::Deny { rule: rule.to_owned(), reason },
    }
}

fn text<'a>(content: &'a CanonicalJsonObject, field: &str) -> Option<&'a str> {
    content.get(field).and_then(CanonicalJsonValue::as_str)
}

fn set_unless_given(new: &mut NewRoom, kind: StateEventType, field: &str, value: &str) {
    if new.initial_state.iter().any(|state| state.kind == kind && state.state_key.is_empty()) {
        return;
    }
    let content = CanonicalJsonObject::from([(field.to_owned(), value.into())]);
    new.initial_state.push(InitialState { kind, state_key: String::new(), content });
}
