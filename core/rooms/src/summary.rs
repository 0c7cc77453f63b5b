//! What may be told of a room to somebody who is not in it.

use js_int::UInt;
use ruma::{
    OwnedServerName, RoomId, ServerName, UserId,
    events::room::history_visibility::HistoryVisibility,
    room::{JoinRule, JoinRuleKind, JoinRuleSummary, RoomSummary, RoomType},
};

use crate::{Membership, Result, RoomError, Rooms, Snapshot};

impl Snapshot {
    /// What may be told of the room.
    pub fn summary(&self) -> RoomSummary {
        let facts = self.facts();
        let world_readable = *self.history_visibility() == HistoryVisibility::WorldReadable;
        let mut summary = RoomSummary::new(
            self.room_id().clone(),
            facts.join_rule.clone().into(),
            facts.guest_can_join,
            UInt::new_saturating(self.joined_count()),
            world_readable,
        );
        summary.canonical_alias = facts.canonical_alias.clone();
        summary.name = facts.name.clone();
        summary.topic = facts.topic.clone();
        summary.avatar_url = facts.avatar_url.clone().map(Into::into);
        summary.room_type = facts.room_type.as_deref().map(RoomType::from);
        summary.encryption = facts.encryption.as_deref().map(Into::into);
        summary.room_version = Some(self.version().clone());
        summary
    }
}

/// Who asks about a room.
#[derive(Debug, Clone, Copy)]
pub enum Asker<'a> {
    /// A person of this server.
    Person(&'a UserId),
    /// Another server, for its people.
    Server(&'a ServerName),
    /// Anybody.
    Anybody,
}

impl Rooms {
    /// What may be told of a room, if anything, and how the asking person stands to it.
    pub async fn summary_for(&self, asker: Asker<'_>, room: &RoomId) -> Result<(RoomSummary, Option<Membership>)> {
        let snapshot = self.snapshot(room).await?;
        if !self.may_know_of(asker, &snapshot).await? {
            return Err(RoomError::UnknownRoom(room.to_owned()));
        }
        let membership = match asker {
            Asker::Person(user) => Some(snapshot.membership(user)),
            _ => None,
        };
        Ok((snapshot.summary(), membership))
    }

    /// Whether somebody may be told of a room (spec, "GET /hierarchy": who could join it, was asked in, or may look).
    pub(crate) async fn may_know_of(&self, asker: Asker<'_>, snapshot: &Snapshot) -> Result<bool> {
        if !self.0.judge.shows(asker, snapshot).await {
            return Ok(false);
        }
        let facts = snapshot.facts();
        if matches!(facts.join_rule, JoinRule::Public | JoinRule::Knock | JoinRule::KnockRestricted(_))
            || *snapshot.history_visibility() == HistoryVisibility::WorldReadable
        {
            return Ok(true);
        }
        match (asker, &facts.join_rule) {
            (Asker::Person(user), _) if snapshot.membership(user).is_in_or_invited() => Ok(true),
            (Asker::Person(user), JoinRule::Restricted(rule)) => Ok(self.is_in_any(user, rule).await? == Some(true)),
            (Asker::Server(server), _) if snapshot.has_server(server) || is_invited(server, snapshot) => Ok(true),
            (Asker::Server(server), JoinRule::Restricted(rule)) => {
                for allow in &rule.allow {
                    if let ruma::room::AllowRule::RoomMembership(allow) = allow
                        && self.is_server_in(&server.to_owned(), &allow.room_id).await?
                    {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    /// Whether somebody may be told of a room of which another server told.
    pub async fn may_know_of_outside(&self, asker: Asker<'_>, summary: &RoomSummary) -> Result<bool> {
        let open = [JoinRuleKind::Public, JoinRuleKind::Knock, JoinRuleKind::KnockRestricted];
        if summary.world_readable || open.contains(&summary.join_rule.kind()) {
            return Ok(true);
        }
        let Asker::Person(user) = asker else { return Ok(false) };
        let membership = self.membership(user, &summary.room_id).await?;
        if membership.is_some_and(|row| row.membership.is_in_or_invited()) {
            return Ok(true);
        }
        let JoinRuleSummary::Restricted(rule) = &summary.join_rule else { return Ok(false) };
        for room in &rule.allowed_room_ids {
            let row = self.membership(user, room).await?;
            if row.is_some_and(|row| row.membership == Membership::Join) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn is_server_in(&self, server: &OwnedServerName, room: &RoomId) -> Result<bool> {
        match self.snapshot(room).await {
            Ok(snapshot) => Ok(snapshot.has_server(server)),
            Err(RoomError::UnknownRoom(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Whether anybody of a server was asked into a room.
fn is_invited(server: &ServerName, snapshot: &Snapshot) -> bool {
    let mut members = snapshot.state().members();
    members.any(|(user, member)| user.server_name() == server && member.membership == Membership::Invite)
}
