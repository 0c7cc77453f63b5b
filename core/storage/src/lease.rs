//! Leases: one node at a time does a thing, and one that has lost its turn can no longer write in its name.
//!
//! A lease is two rows. One says who holds it, with a number that grows at every change of hands; a holder's batches
//! expect that row, so a node that was thought dead and wakes up meets a conflict. The other is a beat that the holder
//! moves on. Nobody compares clocks: whoever waits measures by its own how long the beat has stood still.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::Instant;

use crate::{Batch, CommitError, StorageError, Store, Subject, Table};

const LEASES: Table<String, Holder> =
    Table::new("_leases", "Written when a lease changes hands, expected by its holder's batches. One row per lease.");

const BEATS: Table<String, u64> =
    Table::new("_lease_beats", "Written by the holder every few seconds, read by those who wait. One row per lease.");

/// How often a holder moves its beat, and how long it stands still before others take over.
#[derive(Clone, Copy)]
struct Pace {
    beat: Duration,
    lost: Duration,
}

const PACE: Pace = Pace { beat: Duration::from_secs(5), lost: Duration::from_secs(20) };

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    node: String,
    fence: u64,
}

/// A lease that this node holds, or held until somebody took it.
pub struct Lease {
    store: Store,
    name: String,
    holder: Holder,
    pace: Pace,
}

/// Who holds a lease, and the beat.
type Rows = (Option<Holder>, Option<u64>);

fn changes(name: &str) -> Subject {
    Subject::other(format!("lease {name}"))
}

impl Lease {
    /// Waits until this node may do what `name` names, and takes it. A node takes back what it held under the same name
    /// before it was restarted at once.
    pub async fn take(store: &Store, name: &str, node: &str) -> Result<Self, CommitError> {
        Self::take_at(PACE, store, name, node).await
    }

    async fn take_at(pace: Pace, store: &Store, name: &str, node: &str) -> Result<Self, CommitError> {
        let changed = store.watch(&[changes(name)]);
        // What was seen last, and since when.
        let mut seen: Option<(Rows, Instant)> = None;
        loop {
            let now = (store.get(&LEASES, name).await?, store.get(&BEATS, name).await?);
            let since = match &seen {
                Some((before, since)) if *before == now => *since,
                _ => Instant::now(),
            };
            let free = now.0.as_ref().is_none_or(|holder| holder.node.is_empty() || holder.node == node)
                || store.engine().others().is_none()
                || since.elapsed() >= pace.lost;
            if free {
                match Self::claim(pace, store, name, node, now.0.as_ref()).await {
                    Err(CommitError::Conflict(_)) => continue,
                    claimed => return claimed,
                }
            }
            seen = Some((now, since));
            tokio::select! {
                () = changed.changed() => {}
                () = store.ended() => return Err(CommitError::Closed),
                () = tokio::time::sleep(pace.beat) => {}
            }
        }
    }

    async fn claim(
        pace: Pace,
        store: &Store,
        name: &str,
        node: &str,
        before: Option<&Holder>,
    ) -> Result<Self, CommitError> {
        let holder = Holder { node: node.to_owned(), fence: before.map_or(0, |before| before.fence) + 1 };
        let mut batch = Batch::new();
        batch.expect(&LEASES, name, before).put(&LEASES, name, &holder).touch(changes(name));
        store.commit(batch).await?;
        Ok(Self { store: store.clone(), name: name.to_owned(), holder, pace })
    }

    /// A number that grows each time the lease changes hands, for whatever else has to refuse late writers.
    pub fn fence(&self) -> u64 {
        self.holder.fence
    }

    /// Lets `batch` be committed only while this node still holds the lease.
    pub fn guard(&self, batch: &mut Batch) {
        batch.expect(&LEASES, &self.name, Some(&self.holder));
    }

