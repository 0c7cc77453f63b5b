//! Waiting for commits: by subject, or all of them.

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};
use tokio::sync::{Notify, broadcast};

use crate::Position;

/// How many commits a slow reader of the tail may fall behind before it is told to look for itself.
const TAIL_COMMITS: usize = 4096;

/// Watches of one subject that are kept before abandoned ones are looked for.
const WATCHES_UNSWEPT: usize = 16;

/// What a commit is about. Caches are keyed by it, watchers wait on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Subject {
    /// A room.
    Room(Arc<str>),
    /// A person.
    User(Arc<str>),
    /// What one person has for themselves in one room: private receipts, room account data.
    Own(Arc<str>, Arc<str>),
    /// Anything else, by name.
    Other(Arc<str>),
}

impl Subject {
    /// The room with this id.
    pub fn room(id: impl AsRef<str>) -> Self {
        Self::Room(id.as_ref().into())
    }

    /// The person with this id.
    pub fn user(id: impl AsRef<str>) -> Self {
        Self::User(id.as_ref().into())
    }

    /// What the person has for themselves in the room.
    pub fn own(user: impl AsRef<str>, room: impl AsRef<str>) -> Self {
        Self::Own(user.as_ref().into(), room.as_ref().into())
    }

    /// Something else, by a name of the caller's own.
    pub fn other(name: impl AsRef<str>) -> Self {
        Self::Other(name.as_ref().into())
    }
}

/// One commit, as the tail tells it.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The first position it took.
    pub first: Position,
    /// The last position it took.
    pub last: Position,
    /// What it is about.
    pub subjects: Arc<[Subject]>,
}

/// Every commit from now on. A reader that falls far behind is told how many it missed.
pub type Tail = broadcast::Receiver<Commit>;

/// Resolves after a commit that touched one of its subjects, since it was made or last resolved.
pub struct Watch {
    notify: Arc<Notify>,
}

impl Watch {
    /// Waits for the next touching commit. A commit between two calls is not missed.
    pub async fn changed(&self) {
        self.notify.notified().await;
    }
}

/// Who waits for what.
#[derive(Default)]
pub(crate) struct Watchers {
    by_subject: Mutex<HashMap<Subject, Waiting>>,
}

/// Those who wait for one subject, and some who no longer do.
#[derive(Default)]
struct Waiting {
    watches: Vec<Weak<Notify>>,
    /// At this length the abandoned ones are looked for. Grows with those who stay, so that a subject with very many
    /// watchers costs each new one little.
    sweep_at: usize,
}

impl Waiting {
    fn add(&mut self, notify: &Arc<Notify>) {
        if self.watches.len() >= self.sweep_at {
            self.watches.retain(|one| one.strong_count() > 0);
            self.sweep_at = (self.watches.len() * 2).max(WATCHES_UNSWEPT);
        }
        self.watches.push(Arc::downgrade(notify));
    }
}

impl Watchers {
    pub(crate) fn watch(&self, subjects: &[Subject]) -> Watch {
        let notify = Arc::new(Notify::new());
        let mut by_subject = self.by_subject.lock();
        for subject in subjects {
            by_subject.entry(subject.clone()).or_default().add(&notify);
        }
        Watch { notify }
    }

    pub(crate) fn wake(&self, subjects: &[Subject]) {
        let mut by_subject = self.by_subject.lock();
        for subject in subjects {
            let Some(waiting) = by_subject.get_mut(subject) else { continue };
            waiting.watches.retain(|one| one.upgrade().inspect(|notify| notify.notify_one()).is_some());
            if waiting.watches.is_empty() {
                by_subject.remove(subject);
            }
        }
    }
}

pub(crate) fn tail() -> broadcast::Sender<Commit> {
    broadcast::Sender::new(TAIL_COMMITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abandoned_watches_do_not_pile_up() {
        let (watchers, subject) = (Watchers::default(), Subject::room("!r"));
        let kept: Vec<_> = (0..10).map(|_| watchers.watch(std::slice::from_ref(&subject))).collect();
        for _ in 0..10_000 {
            drop(watchers.watch(std::slice::from_ref(&subject)));
        }
        assert!(watchers.by_subject.lock()[&subject].watches.len() < 100);
        drop(kept);
        watchers.wake(&[subject]);
        assert!(watchers.by_subject.lock().is_empty());
    }
}
