//! Which servers failed lately, and when to try them again.
//!
//! A pause is an eighth of the time a server has been failing, between a second and an hour: one that comes back is found
//! again in a small part of the time it was away. Any sign of life ends it.

use lyceum_events::Clock;
use parking_lot::Mutex;
use ruma::{OwnedServerName, ServerName};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// The shortest and the longest pause.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// The part of the time failing that a pause lasts.
const PAUSE_PART: u32 = 8;

/// Failing servers that are remembered; when there are more, those to be tried again soonest are forgotten.
const FAILING_MAX: usize = 50_000;

/// How long to wait before the next try, for a server that has been failing for `failing`.
pub(crate) fn pause(failing: Duration) -> Duration {
    (failing / PAUSE_PART).clamp(PAUSE_MIN, PAUSE_MAX)
}

#[derive(Debug, Clone, Copy)]
struct Failing {
    since: Duration,
    retry_at: Duration,
}

/// The servers that fail.
pub(crate) struct Health {
    clock: Arc<dyn Clock>,
    failing: Mutex<HashMap<OwnedServerName, Failing>>,
}

impl Health {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, failing: Mutex::default() }
    }

    /// Whether the server is to be left alone now.
    pub(crate) fn is_left_alone(&self, server: &ServerName) -> bool {
        self.failing.lock().get(server).is_some_and(|one| one.retry_at > self.clock.monotonic())
    }

    /// It could not be reached.
    pub(crate) fn failed(&self, server: &ServerName) {
        let now = self.clock.monotonic();
        let mut failing = self.failing.lock();
        if failing.len() >= FAILING_MAX && !failing.contains_key(server) {
            let soonest = failing.iter().min_by_key(|(_, one)| one.retry_at).map(|(server, _)| server.clone());
            soonest.map(|server| failing.remove(&server));
        }
        let one = failing.entry(server.to_owned()).or_insert(Failing { since: now, retry_at: now });
        // Of many requests that failed together only the first prolongs the pause.
        if one.retry_at <= now {
            one.retry_at = now + pause(now.saturating_sub(one.since));
        }
    }

    /// It was heard of.
    pub(crate) fn alive(&self, server: &ServerName) {
        self.failing.lock().remove(server);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lyceum_events::ManualClock;
    use ruma::server_name;

    #[test]
    fn pauses_grow_with_the_time_failing_and_end_with_life() {
        assert_eq!(pause(Duration::ZERO), Duration::from_secs(1));
        assert_eq!(pause(Duration::from_secs(80)), Duration::from_secs(10));
        assert_eq!(pause(Duration::from_secs(1_000_000)), PAUSE_MAX);

        let clock = ManualClock::at(0);
        let health = Health::new(Arc::new(clock.clone()));
        let server = server_name!("a.example");
        assert!(!health.is_left_alone(server));
        health.failed(server);
        assert!(health.is_left_alone(server));
        clock.advance(Duration::from_secs(80));
        assert!(!health.is_left_alone(server));
        health.failed(server);
        health.failed(server);
        clock.advance(Duration::from_secs(9));
        assert!(health.is_left_alone(server));
        health.alive(server);
        assert!(!health.is_left_alone(server));
    }
}