    /// Keeps the lease. Resolves when it is lost, or the store closed: stop at once what was done under it.
    pub async fn keep(&self) {
        if self.store.engine().others().is_none() {
            return self.store.ended().await;
        }
        let mut failing_since = None;
        for beat in 1.. {
            let mut batch = Batch::new();
            self.guard(&mut batch);
            batch.put(&BEATS, &self.name, &beat);
            match self.store.commit(batch).await {
                Ok(_) => failing_since = None,
                Err(CommitError::Conflict(_) | CommitError::Closed) => return,
                // Others will take over after the same time.
                Err(CommitError::Storage(error)) => {
                    tracing::warn!(lease = self.name, %error, "a lease could not be kept; trying again");
                    let since = *failing_since.get_or_insert_with(Instant::now);
                    if since.elapsed() + self.pace.beat >= self.pace.lost {
                        return;
                    }
                }
            }
            tokio::time::sleep(self.pace.beat).await;
        }
    }

    /// Gives the lease to whoever waits for it.
    pub async fn release(self) -> Result<(), StorageError> {
        let mut batch = Batch::new();
        self.guard(&mut batch);
        // The number stays, so that it never comes again.
        let free = Holder { node: String::new(), fence: self.holder.fence };
        batch.put(&LEASES, &self.name, &free).delete(&BEATS, &self.name).touch(changes(&self.name));
        match self.store.commit(batch).await {
            // Whether it was lost before makes no difference now.
            Ok(_) | Err(CommitError::Conflict(_) | CommitError::Closed) => Ok(()),
            Err(CommitError::Storage(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::staged::Staged;

    const QUICK: Pace = Pace { beat: Duration::from_millis(20), lost: Duration::from_millis(200) };

    /// Two nodes over the same rows.
    async fn two_nodes() -> (Store, Store) {
        let engine = Staged::shared();
        (Store::over(engine.clone()).await.unwrap(), Store::over(engine).await.unwrap())
    }

    fn note(store: &Store, lease: &Lease) -> crate::Pending {
        const NOTES: Table<String, u64> = Table::new("t.notes", "tests");
        let mut batch = Batch::new();
        lease.guard(&mut batch);
        batch.put(&NOTES, "note", &lease.fence());
        store.enqueue(batch)
    }

    #[tokio::test]
    async fn a_holder_that_beats_keeps_the_lease_and_a_silent_one_loses_it() {
        let (one, two) = two_nodes().await;
        let lease = Lease::take_at(QUICK, &one, "sender", "one").await.unwrap();
        let waiting = tokio::spawn(async move {
            let lease = Lease::take_at(QUICK, &two, "sender", "two").await;
            lease.map(|lease| (two, lease))
        });
        tokio::select! {
            () = lease.keep() => panic!("nobody takes a lease that is kept"),
            () = tokio::time::sleep(QUICK.lost * 5) => {}
        }
        assert!(!waiting.is_finished());
        note(&one, &lease).await.expect("the holder writes");

        let silent = Instant::now();
        let (two, taken) = waiting.await.unwrap().unwrap();
        assert!(silent.elapsed() >= QUICK.lost - QUICK.beat, "not before its time");
        assert!(taken.fence() > lease.fence());
        note(&two, &taken).await.expect("the new holder writes");
        assert!(matches!(note(&one, &lease).await, Err(CommitError::Conflict("_leases"))), "the old one no longer");
        lease.keep().await;
    }

    #[tokio::test]
    async fn a_released_lease_is_free_at_once_and_its_number_grows() {
        let (one, two) = two_nodes().await;
        let lease = Lease::take(&one, "sender", "one").await.unwrap();
        let fence = lease.fence();
        lease.release().await.unwrap();
        let start = Instant::now();
        let taken = Lease::take(&two, "sender", "two").await.unwrap();
        assert!(start.elapsed() < PACE.beat && taken.fence() > fence);
        // Restarted under its own name, a node need not wait for itself.
        let again = Lease::take(&two, "sender", "two").await.unwrap();
        assert!(start.elapsed() < PACE.beat && again.fence() > taken.fence());
    }

    #[tokio::test]
    async fn a_store_of_one_process_leases_at_once() {
        let store = Store::memory().await.unwrap();
        Lease::take(&store, "sender", "before the restart").await.unwrap();
        let lease = Lease::take(&store, "sender", "after it").await.unwrap();
        assert_eq!(lease.fence(), 2);
        store.close().await;
        lease.keep().await;
    }
}
