//! Reading the stream into the lines.

use lyceum_rooms::{Direction, Known, Membership, RoomError, Snapshot};
use lyceum_storage::{Commit, Position, Subject};
use ruma::{OwnedUserId, RoomId, UserId, events::TimelineEventType};
use std::{sync::atomic::Ordering, time::Duration};
use tokio::sync::broadcast::error::RecvError;

use super::{Notifier, line::Notice};
use crate::{error::Result, notification::Tweaks, pushers::PUSHERS_SUBJECT};

/// Groups of commits read at once.
const PAGE_GROUPS: usize = 64;
/// The pause after the store failed.
const PAUSE: Duration = Duration::from_millis(500);
/// How commits say that a person's sessions changed.
const SESSIONS_SUBJECT: &str = "sessions/";

impl Notifier {
    /// Follows the stream of commits.
    pub(super) async fn follow(&self) {
        let mut tail = self.push().store().tail();
        loop {
            let before = self.routed();
            match self.route_page(before).await {
                Err(error) => {
                    tracing::warn!(%error, "the stream could not be read for notifications, trying again");
                    self.push().clock().sleep(PAUSE).await;
                }
                Ok(through) if through > before => {}
                Ok(_) => match tail.recv().await {
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                },
            }
        }
    }

    /// Puts what the next commits say into the lines. Answers how far it came.
    async fn route_page(&self, after: Position) -> Result<Position> {
        let page = self.push().store().commits_since(after, PAGE_GROUPS).await?;
        if page.missed {
            tracing::error!(?after, "the stream was pruned before it was read: notifications are missing");
        }
        for commit in &page.commits {
            self.route(commit).await?;
        }
        self.0.routed.store(page.through.0, Ordering::Release);
        if !page.commits.is_empty() {
            self.changed();
        }
        Ok(page.through)
    }

    async fn route(&self, commit: &Commit) -> Result<()> {
        for subject in commit.subjects.iter() {
            match subject {
                Subject::Room(room) => {
                    if let Ok(room) = <&RoomId>::try_from(&**room) {
                        self.route_room(room, commit).await?;
                    }
                }
                Subject::User(user) => {
                    if let Some(user) = parsed(user).filter(|user| self.has_pushers(user)) {
                        self.route_outside_invites(&user, commit).await?;
                    }
                }
                Subject::Own(user, _) => {
                    if let Some(user) = parsed(user).filter(|user| self.has_pushers(user)) {
                        self.tell_counts(&user).await?;
                    }
                }
                Subject::Other(name) => self.route_other(name).await?,
            }
        }
        Ok(())
    }

    async fn route_other(&self, name: &str) -> Result<()> {
        if let Some(user) = name.strip_prefix(PUSHERS_SUBJECT).and_then(parsed) {
            let has_pushers = !self.push().pushers(&user).await?.is_empty();
            let mut owners = self.0.owners.lock();
            if has_pushers {
                owners.insert(user)
            } else {
                owners.remove(&user)
            };
        } else if let Some(user) = name.strip_prefix(SESSIONS_SUBJECT).and_then(parsed)
            && self.has_pushers(&user)
        {
            self.push().sweep_pushers(&user).await?;
        }
        Ok(())
    }

    async fn route_room(&self, room: &RoomId, commit: &Commit) -> Result<()> {
        let rooms = self.push().rooms();
        let snapshot = match rooms.snapshot(room).await {
            Err(RoomError::UnknownRoom(_)) => return Ok(()),
            found => found?,
        };
        let owners: Vec<_> = {
            let owners = self.0.owners.lock();
            snapshot.local_joined().filter(|user| owners.contains(*user)).cloned().collect()
        };
        let (before, to) = (commit.first.0.cast_signed() - 1, commit.last.0.cast_signed());
        let page = rooms.page(room, Direction::Forward, before, Some(to), usize::MAX).await?;
        for known in &page.events {
            for user in &owners {
                self.consider(user, &snapshot, known).await?;
            }
            if let Some(invited) = invited(known).filter(|user| self.has_pushers(user) && !snapshot.is_joined(user)) {
                self.consider(&invited, &snapshot, known).await?;
            }
        }
        if page.events.is_empty() && !owners.is_empty() {
            self.route_receipts(room, commit).await?;
        }
        Ok(())
    }

