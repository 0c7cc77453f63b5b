//! Who is there: in memory only, and unknown again after a restart.
//!
//! Changes are counted; the count begins at the wall clock, so that what a client saw before a restart is older than
//! everything after it.

use lyceum_events::Clock;
use parking_lot::Mutex;
use ruma::{OwnedUserId, UserId, presence::PresenceState};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::sync::broadcast;

/// Somebody online who does nothing for so long is unavailable.
const IDLE_AFTER: Duration = Duration::from_secs(5 * 60);

/// Somebody who has not synced for so long is offline.
const OFFLINE_AFTER: Duration = Duration::from_secs(60);

/// People whose presence is kept; the one who changed longest ago is forgotten first.
const PEOPLE_MAX: usize = 200_000;

/// Changes that a slow listener may fall behind.
const LISTENER_CHANGES: usize = 4096;

/// The longest status message.
pub const STATUS_BYTES_MAX: usize = 1024;

/// What is known of somebody's presence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// Online, unavailable, offline, busy.
    pub state: PresenceState,
    /// What they say of themselves.
    pub status_message: Option<String>,
    /// When they last did something, by the monotonic clock; unknown when they never did.
    last_active: Option<Duration>,
    /// When they last synced, by the monotonic clock; remote people never do here.
    last_sync: Option<Duration>,
    /// The change that made this.
    pub version: u64,
}

impl Presence {
    fn unknown() -> Self {
        Self { state: PresenceState::Offline, status_message: None, last_active: None, last_sync: None, version: 0 }
    }
}

/// Who is there. Cheap to clone.
#[derive(Clone)]
pub struct PresenceBook {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<Book>>,
    changes: broadcast::Sender<OwnedUserId>,
}

#[derive(Default)]
struct Book {
    version: u64,
    people: HashMap<OwnedUserId, Presence>,
    /// People by their last change.
    log: BTreeMap<u64, OwnedUserId>,
}

