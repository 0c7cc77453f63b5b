//! How sending goes, for people who run the server.

use serde::Serialize;

use super::{Destination, Sender};

/// How it stands with one server.
#[derive(Debug, Clone, Serialize)]
pub struct DestinationStatus {
    /// Which.
    pub server: String,
    /// Pieces in its queue.
    pub queued: usize,
    /// Rooms (and device lists) it has missed something of.
    pub behind: usize,
    /// For how long it has failed, in seconds.
    pub failing_secs: Option<u64>,
    /// In how many seconds it is tried again.
    pub retry_in_secs: Option<u64>,
    /// Why the last try failed.
    pub error: Option<String>,
    /// Events delivered since the start.
    pub sent_pdus: u64,
    /// Other units delivered since the start.
    pub sent_edus: u64,
}

impl Sender {
    /// How it stands with every server there was anything for; failing ones first.
    pub fn status(&self) -> Vec<DestinationStatus> {
        let destinations: Vec<_> = self.inner.destinations.lock().values().cloned().collect();
        let mut status: Vec<_> = destinations.iter().map(|destination| self.status_of(destination)).collect();
        status.sort_by(|one, other| {
            other.failing_secs.cmp(&one.failing_secs).then_with(|| one.server.cmp(&other.server))
        });
        status
    }

    fn status_of(&self, destination: &Destination) -> DestinationStatus {
        let now = self.now();
        let state = destination.state.lock();
        let failing = state.failing.as_ref();
        DestinationStatus {
            server: destination.server.to_string(),
            queued: state.queue.len() + state.passing_len(),
            behind: if state.is_behind { state.behind.len() + state.taken.len() } else { 0 },
            failing_secs: failing.map(|failing| now.saturating_sub(failing.since).as_secs()),
            retry_in_secs: failing.map(|failing| failing.retry_at.saturating_sub(now).as_secs()),
            error: failing.map(|failing| failing.why.clone()),
            sent_pdus: state.sent.pdus,
            sent_edus: state.sent.edus,
        }
    }

    /// Whether everything told so far was delivered.
    pub fn is_settled(&self) -> bool {
        let destinations = self.inner.destinations.lock();
        let idle = |destination: &Destination| {
            let state = destination.state.lock();
            !state.has_work() && !state.is_worked_on
        };
        self.routed() >= self.inner.store.committed() && destinations.values().all(|destination| idle(destination))
    }
}
