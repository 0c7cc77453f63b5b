//! Time as an argument: what the server's crates ask instead of the system. The real clock is here and nowhere else.

use parking_lot::Mutex;
use ruma::{MilliSecondsSinceUnixEpoch, UInt};
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant, SystemTime},
};

/// A wait that ends when its clock says so.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What time it is.
pub trait Clock: Send + Sync + 'static {
    /// The time of day, as events carry it. It may jump.
    fn now(&self) -> MilliSecondsSinceUnixEpoch;

    /// Time since the clock was made. It never goes back.
    fn monotonic(&self) -> Duration;

    /// Waits until [`Self::monotonic`] has reached `deadline`.
    fn sleep_until(&self, deadline: Duration) -> Sleep;

    /// Waits for a time.
    fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.monotonic().saturating_add(duration))
    }
}

/// The system's clock.
#[derive(Debug)]
pub struct SystemClock {
    made: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { made: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the time of day comes from")]
    fn now(&self) -> MilliSecondsSinceUnixEpoch {
        MilliSecondsSinceUnixEpoch::from_system_time(SystemTime::now()).unwrap_or(MilliSecondsSinceUnixEpoch(UInt::MIN))
    }

    fn monotonic(&self) -> Duration {
        self.made.elapsed()
    }

    fn sleep_until(&self, deadline: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(deadline.saturating_sub(self.monotonic())))
    }
}

/// A clock that stands still until it is told to go on, for tests. Clones are the same clock.
#[derive(Debug, Clone)]
pub struct ManualClock {
    at: Arc<Mutex<Hands>>,
}

#[derive(Debug)]
struct Hands {
    now_ms: u64,
    monotonic: Duration,
    sleeping: Vec<(Duration, Waker)>,
}

impl ManualClock {
    /// A clock that shows `now_ms` since 1970.
    pub fn at(now_ms: u64) -> Self {
        let hands = Hands { now_ms, monotonic: Duration::ZERO, sleeping: Vec::new() };
        Self { at: Arc::new(Mutex::new(hands)) }
    }

    /// Lets time pass, and wakes those whose wait is over.
    pub fn advance(&self, by: Duration) {
        let mut at = self.at.lock();
        at.now_ms += u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        at.monotonic += by;
        let monotonic = at.monotonic;
        let woken: Vec<_> = at.sleeping.extract_if(.., |(deadline, _)| *deadline <= monotonic).collect();
        drop(at);
        for (_, waker) in woken {
            waker.wake();
        }
    }

    /// How long it is until the first of those who wait wakes; `None` if nobody waits.
    pub fn until_next_wake(&self) -> Option<Duration> {
        let at = self.at.lock();
        let first = at.sleeping.iter().map(|(deadline, _)| *deadline).min()?;
        Some(first.saturating_sub(at.monotonic))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> MilliSecondsSinceUnixEpoch {
        MilliSecondsSinceUnixEpoch(UInt::new_saturating(self.at.lock().now_ms))
    }

    fn monotonic(&self) -> Duration {
        self.at.lock().monotonic
    }

    fn sleep_until(&self, deadline: Duration) -> Sleep {
        Box::pin(ManualSleep { clock: self.clone(), deadline, waker: None })
    }
}

/// A wait for a [`ManualClock`].
struct ManualSleep {
    clock: ManualClock,
    deadline: Duration,
    waker: Option<Waker>,
}

impl ManualSleep {
    /// Takes itself from the clock's list.
    fn leave(&mut self, hands: &mut Hands) {
        let Some(waker) = self.waker.take() else { return };
        let ours = |(deadline, other): &(Duration, Waker)| *deadline == self.deadline && other.will_wake(&waker);
        if let Some(place) = hands.sleeping.iter().position(ours) {
            hands.sleeping.swap_remove(place);
        }
    }
}

impl Future for ManualSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let at = Arc::clone(&this.clock.at);
        let mut hands = at.lock();
        this.leave(&mut hands);
        if hands.monotonic >= this.deadline {
            return Poll::Ready(());
        }
        this.waker = Some(context.waker().clone());
        hands.sleeping.push((this.deadline, context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for ManualSleep {
    fn drop(&mut self) {
        let at = Arc::clone(&self.clock.at);
        self.leave(&mut at.lock());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::at(1_000);
        let same = clock.clone();
        assert_eq!(clock.now().get(), UInt::from(1_000_u32));
        same.advance(Duration::from_secs(2));
        assert_eq!(clock.now().get(), UInt::from(3_000_u32));
        assert_eq!(clock.monotonic(), Duration::from_secs(2));
    }

    #[tokio::test]
    async fn who_waits_wakes_when_time_has_passed_and_not_before() {
        let clock = ManualClock::at(0);
        let (short, long) = (clock.sleep(Duration::from_secs(1)), clock.sleep(Duration::from_secs(60)));
        let short = tokio::spawn(short);
        let long = tokio::spawn(long);
        while clock.at.lock().sleeping.len() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(clock.until_next_wake(), Some(Duration::from_secs(1)));
        clock.advance(Duration::from_secs(1));
        short.await.unwrap();
        assert!(!long.is_finished());
        assert_eq!(clock.until_next_wake(), Some(Duration::from_secs(59)));
        long.abort();
        assert!(long.await.unwrap_err().is_cancelled());
        assert_eq!(clock.until_next_wake(), None, "who gives up waiting is forgotten");
    }

    #[tokio::test]
    async fn a_wait_for_a_time_that_has_passed_is_over_at_once() {
        let clock = ManualClock::at(0);
        clock.sleep(Duration::ZERO).await;
        SystemClock::default().sleep_until(Duration::ZERO).await;
    }
}