impl PresenceBook {
    /// Nobody is known to be there.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let version = u64::from(clock.now().get()).saturating_mul(1000);
        Self {
            clock,
            state: Arc::new(Mutex::new(Book { version, ..Book::default() })),
            changes: broadcast::Sender::new(LISTENER_CHANGES),
        }
    }

    /// The last change's number.
    pub fn version(&self) -> u64 {
        self.state.lock().version
    }

    /// Tells whose presence changes, from now on.
    pub fn listen(&self) -> broadcast::Receiver<OwnedUserId> {
        self.changes.subscribe()
    }

    /// Somebody says how they are there.
    pub fn set(&self, user: &UserId, state: PresenceState, status_message: Option<String>) {
        let now = self.clock.monotonic();
        let is_there = state != PresenceState::Offline;
        self.change(user, |presence| {
            if is_there {
                presence.last_active = Some(now);
                presence.last_sync = Some(now);
            }
            presence.state = state;
            presence.status_message = status_message;
        });
    }

    /// Another server says how somebody of theirs is there.
    pub fn receive(&self, user: &UserId, state: PresenceState, message: Option<String>, active_ago: Option<Duration>) {
        let now = self.clock.monotonic();
        self.change(user, |presence| {
            presence.last_active = active_ago.map(|ago| now.saturating_sub(ago));
            presence.state = state;
            presence.status_message = message;
        });
    }

    /// Somebody synced, saying by `set_presence` how they are there. What they set themselves (busy, a status) stays.
    pub fn note_sync(&self, user: &UserId, wish: &PresenceState) {
        if *wish == PresenceState::Offline {
            return;
        }
        let now = self.clock.monotonic();
        let mut book = self.state.lock();
        let known = book.people.get_mut(user);
        if let Some(presence) = known {
            presence.last_sync = Some(now);
            if presence.state == *wish || presence.state.as_str() == "busy" {
                if *wish == PresenceState::Online {
                    presence.last_active = Some(now);
                }
                return;
            }
        }
        drop(book);
        self.change(user, |presence| {
            presence.last_sync = Some(now);
            presence.last_active = (*wish == PresenceState::Online).then_some(now).or(presence.last_active);
            presence.state = wish.clone();
        });
    }

    /// Somebody did something (sent a message, read one): they are there.
    pub fn note_active(&self, user: &UserId) {
        let now = self.clock.monotonic();
        let mut book = self.state.lock();
        let Some(presence) = book.people.get_mut(user) else { return };
        presence.last_active = Some(now);
        let woke = presence.state == PresenceState::Unavailable;
        drop(book);
        if woke {
            self.change(user, |presence| presence.state = PresenceState::Online);
        }
    }

    /// What is known of somebody.
    pub fn of(&self, user: &UserId) -> Presence {
        self.state.lock().people.get(user).cloned().unwrap_or_else(Presence::unknown)
    }

    /// How long ago somebody did something, as this presence knows.
    pub fn active_ago(&self, presence: &Presence) -> Option<Duration> {
        presence.last_active.map(|at| self.clock.monotonic().saturating_sub(at))
    }

    /// Whether somebody is doing something now.
    pub fn is_active(&self, presence: &Presence) -> bool {
        presence.state == PresenceState::Online && self.active_ago(presence).is_some_and(|ago| ago < OFFLINE_AFTER)
    }

    /// Who changed after `since`, oldest change first, at most `limit`. The second value is the change to go on from.
    pub fn since(&self, since: u64, limit: usize) -> (Vec<OwnedUserId>, u64) {
        let book = self.state.lock();
        let page: Vec<_> = book.log.range(since + 1..).take(limit).collect();
        let next = if page.len() < limit { book.version } else { page.last().map_or(since, |(version, _)| **version) };
        (page.into_iter().map(|(_, user)| user.clone()).collect(), next)
    }

    /// Lets who does nothing become unavailable, and who no longer syncs go offline. Called now and then by the workers;
    /// answers who changed.
    pub fn settle(&self) -> Vec<OwnedUserId> {
        let now = self.clock.monotonic();
        let past = |at: Option<Duration>, limit: Duration| at.is_some_and(|at| now.saturating_sub(at) >= limit);
        let due: Vec<_> = {
            let book = self.state.lock();
            let after = |presence: &Presence| match presence.state {
                PresenceState::Offline => None,
                _ if past(presence.last_sync, OFFLINE_AFTER) => Some(PresenceState::Offline),
                PresenceState::Online if past(presence.last_active, IDLE_AFTER) => Some(PresenceState::Unavailable),
                _ => None,
            };
            book.people.iter().filter_map(|(user, presence)| Some((user.clone(), after(presence)?))).collect()
        };
        due.into_iter()
            .map(|(user, state)| {
                self.change(&user, |presence| presence.state = state);
                user
            })
            .collect()
    }

    fn change(&self, user: &UserId, change: impl FnOnce(&mut Presence)) {
        let mut book = self.state.lock();
        let mut presence = book.people.remove(user).unwrap_or_else(Presence::unknown);
        change(&mut presence);
        book.version += 1;
        let before = std::mem::replace(&mut presence.version, book.version);
        book.log.remove(&before);
        let version = book.version;
        book.log.insert(version, user.to_owned());
        book.people.insert(user.to_owned(), presence);
        if book.people.len() > PEOPLE_MAX
            && let Some((_, oldest)) = book.log.pop_first()
        {
            book.people.remove(&oldest);
        }
        drop(book);
        // Nobody may be listening, which is no fault.
        let _ = self.changes.send(user.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lyceum_events::ManualClock;
    use ruma::user_id;

    #[test]
    fn who_is_silent_becomes_unavailable_and_who_is_gone_offline() {
        let clock = ManualClock::at(5);
        let book = PresenceBook::new(Arc::new(clock.clone()));
        let (anna, start) = (user_id!("@anna:test"), book.version());
        book.note_sync(anna, &PresenceState::Online);
        assert_eq!(book.since(start, 10).0, [anna]);
        let seen = book.version();
        for _ in 0..10 {
            clock.advance(Duration::from_secs(30));
            // A client in the background keeps syncing, and says so.
            book.note_sync(anna, &PresenceState::Unavailable);
            book.settle();
        }
        assert_eq!(book.of(anna).state, PresenceState::Unavailable);
        book.note_active(anna);
        assert_eq!(book.of(anna).state, PresenceState::Online);
        clock.advance(OFFLINE_AFTER);
        assert_eq!(book.settle(), [anna]);
        assert_eq!(book.of(anna).state, PresenceState::Offline);
        assert_eq!(book.since(seen, 10).0, [anna], "one entry however often somebody changed");
        assert!(book.since(book.version(), 10).0.is_empty());
    }
}
