//! Which member events a device has been sent, so that lazy loading need not repeat them.
//!
//! A member counts as known only once the client has come back with a token at or after the answer that carried it: an
//! answer lost on the way is made whole by the next one.

use lyceum_storage::Position;
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use std::{collections::HashMap, sync::Arc};

/// Rooms times devices remembered; forgetting one only means sending its members again.
const ROOMS_REMEMBERED: usize = 20_000;
/// Members remembered in one of them.
const MEMBERS_REMEMBERED: usize = 2_000;

/// With which answer each member's event went out.
type SentMembers = Arc<Mutex<HashMap<Box<str>, Position>>>;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Session {
    user: Box<str>,
    device: Box<str>,
    room: Box<str>,
}

/// Which members were sent to which device. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LazyMembers {
    sent: Arc<Cache<Session, SentMembers>>,
}

impl Default for LazyMembers {
    fn default() -> Self {
        Self { sent: Arc::new(Cache::new(ROOMS_REMEMBERED)) }
    }
}

/// One device in one room.
pub(crate) struct RoomSession(SentMembers);

impl LazyMembers {
    /// What one device has been sent of one room.
    pub(crate) fn session(&self, user: &str, device: &str, room: &str) -> RoomSession {
        let key = Session { user: user.into(), device: device.into(), room: room.into() };
        if let Some(sent) = self.sent.get(&key) {
            return RoomSession(sent);
        }
        let sent = Arc::<Mutex<HashMap<_, _>>>::default();
        self.sent.insert(key, sent.clone());
        RoomSession(sent)
    }
}

impl RoomSession {
    /// Forgets everything: the client starts anew.
    pub(crate) fn reset(&self) {
        self.0.lock().clear();
    }

    /// Whether a client that stands at `since` has this member's event.
    pub(crate) fn knows(&self, member: &str, since: Position) -> bool {
        self.0.lock().get(member).is_some_and(|sent| *sent <= since)
    }

    /// Notes that a member's event goes out with the answer up to `to`.
    pub(crate) fn sends(&self, member: &str, to: Position) {
        let mut sent = self.0.lock();
        if sent.len() >= MEMBERS_REMEMBERED {
            sent.clear();
        }
        sent.insert(member.into(), to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_known_once_the_answer_that_carried_it_was_received() {
        let session = LazyMembers::default().session("@a:x", "D", "!r:x");
        session.sends("@b:x", Position(10));
        assert!(!session.knows("@b:x", Position(9)), "the client still stands before the answer: it was lost");
        assert!(session.knows("@b:x", Position(10)));
        session.reset();
        assert!(!session.knows("@b:x", Position(10)));
    }
}
