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

/// Somebody of another server is what it said for so long; then they are offline. Other servers do the same.
const TOLD_FOR: Duration = Duration::from_secs(30 * 60);

/// Other servers are told again of those who stay as they are, before these count as offline there.
const REMIND_AFTER: Duration = Duration::from_secs(20 * 60);

/// People that other servers are told again of at once.
const REMINDERS_MAX: usize = 1_000;

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
    /// What their server said and when, by the monotonic clock; nothing of people of this server.
    told: Option<Told>,
    /// When it last changed, or others were told of it again, by the monotonic clock.
    said_at: Duration,
    /// The change that made this.
    pub version: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    at: Duration,
    is_active: bool,
}

impl Presence {
    fn unknown() -> Self {
        Self {
            state: PresenceState::Offline,
            status_message: None,
            last_active: None,
            last_sync: None,
            told: None,
            said_at: Duration::ZERO,
            version: 0,
        }
    }
}

/// How somebody is there, as another server says.
#[derive(Debug, Clone)]
pub struct RemotePresence {
    /// Online, unavailable, offline, busy.
    pub state: PresenceState,
    /// What they say of themselves.
    pub status_message: Option<String>,
    /// How long ago they did something.
    pub active_ago: Duration,
    /// Whether they are doing something: it counts until their server says otherwise.
    pub is_active: bool,
}

/// Who is there. Cheap to clone.
#[derive(Clone)]
pub struct PresenceBook {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<Book>>,
    changes: broadcast::Sender<OwnedUserId>,
    reminders: broadcast::Sender<OwnedUserId>,
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
            reminders: broadcast::Sender::new(LISTENER_CHANGES),
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

    /// Tells of whom other servers are to be told again although nothing changed, from now on.
    pub fn listen_for_reminders(&self) -> broadcast::Receiver<OwnedUserId> {
        self.reminders.subscribe()
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
    pub fn receive(&self, user: &UserId, said: RemotePresence) {
        let now = self.clock.monotonic();
        self.change(user, |presence| {
            presence.last_active = Some(now.saturating_sub(said.active_ago));
            presence.told = Some(Told { at: now, is_active: said.is_active });
            presence.state = said.state;
            presence.status_message = said.status_message;
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
        let recently = || self.active_ago(presence).is_some_and(|ago| ago < OFFLINE_AFTER);
        presence.state == PresenceState::Online && presence.told.map_or_else(recently, |told| told.is_active)
    }

    /// Who changed after `since`, oldest change first, at most `limit`. The second value is the change to go on from.
    pub fn since(&self, since: u64, limit: usize) -> (Vec<OwnedUserId>, u64) {
        let book = self.state.lock();
        let page: Vec<_> = book.log.range(since + 1..).take(limit).collect();
        let next = if page.len() < limit { book.version } else { page.last().map_or(since, |(version, _)| **version) };
        (page.into_iter().map(|(_, user)| user.clone()).collect(), next)
    }

    /// Lets who does nothing become unavailable, and who no longer syncs go offline; of those who stay as they are, reminds
    /// others. Called now and then by the workers; answers who changed.
    pub fn settle(&self) -> Vec<OwnedUserId> {
        let changed = self.let_go();
        self.remind();
        changed
    }

    fn let_go(&self) -> Vec<OwnedUserId> {
        let now = self.clock.monotonic();
        let past = |at: Option<Duration>, limit: Duration| at.is_some_and(|at| now.saturating_sub(at) >= limit);
        let due: Vec<_> = {
            let book = self.state.lock();
            let after = |presence: &Presence| match presence.state {
                PresenceState::Offline => None,
                // What somebody does elsewhere is for their server to say.
                _ if let Some(told) = presence.told => past(Some(told.at), TOLD_FOR).then_some(PresenceState::Offline),
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

    /// Of people of this server only: of others their own servers remind everybody.
    fn remind(&self) {
        let now = self.clock.monotonic();
        let mut book = self.state.lock();
        let is_due = |presence: &Presence| {
            let is_there = presence.state != PresenceState::Offline && presence.told.is_none();
            is_there && now.saturating_sub(presence.said_at) >= REMIND_AFTER
        };
        for (user, presence) in book.people.iter_mut().filter(|(_, one)| is_due(one)).take(REMINDERS_MAX) {
            presence.said_at = now;
            // Nobody may be listening, which is no fault.
            let _ = self.reminders.send(user.clone());
        }
    }

    fn change(&self, user: &UserId, change: impl FnOnce(&mut Presence)) {
        let now = self.clock.monotonic();
        let mut book = self.state.lock();
        let mut presence = book.people.remove(user).unwrap_or_else(Presence::unknown);
        change(&mut presence);
        presence.said_at = now;
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

    #[test]
    fn who_is_elsewhere_is_as_their_server_said_until_it_is_silent_for_long() {
        let clock = ManualClock::at(5);
        let book = PresenceBook::new(Arc::new(clock.clone()));
        let ben = user_id!("@ben:elsewhere");
        let online = RemotePresence {
            state: PresenceState::Online,
            status_message: None,
            active_ago: Duration::ZERO,
            is_active: true,
        };
        book.receive(ben, online.clone());
        clock.advance(Duration::from_secs(25 * 60));
        assert!(book.settle().is_empty() && book.is_active(&book.of(ben)), "his server said that he is active");
        book.receive(ben, RemotePresence { is_active: false, ..online });
        clock.advance(Duration::from_secs(25 * 60));
        assert!(book.settle().is_empty() && !book.is_active(&book.of(ben)));
        clock.advance(Duration::from_secs(5 * 60));
        assert_eq!(book.settle(), [ben]);
        assert_eq!(book.of(ben).state, PresenceState::Offline);
    }

    #[test]
    fn others_are_reminded_of_who_stays_and_of_nobody_else() {
        let clock = ManualClock::at(5);
        let book = PresenceBook::new(Arc::new(clock.clone()));
        let (anna, ben) = (user_id!("@anna:test"), user_id!("@ben:elsewhere"));
        let mut reminders = book.listen_for_reminders();
        let said = RemotePresence {
            state: PresenceState::Online,
            status_message: None,
            active_ago: TOLD_FOR,
            is_active: false,
        };
        book.receive(ben, said);
        let mut reminded = Vec::new();
        for minute in 1..=50 {
            clock.advance(Duration::from_secs(30));
            book.note_sync(anna, &PresenceState::Online);
            clock.advance(Duration::from_secs(30));
            book.settle();
            while let Ok(user) = reminders.try_recv() {
                reminded.push((minute, user));
            }
        }
        assert_eq!(reminded, [(21, anna.to_owned()), (41, anna.to_owned())]);
        clock.advance(Duration::from_secs(3600));
        book.settle();
        assert!(reminders.try_recv().is_err(), "she is gone");
    }
}
