//! What rooms and people have to tell other servers.

mod devices;
mod missed;
mod news;

use async_trait::async_trait;
use lyceum_accounts::Accounts;
use lyceum_rooms::{Direction, Known, RoomError, Rooms, Snapshot, typing::TypingChange};
use lyceum_storage::{Commit, Subject};
use ruma::{OwnedServerName, OwnedUserId, RoomId, ServerName, UserId, events::room::member::MembershipState};
use serde_json::json;
use std::{collections::BTreeSet, sync::Arc};
use tokio::sync::{Mutex, broadcast};

use self::{
    devices::device_owner,
    news::{News, passing},
};
use super::{
    Edu, Missed, Piece, Source, Telling, What,
    member::{is_claimed_here, is_passed_on, is_sent_away, membership, newcomer},
};
use crate::PeerError;

/// People whose presence a server is told that has just come into a room.
const GREETED_MAX: usize = 100;

/// Rooms and people as a source for the sender.
pub struct RoomsSource {
    rooms: Rooms,
    accounts: Accounts,
    typing: Mutex<broadcast::Receiver<TypingChange>>,
    presence: Mutex<broadcast::Receiver<OwnedUserId>>,
    reminders: Mutex<broadcast::Receiver<OwnedUserId>>,
}

fn failed(error: impl std::fmt::Display) -> PeerError {
    PeerError::Source(error.to_string())
}

impl RoomsSource {
    /// What these rooms and people have to tell.
    pub fn new(rooms: &Rooms, accounts: &Accounts) -> Self {
        let (typing, presence) = (rooms.typing().listen(), accounts.presence());
        Self {
            rooms: rooms.clone(),
            accounts: accounts.clone(),
            typing: Mutex::new(typing),
            presence: Mutex::new(presence.listen()),
            reminders: Mutex::new(presence.listen_for_reminders()),
        }
    }

    fn others(&self, snapshot: &Snapshot) -> BTreeSet<OwnedServerName> {
        let servers = snapshot.servers().map(|(server, _)| server);
        servers.filter(|server| *server != self.rooms.server()).cloned().collect()
    }

    /// The other servers that were in the room when an event had come: who came since was not there to hear it.
    async fn others_at(&self, known: &Known) -> Result<BTreeSet<OwnedServerName>, PeerError> {
        let mut servers = self.rooms.servers_at(known).await.map_err(failed)?;
        servers.remove(self.rooms.server());
        Ok(servers)
    }

