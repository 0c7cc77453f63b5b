//! What waits for one server, and how it stands with it. No I/O here: the rules of queueing, falling behind, catching up.

use parking_lot::Mutex;
use ruma::OwnedServerName;
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::{
    Edu, Piece,
    transaction::{Draft, Transaction},
};
use crate::health::pause;

/// Pieces that wait in memory for one server; with more it falls behind.
const QUEUE_MAX: usize = 1000;

/// Passing units that wait for one server; of more the oldest are dropped.
const PASSING_MAX: usize = 1000;

/// How long a failing server is sent the same transaction again. After that what it holds is noted as missed, and what
/// was only news is dropped.
const SAME_TRANSACTION: Duration = Duration::from_secs(60);

/// A sign of life lets a failing server be tried again, but not sooner after the last try than this.
const TRY_PAUSE: Duration = Duration::from_secs(2);

/// One server.
pub(crate) struct Destination {
    pub(crate) server: OwnedServerName,
    pub(crate) state: Mutex<State>,
}

impl Destination {
    pub(crate) fn new(server: OwnedServerName) -> Self {
        Self { server, state: Mutex::default() }
    }
}

/// Something in the queue.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) position: u64,
    pub(crate) about: Arc<str>,
    pub(crate) piece: Piece,
}

/// What was missed, by what it is about: the position of the first.
pub(crate) type Behind = BTreeMap<Arc<str>, u64>;

/// How a server fails.
#[derive(Debug, Clone)]
pub(crate) struct Failing {
    pub(crate) since: Duration,
    pub(crate) retry_at: Duration,
    pub(crate) why: String,
}

/// How it stands with one server.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) queue: VecDeque<Item>,
    passing: HashMap<String, Edu>,
    passing_order: VecDeque<String>,
    /// What it missed. While there is any, the queue stays empty.
    pub(crate) behind: Behind,
    pub(crate) is_behind: bool,
    /// What the transaction on its way holds of the two above.
    pub(crate) taken: Behind,
    pub(crate) in_flight: Option<Arc<Transaction>>,
    /// What is left of a transaction that was refused as a whole, the next part last.
    pub(crate) parts: Vec<Draft>,
    /// What is durably noted as not delivered.
    pub(crate) noted: Behind,
    pub(crate) has_outbox: bool,
    /// Acts that put something into its outbox since that was measured.
    pub(crate) put_into_outbox: u32,
    pub(crate) is_worked_on: bool,
    pub(crate) failing: Option<Failing>,
    pub(crate) tried_at: Option<Duration>,
    pub(crate) sent: Counts,
}

/// What was delivered since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) transactions: u64,
    pub(crate) pdus: u64,
    pub(crate) edus: u64,
}

fn note(behind: &mut Behind, about: &Arc<str>, position: u64) {
    let first = behind.entry(about.clone()).or_insert(position);
    *first = position.min(*first);
}

impl State {
    /// Puts something into the queue that must arrive.
    pub(crate) fn push(&mut self, item: Item) {
        if self.is_behind {
            note(&mut self.behind, &item.about, item.position);
            return;
        }
        self.queue.push_back(item);
        if self.queue.len() > QUEUE_MAX {
            self.fall_behind();
        }
    }

    /// Puts something into the queue that is only news; nothing for a server that fails or is behind.
    pub(crate) fn push_passing(&mut self, key: String, edu: Edu) {
        if self.is_behind || self.failing.is_some() {
            return;
        }
        if self.passing.insert(key.clone(), edu).is_none() {
            self.passing_order.push_back(key);
        }
        if self.passing.len() > PASSING_MAX
            && let Some(oldest) = self.passing_order.pop_front()
        {
            self.passing.remove(&oldest);
        }
    }

    /// The oldest passing units, at most so many.
    pub(crate) fn take_passing(&mut self, most: usize) -> Vec<Edu> {
        let mut units: Vec<Edu> = Vec::new();
        while let Some(key) = self.passing_order.front() {
            let Some(edu) = self.passing.get(key) else {
                self.passing_order.pop_front();
                continue;
            };
            let absorbed = units.last_mut().is_some_and(|last| last.absorb(edu));
            if !absorbed && units.len() >= most {
                break;
            }
            if !absorbed {
                units.push(edu.clone());
            }
            let key = self.passing_order.pop_front();
            key.map(|key| self.passing.remove(&key));
        }
        units
    }

