//! What waits for one pusher. Pure but for the lock.

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, time::Duration};

use crate::{PusherKey, notification::Tweaks};

/// Notices that wait for one pusher at most, while its gateway takes them more slowly than they come.
pub(crate) const WAITING_MAX: usize = 1_000;
/// Of a gateway long gone, the oldest are of no use any more: so many wait then.
const WAITING_WHEN_GONE_MAX: usize = 50;
/// Failures in a row after which a gateway is long gone: some two minutes of them.
const FAILURES_WHEN_GONE: u32 = 7;
/// The pause after a first failure, and the longest one.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60 * 60);

/// Something a person is to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notice {
    pub(crate) room: String,
    pub(crate) event: String,
    pub(crate) tweaks: Tweaks,
}

/// What waits for a pusher, as it is noted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredLine {
    pub(crate) notices: Vec<Notice>,
    /// Less is unread than the gateway was told.
    pub(crate) counts: bool,
}

impl StoredLine {
    pub(crate) fn is_empty(&self) -> bool {
        self.notices.is_empty() && !self.counts
    }
}

/// What waits for one pusher.
pub(super) struct Line {
    pub(super) key: PusherKey,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Notice>,
    counts: bool,
    /// The count the gateway was told last.
    told: Option<u64>,
    failures: u32,
    is_worked_on: bool,
    /// What is noted in the store.
    noted: StoredLine,
}

/// What to tell next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Of this event.
    Event(Notice),
    /// The counts, unless the gateway was told these last.
    Counts {
        /// The count it was told last.
        told: Option<u64>,
    },
}

impl Line {
    pub(super) fn new(key: PusherKey) -> Self {
        Self { key, state: Mutex::default() }
    }

    /// Adds a notice, once.
    pub(super) fn push(&self, notice: Notice) {
        let mut state = self.state.lock();
        if state.waiting.contains(&notice) {
            return;
        }
        let max = if state.failures < FAILURES_WHEN_GONE { WAITING_MAX } else { WAITING_WHEN_GONE_MAX };
        let superfluous = (state.waiting.len() + 1).saturating_sub(max);
        state.waiting.drain(..superfluous);
        state.waiting.push_back(notice);
    }

    /// Adds that less is unread.
    pub(super) fn push_counts(&self) {
        self.state.lock().counts = true;
    }

    /// Takes up what was noted.
    pub(super) fn recall(&self, noted: StoredLine) {
        let mut state = self.state.lock();
        state.waiting = noted.notices.iter().cloned().collect();
        state.counts = noted.counts;
        state.noted = noted;
    }

    /// Begins to work on it: `false` if somebody does already, or there is nothing to do.
    pub(super) fn begin(&self) -> bool {
        let mut state = self.state.lock();
        let begins = !state.is_worked_on && state.has_work();
        state.is_worked_on |= begins;
        begins
    }

    /// What to tell next. With nothing left, the work on it ends.
    pub(super) fn next(&self) -> Option<Next> {
        let mut state = self.state.lock();
        let event = state.waiting.front().cloned().map(Next::Event);
        let next = event.or_else(|| state.counts.then_some(Next::Counts { told: state.told }));
        state.is_worked_on = next.is_some();
        next
    }

    /// Something was told, or is not to be told any more, with this count.
    pub(super) fn done(&self, next: &Next, told: Option<u64>) {
        let mut state = self.state.lock();
        state.failures = 0;
        state.told = told.or(state.told);
        match next {
            Next::Event(notice) => state.waiting.retain(|one| one != notice),
            Next::Counts { .. } => state.counts = false,
        }
    }

    /// The gateway failed. Answers how long to wait before it is tried again.
    pub(super) fn failed(&self) -> Duration {
        let mut state = self.state.lock();
        let pause = PAUSE_FIRST.saturating_mul(1 << state.failures.min(20));
        state.failures = state.failures.saturating_add(1);
        pause.min(PAUSE_MAX)
    }

    /// Nothing waits any more: the pusher is gone.
    pub(super) fn clear(&self) {
        let mut state = self.state.lock();
        state.waiting.clear();
        state.counts = false;
        state.is_worked_on = false;
    }

    /// What waits, if it is not what is noted.
    pub(super) fn to_note(&self) -> Option<StoredLine> {
        let state = self.state.lock();
        let waits = StoredLine { notices: state.waiting.iter().cloned().collect(), counts: state.counts };
        (waits != state.noted).then_some(waits)
    }

    /// This is noted now.
    pub(super) fn noted(&self, noted: StoredLine) {
        self.state.lock().noted = noted;
    }

    /// Whether it can be forgotten: nothing waits and nothing is noted.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.state.lock();
        !state.has_work() && !state.is_worked_on && state.noted.is_empty()
    }

    /// Whether nothing can be told now: nothing waits, or the gateway failed.
    pub(super) fn is_settled(&self) -> bool {
        let state = self.state.lock();
        !state.has_work() || state.failures > 0
    }
}

impl State {
    fn has_work(&self) -> bool {
        !self.waiting.is_empty() || self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::user_id;

    fn line() -> Line {
        Line::new(PusherKey { user: user_id!("@a:x").to_owned(), app_id: "a".into(), pushkey: "k".into() })
    }

    fn notice(event: &str) -> Notice {
        Notice { room: "!r".into(), event: event.into(), tweaks: Tweaks::default() }
    }

    #[test]
    fn notices_come_in_order_and_once_and_counts_last() {
        let line = line();
        line.push_counts();
        for event in ["$1", "$2", "$1"] {
            line.push(notice(event));
        }
        assert!(line.begin() && !line.begin());
        for event in ["$1", "$2"] {
            let next = line.next().unwrap();
            assert_eq!(next, Next::Event(notice(event)));
            line.done(&next, Some(2));
        }
        let next = line.next().unwrap();
        assert_eq!(next, Next::Counts { told: Some(2) });
        line.done(&next, Some(0));
        assert_eq!(line.next(), None);
        assert!(line.is_idle());
    }

    #[test]
    fn of_a_gateway_long_gone_the_newest_are_kept_and_noted() {
        let line = line();
        let waiting = |line: &Line| line.to_note().unwrap().notices;
        for n in 0..WAITING_MAX + 10 {
            line.push(notice(&format!("${n}")));
        }
        assert_eq!((waiting(&line).len(), waiting(&line)[0].event.as_str()), (WAITING_MAX, "$10"), "it may be slow");
        let pauses: Vec<_> = (0..14).map(|_| line.failed().as_secs()).collect();
        assert_eq!((&pauses[..4], pauses[13]), (&[1, 2, 4, 8][..], 3_600));
        line.push(notice("$last"));
        let first = format!("${}", WAITING_MAX + 10 - (WAITING_WHEN_GONE_MAX - 1));
        assert_eq!((waiting(&line).len(), waiting(&line)[0].event.as_str()), (WAITING_WHEN_GONE_MAX, &*first));
        let noted = line.to_note().unwrap();
        line.noted(noted);
        assert_eq!(line.to_note(), None);
    }
}