    async fn snapshot(&self, room: &RoomId) -> Result<Option<Arc<Snapshot>>, PeerError> {
        match self.rooms.snapshot(room).await {
            Ok(snapshot) => Ok(Some(snapshot)),
            Err(RoomError::UnknownRoom(_)) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Whether this server has to tell others of an event: its people sent it, or it came from a server that came into
    /// (or out of) the room by way of this one, which the door then signed.
    fn is_ours(&self, known: &Known) -> bool {
        let (event, myself) = (known.event(), self.rooms.server());
        event.sender().server_name() == myself || is_passed_on(event, myself) || is_claimed_here(event, myself)
    }

    async fn room_tellings(
        &self,
        room: &RoomId,
        commit: &Commit,
        tellings: &mut Vec<Telling>,
    ) -> Result<(), PeerError> {
        let Some(snapshot) = self.snapshot(room).await? else { return Ok(()) };
        let others = self.others(&snapshot);
        let is_remote = |user: &str| <&UserId>::try_from(user).is_ok_and(|user| !self.rooms.is_local(user));
        let concerns_others = |subject: &Subject| matches!(subject, Subject::User(user) if is_remote(user));
        if others.is_empty() && !commit.subjects.iter().any(concerns_others) {
            return Ok(());
        }
        let (before, to) = (commit.first.0.cast_signed() - 1, commit.last.0.cast_signed());
        let page = self.rooms.page(room, Direction::Forward, before, Some(to), usize::MAX).await.map_err(failed)?;
        for known in &page.events {
            let came_in = self.came_in(known).await?;
            if self.is_ours(known) && came_in != Some(By::AnotherServer) {
                let others = self.others_at(known).await?;
                tellings.extend(event_telling(room, known, others, self.rooms.server()));
            }
            if came_in.is_some() {
                tellings.extend(self.devices_for_newly_met(known, &others).await?);
            }
            if let Some(newcomer) = newcomer(known.event(), self.rooms.server()) {
                self.greet(newcomer.server_name(), &snapshot, tellings);
            }
            if let Some((user, MembershipState::Join)) = membership(known.event())
                && let Some(edu) = self.presence_of(user)
            {
                tellings.push(passing(&others, format!("presence {user}"), edu));
            }
        }
        tellings.append(&mut self.devices_missed_in_part(&snapshot, commit).await?);
        if page.events.is_empty() && !others.is_empty() {
            self.receipt_tellings(room, commit, &others, tellings).await?;
        }
        Ok(())
    }

    /// Whether somebody of this server came into the room by an event, and by whose help: a server by which one came in
    /// tells the others of it.
    async fn came_in(&self, known: &Known) -> Result<Option<By>, PeerError> {
        let Some((user, MembershipState::Join)) = membership(known.event()) else { return Ok(None) };
        if !self.rooms.is_local(user) {
            return Ok(None);
        }
        if let Some(before) = known.replaces()
            && let Some(before) = self.rooms.known(before).await.map_err(failed)?
            && membership(before.event()).is_some_and(|(_, before)| before == MembershipState::Join)
        {
            return Ok(None);
        }
        if self.is_in_part(known).await? {
            // Who does not know the whole state lets nobody in.
            return Ok(Some(By::AnotherServer));
        }
        let prev = self.rooms.known_many(known.event().prev()).await.map_err(failed)?;
        let follows_what_is_here = prev.iter().all(|prev| prev.as_ref().is_some_and(|prev| prev.after().is_some()));
        Ok(Some(if follows_what_is_here { By::ThisServer } else { By::AnotherServer }))
    }

    /// Whether an event came when only part of its room's state was here.
    async fn is_in_part(&self, known: &Known) -> Result<bool, PeerError> {
        let Some(snapshot) = self.snapshot(known.event().room()).await? else { return Ok(false) };
        Ok(match (snapshot.partial(), snapshot.part_time(), known.order()) {
            (Some(_), ..) => true,
            (None, Some((_, until)), Some(order)) => order <= until.0.cast_signed(),
            _ => false,
        })
    }

    async fn receipt_tellings(
        &self,
        room: &RoomId,
        commit: &Commit,
        others: &BTreeSet<OwnedServerName>,
        tellings: &mut Vec<Telling>,
    ) -> Result<(), PeerError> {
        for position in commit.first.0..=commit.last.0 {
            let moved = self.rooms.receipts().moved_at(room, lyceum_storage::Position(position)).await?;
            let Some(receipt) = moved else { continue };
            let Ok(user) = <&UserId>::try_from(receipt.user.as_str()) else { continue };
            if !self.rooms.is_local(user) {
                continue;
            }
            let mut data = json!({ "ts": receipt.ts });
            if let Some(thread) = &receipt.thread {
                data["thread_id"] = thread.as_str().into();
            }
            let read = json!({ "event_ids": [receipt.event], "data": data });
            let content = json!({ room.as_str(): { "m.read": { user.as_str(): read } } });
            let key = format!("receipt {room} {user} {}", receipt.thread.unwrap_or_default());
            tellings.push(passing(others, key, Edu::new("m.receipt", content)));
        }
        Ok(())
    }

    /// Tells a server that may be new in a room who of us is there.
    fn greet(&self, server: &ServerName, snapshot: &Snapshot, tellings: &mut Vec<Telling>) {
        let to = BTreeSet::from([server.to_owned()]);
        for user in snapshot.local_joined().take(GREETED_MAX) {
            if let Some(edu) = self.presence_of(user).filter(|edu| edu.content["push"][0]["presence"] != "offline") {
                tellings.push(passing(&to, format!("presence {user}"), edu));
            }
        }
    }

    fn presence_of(&self, user: &UserId) -> Option<Edu> {
        let book = self.accounts.presence();
        let presence = book.of(user);
        let mut push =
            json!({ "user_id": user, "presence": presence.state, "currently_active": book.is_active(&presence) });
        let active_ago = book.active_ago(&presence).map_or(0, |ago| u64::try_from(ago.as_millis()).unwrap_or(u64::MAX));
        push["last_active_ago"] = active_ago.into();
        if let Some(message) = &presence.status_message {
            push["status_msg"] = message.as_str().into();
        }
        self.rooms.is_local(user).then(|| Edu::new("m.presence", json!({ "push": [push] })))
    }

    /// The other servers that share a room with a person.
    async fn servers_of(&self, user: &UserId) -> Result<BTreeSet<OwnedServerName>, PeerError> {
        let mut servers = BTreeSet::new();
        for room in self.rooms.joined_rooms(user).await.map_err(failed)? {
            if let Some(snapshot) = self.snapshot(&room).await? {
                servers.append(&mut self.others(&snapshot));
            }
        }
        Ok(servers)
    }
}

#[async_trait]
impl Source for RoomsSource {
    async fn tellings(&self, commit: &Commit) -> Result<Vec<Telling>, PeerError> {
        let mut tellings = Vec::new();
        for subject in commit.subjects.iter() {
            match subject {
                Subject::Room(room) => {
                    if let Ok(room) = <&RoomId>::try_from(&**room) {
                        self.room_tellings(room, commit, &mut tellings).await?;
                    }
                }
                Subject::Other(name) => {
                    if let Some(user) = device_owner(name).filter(|user| self.rooms.is_local(user)) {
                        tellings.append(&mut self.device_tellings(user, name, commit).await?);
                    }
                }
                Subject::User(_) | Subject::Own(..) => {}
            }
        }
        Ok(tellings)
    }

    async fn passing(&self) -> Telling {
        loop {
            let telling = {
                let (mut typing, mut presence) = (self.typing.lock().await, self.presence.lock().await);
                let mut reminders = self.reminders.lock().await;
                tokio::select! {
                    change = typing.recv() => News::typing(change),
                    change = presence.recv() => News::presence(change),
                    who = reminders.recv() => News::presence(who),
                }
            };
            match self.news(telling).await {
                Ok(Some(telling)) => return telling,
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, "news could not be told"),
            }
        }
    }

    async fn missed(
        &self,
        server: &ServerName,
        about: &str,
        from: u64,
        pdus: usize,
        edus: usize,
    ) -> Result<Missed, PeerError> {
        if let Some(user) = device_owner(about) {
            return self.missed_devices(server, user, from, edus).await;
        }
        match <&RoomId>::try_from(about) {
            Ok(room) => self.missed_events(server, room, from, pdus).await,
            Err(_) => Ok(Missed::default()),
        }
    }
}

/// By whose help somebody came into a room.
#[derive(PartialEq, Eq)]
enum By {
    ThisServer,
    AnotherServer,
}

fn pdu(known: &Known) -> Piece {
    Piece::Pdu(known.event().json().into())
}

fn event_telling(
    room: &RoomId,
    known: &Known,
    mut servers: BTreeSet<OwnedServerName>,
    myself: &ServerName,
) -> Option<Telling> {
    if !is_claimed_here(known.event(), myself) {
        // Who sent it has it.
        servers.remove(known.event().sender().server_name());
    }
    if let Some((user, _)) = membership(known.event())
        && is_sent_away(known.event(), user.server_name())
        && user.server_name() != myself
    {
        servers.insert(user.server_name().to_owned());
    }
    let position = known.order().filter(|order| *order > 0)?.cast_unsigned();
    let what = What::Kept { position, about: room.as_str().into(), piece: pdu(known) };
    (!servers.is_empty()).then(|| Telling { servers: servers.into_iter().collect(), what })
}
