//! Failing: the store stops, says why, tells nobody what it cannot promise, and opens again.

use futures_util::FutureExt;

use super::{
    COUNTS, Place,
    staged::{Fault, Staged},
};
use crate::{Batch, CommitError, Store, Subject};

fn put(store: &Store, key: &str) -> crate::Pending {
    let mut batch = Batch::new();
    batch.put(&COUNTS, key, &1).touch(Subject::room("!r"));
    store.enqueue(batch)
}

pub(super) async fn a_failed_commit_closes_the_store(place: &impl Place) {
    for fault in [Fault::Before, Fault::After] {
        let engine = Staged::passing(place.engine().await);
        let store = Store::over(engine.clone()).await.unwrap();
        put(&store, "good").await.unwrap();
        let (committed, watch, mut tail) = (store.committed(), store.watch(&[Subject::room("!r")]), store.tail());
        assert!(store.failed().now_or_never().is_none());

        *engine.fault.lock() = Some(fault);
        let (bad, late) = (put(&store, "bad"), put(&store, "late"));
        assert!(matches!(bad.await, Err(CommitError::Storage(_))));
        assert!(late.await.is_err(), "whatever was queued behind it is refused");
        assert!(matches!(put(&store, "later").await, Err(CommitError::Closed)));
        let failure = store.failed().await.to_string();
        assert!(failure.contains("no space left"), "{failure}");
        store.ended().await;
        assert_eq!(store.committed(), committed);
        assert!(watch.changed().now_or_never().is_none() && tail.try_recv().is_err(), "nobody is told");
        store.close().await;

        let store = place.open().await;
        assert_eq!(store.get(&COUNTS, "good").await.unwrap(), Some(1));
        assert_eq!(store.get(&COUNTS, "bad").await.unwrap(), (fault == Fault::After).then_some(1));
        put(&store, "again").await.expect("the store takes commits again");
        let mut clean = Batch::new();
        clean.delete(&COUNTS, "bad").delete(&COUNTS, "late");
        store.commit(clean).await.unwrap();
        store.close().await;
    }
}

pub(super) async fn a_cache_that_panics_closes_the_store(place: &impl Place) {
    let store = place.open().await;
    let mut batch = Batch::new();
    batch.put(&COUNTS, "written", &1).after_commit(|_| panic!("told to"));
    assert!(store.commit(batch).await.is_err());
    let failure = store.failed().await.to_string();
    assert!(failure.contains("panicked"), "{failure}");
    store.close().await;
    let store = place.open().await;
    assert_eq!(store.get(&COUNTS, "written").await.unwrap(), Some(1), "it was durable, and may be found");
}