    /// Gives the queue up for a note of what it held.
    pub(crate) fn fall_behind(&mut self) {
        self.is_behind = true;
        for item in std::mem::take(&mut self.queue) {
            note(&mut self.behind, &item.about, item.position);
        }
        self.passing.clear();
        self.passing_order.clear();
    }

    /// Takes the first of the queue into a transaction: as many as have room there, without passing over any.
    pub(crate) fn take_queued(&mut self, draft: &mut Draft) {
        while self.queue.front().is_some_and(|item| draft.add(&item.piece)) {
            if let Some(item) = self.queue.pop_front() {
                note(&mut self.taken, &item.about, item.position);
            }
        }
    }

    /// Takes the first thing it missed, to be filled into a transaction.
    pub(crate) fn take_missed(&mut self) -> Option<(Arc<str>, u64)> {
        let (about, from) = self.behind.pop_first()?;
        note(&mut self.taken, &about, from);
        Some((about, from))
    }

    /// The transaction arrived.
    pub(crate) fn delivered(&mut self, transaction: &Transaction) {
        self.is_done(&transaction.held);
        let (pdus, edus) = transaction.held.counts();
        self.sent.transactions += 1;
        self.sent.pdus += pdus;
        self.sent.edus += edus;
    }

    /// Nothing more is to be done for what a transaction held; the rest of what it held part of is still to come.
    pub(crate) fn is_done(&mut self, held: &Draft) {
        self.in_flight = None;
        self.failing = None;
        if !self.parts.is_empty() {
            return;
        }
        self.taken.clear();
        for (about, from) in &held.rest {
            note(&mut self.behind, about, *from);
        }
        self.is_behind = !self.behind.is_empty();
    }

    /// The transaction is never taken as it is: its parts are sent one after the other.
    pub(crate) fn divide(&mut self, (first, second): (Draft, Draft)) {
        self.in_flight = None;
        self.parts.extend([second, first]);
    }

    /// What was taken could not be sent at all: it is missed.
    pub(crate) fn put_back(&mut self) {
        self.in_flight = None;
        self.parts.clear();
        for (about, from) in std::mem::take(&mut self.taken) {
            note(&mut self.behind, &about, from);
        }
        if !self.behind.is_empty() {
            self.fall_behind();
        }
    }

    /// The server did not take a transaction. Answers when to try again.
    pub(crate) fn failed(&mut self, now: Duration, why: String) -> Duration {
        let since = self.failing.as_ref().map_or(now, |failing| failing.since);
        let failing_for = now.saturating_sub(since);
        let retry_at = now + pause(failing_for);
        self.failing = Some(Failing { since, retry_at, why });
        if failing_for >= SAME_TRANSACTION {
            self.put_back();
            self.fall_behind();
        }
        retry_at
    }

    /// The server was heard of. Answers when to try it, if it was failing.
    pub(crate) fn is_alive(&mut self, now: Duration) -> Option<Duration> {
        let failing = self.failing.as_mut()?;
        let soon = self.tried_at.map_or(now, |tried| now.max(tried + TRY_PAUSE));
        failing.retry_at = soon.min(failing.retry_at);
        Some(failing.retry_at)
    }

    /// Lets the next try be made now, as if nothing had failed.
    pub(crate) fn forget_failure(&mut self) {
        self.failing = None;
    }

    /// Whether the server is to be left alone now.
    pub(crate) fn must_wait(&self, now: Duration) -> bool {
        self.failing.as_ref().is_some_and(|failing| failing.retry_at > now)
    }

    /// Whether there is something to be sent.
    pub(crate) fn has_work(&self) -> bool {
        self.in_flight.is_some()
            || !self.parts.is_empty()
            || self.has_outbox
            || !self.queue.is_empty()
            || !self.behind.is_empty()
            || !self.passing.is_empty()
    }

    /// Whether it can be forgotten.
    pub(crate) fn is_idle(&self) -> bool {
        !self.has_work()
            && !self.is_worked_on
            && self.taken.is_empty()
            && self.noted.is_empty()
            && self.failing.is_none()
    }

    /// Everything that is not delivered: what must be noted when the place in the stream moves past it.
    pub(crate) fn undelivered(&self) -> Behind {
        let mut all = self.behind.clone();
        for (about, position) in &self.taken {
            note(&mut all, about, *position);
        }
        for item in &self.queue {
            note(&mut all, &item.about, item.position);
        }
        all
    }