    async fn route_receipts(&self, room: &RoomId, commit: &Commit) -> Result<()> {
        for position in commit.first.0..=commit.last.0 {
            let moved = self.push().rooms().receipts().moved_at(room, Position(position)).await?;
            let reader = moved.and_then(|receipt| parsed(&receipt.user));
            if let Some(user) = reader.filter(|user| self.has_pushers(user)) {
                self.tell_counts(&user).await?;
            }
        }
        Ok(())
    }

    /// Tells a person of an event if their rules say so.
    async fn consider(&self, user: &UserId, snapshot: &Snapshot, known: &Known) -> Result<()> {
        let sender = known.event().sender();
        if sender == user
            || known.redacted_by().is_some()
            || self.push().accounts().privacy(user).await?.ignores(sender)
        {
            return Ok(());
        }
        let actions = self.push().unreads().actions(user, snapshot, known).await?;
        let Some(tweaks) = Tweaks::of(&actions) else { return Ok(()) };
        let (room, event) = (snapshot.room_id().to_string(), known.id().to_string());
        self.put_into_lines(user, &Notice { room, event, tweaks }).await
    }

    /// Invites into rooms that this server is not in: there is no event of theirs in any timeline here.
    async fn route_outside_invites(&self, user: &UserId, commit: &Commit) -> Result<()> {
        let rooms = self.push().rooms();
        let before = Position(commit.first.0.saturating_sub(1));
        for (_, room) in rooms.membership_changes(user, before, commit.last).await? {
            let Some(row) = rooms.membership(user, &room).await? else { continue };
            let is_here = match rooms.snapshot(&room).await {
                Ok(snapshot) => snapshot.is_local(),
                Err(RoomError::UnknownRoom(_)) => false,
                Err(error) => return Err(error.into()),
            };
            if is_here || row.membership != Membership::Invite {
                continue;
            }
            if self.push().accounts().privacy(user).await?.hides_invite_from(&row.sender) {
                continue;
            }
            // As the default rule for invites has it; rules about rooms cannot know one that nobody here is in.
            let tweaks = Tweaks { sound: Some("default".to_owned()), highlight: false };
            let notice = Notice { room: room.to_string(), event: row.event_id.to_string(), tweaks };
            self.put_into_lines(user, &notice).await?;
        }
        Ok(())
    }

    async fn put_into_lines(&self, user: &UserId, notice: &Notice) -> Result<()> {
        for pusher in self.push().pushers(user).await?.into_iter().filter(|pusher| pusher.enabled) {
            let line = self.line(&pusher.key);
            line.push(notice.clone());
            self.work_soon(&line);
        }
        Ok(())
    }

    /// Somebody has read: what is told to be unread may be less now.
    async fn tell_counts(&self, user: &UserId) -> Result<()> {
        for pusher in self.push().pushers(user).await? {
            if pusher.enabled && !pusher.counts_itself() {
                let line = self.line(&pusher.key);
                line.push_counts();
                self.work_soon(&line);
            }
        }
        Ok(())
    }
}

fn parsed(user: &str) -> Option<OwnedUserId> {
    UserId::parse(user).ok()
}

/// Whom an event asks in.
fn invited(known: &Known) -> Option<OwnedUserId> {
    #[derive(serde::Deserialize)]
    struct Content {
        membership: String,
    }
    let event = known.event();
    if *event.kind() != TimelineEventType::RoomMember {
        return None;
    }
    let is_invite = event.content_as::<Content>().is_some_and(|content| content.membership == "invite");
    is_invite.then(|| parsed(event.state_key()?)).flatten()
}