    /// Passing units that wait.
    pub(crate) fn passing_len(&self) -> usize {
        self.passing.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn item(position: u64, about: &str) -> Item {
        Item { position, about: about.into(), piece: Piece::Pdu("{}".into()) }
    }

    fn behind(of: &[(&str, u64)]) -> Behind {
        of.iter().map(|(about, from)| (Arc::from(*about), *from)).collect()
    }

    #[test]
    fn the_queue_is_taken_in_order_and_nothing_is_undelivered_unnoted() {
        let mut state = State::default();
        (1..=60).for_each(|n| state.push(item(n, if n % 2 == 0 { "a" } else { "b" })));
        let mut draft = Draft::default();
        state.take_queued(&mut draft);
        assert_eq!(draft.pieces(), 50);
        assert_eq!(state.undelivered(), behind(&[("a", 2), ("b", 1)]));
        state.delivered(&Transaction::default());
        assert_eq!(state.undelivered(), behind(&[("a", 52), ("b", 51)]));
    }

    #[test]
    fn too_long_a_queue_becomes_a_note_and_so_does_what_comes_meanwhile() {
        let mut state = State::default();
        (1..=1001).for_each(|n| state.push(item(n, "a")));
        assert!(state.queue.is_empty() && state.is_behind);
        state.push(item(1002, "b"));
        assert_eq!(state.undelivered(), behind(&[("a", 1), ("b", 1002)]));
        assert_eq!(state.take_missed().expect("missed").1, 1);
        state.push(item(1003, "a"));
        state.is_done(&Draft::with_rest(behind(&[("a", 500)])));
        assert_eq!(state.undelivered(), behind(&[("a", 500), ("b", 1002)]));
        while state.take_missed().is_some() {}
        state.delivered(&Transaction::default());
        state.push(item(1004, "a"));
        assert_eq!(state.queue.len(), 1, "caught up");
    }

    #[test]
    fn what_was_divided_is_undelivered_until_its_last_part_is() {
        let mut state = State::default();
        (1..=2).for_each(|n| state.push(item(n, "a")));
        let mut draft = Draft::with_rest(behind(&[("b", 7)]));
        state.take_queued(&mut draft);
        state.divide(draft.halves().expect("two events"));
        for undelivered in [behind(&[("a", 1)]), behind(&[("b", 7)])] {
            let part = state.parts.pop().expect("a part");
            state.delivered(&Transaction { held: part, ..Transaction::default() });
            assert_eq!(state.undelivered(), undelivered);
        }
        state.divide((Draft::default(), Draft::default()));
        state.put_back();
        assert!(state.parts.is_empty(), "what is missed is put together anew");
    }

    #[test]
    fn failing_keeps_the_transaction_for_a_minute() {
        let mut state = State::default();
        state.push(item(1, "a"));
        state.take_queued(&mut Draft::default());
        state.in_flight = Some(Arc::default());
        let at = Duration::from_secs;
        assert_eq!(state.failed(at(100), String::new()), at(101));
        assert!(state.must_wait(at(100)) && !state.must_wait(at(101)));
        state.push(item(2, "a"));
        state.failed(at(159), String::new());
        assert!(state.in_flight.is_some() && state.queue.len() == 1);
        assert_eq!(state.failed(at(180), String::new()), at(190));
        assert!(state.in_flight.is_none() && state.queue.is_empty());
        assert_eq!(state.undelivered(), behind(&[("a", 1)]));
        state.tried_at = Some(at(180));
        assert_eq!(state.is_alive(at(181)), Some(at(182)));
    }

    #[test]
    fn of_news_only_the_latest_is_kept_and_presence_is_gathered() {
        let mut state = State::default();
        let presence = |user: &str, n: u32| Edu::new("m.presence", json!({ "push": [[user, n]] }));
        state.push_passing("p:a".into(), presence("a", 1));
        state.push_passing("p:b".into(), presence("b", 1));
        state.push_passing("p:a".into(), presence("a", 2));
        state.push_passing("t".into(), Edu::new("m.typing", json!({})));
        let units = state.take_passing(2);
        assert_eq!(units.len(), 2);
        assert_eq!(units[0].content, json!({ "push": [["a", 2], ["b", 1]] }));
        assert!(!state.has_work());
        (0..1500).for_each(|n| state.push_passing(n.to_string(), presence("a", n)));
        assert_eq!(state.passing_len(), PASSING_MAX);
        state.failed(Duration::ZERO, String::new());
        state.fall_behind();
        state.push_passing("p:a".into(), presence("a", 3));
        assert_eq!(state.passing_len(), 0);
    }
}
