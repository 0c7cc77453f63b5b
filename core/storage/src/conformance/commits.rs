//! Committing: whole, in order, and told to nobody before it is durable.

use futures_util::FutureExt;
use parking_lot::Mutex;
use std::sync::Arc;

use super::{COUNTS, NAMES, Place, STREAM, staged::Staged};
use crate::{Batch, CommitError, Position, Store, Subject};

pub(super) async fn a_batch_is_whole_across_tables(place: &impl Place) {
    let store = place.open().await;
    let mut batch = Batch::new();
    batch.put(&NAMES, ("a", 1), &"one".to_owned()).put(&COUNTS, "a", &1).put(&STREAM, 1, &"s".to_owned());
    store.commit(batch).await.unwrap();
    let mut batch = Batch::new();
    batch.delete(&NAMES, ("a", 1)).put(&COUNTS, "a", &2).expect(&STREAM, 1, Some(&"other".to_owned()));
    assert!(matches!(store.commit(batch).await, Err(CommitError::Conflict("t.stream"))));

    store.close().await;
    let store = place.open().await;
    assert_eq!(store.get(&NAMES, ("a", 1)).await.unwrap().as_deref(), Some("one"));
    assert_eq!(store.get(&COUNTS, "a").await.unwrap(), Some(1));
    let mut batch = Batch::new();
    batch.delete(&NAMES, ("a", 1)).delete(&COUNTS, "never there").put(&COUNTS, "a", &2);
    store.commit(batch).await.unwrap();
    assert_eq!(store.get(&NAMES, ("a", 1)).await.unwrap(), None);
    assert_eq!(store.get(&COUNTS, "a").await.unwrap(), Some(2));
}

pub(super) async fn batches_count_in_the_order_queued(place: &impl Place) {
    let store = place.open().await;
    let queued: Vec<_> = (0..300)
        .map(|n| {
            let mut batch = Batch::new();
            batch.put(&COUNTS, "last", &n).put(&COUNTS, &format!("n{n}"), &n);
            if n % 3 == 0 {
                batch.delete(&COUNTS, "last");
            }
            store.enqueue(batch)
        })
        .collect();
    let mut before = Position(0);
    for pending in queued {
        let position = pending.await.unwrap();
        assert!(position > before, "{position:?} after {before:?}");
        before = position;
    }
    assert_eq!(store.get(&COUNTS, "last").await.unwrap(), Some(299));
    assert_eq!(store.scan(&COUNTS, COUNTS.all()).await.unwrap().len(), 301);
}

pub(super) async fn positions_are_disjoint_and_only_grow(place: &impl Place) {
    let mut next = Position(1);
    for _ in 0..3 {
        let store = place.open().await;
        assert_eq!(store.committed().plus(1), next, "what was given before counts after opening again");
        for count in [1, 7, 2] {
            let mut batch = Batch::new();
            batch.put(&COUNTS, "any", &count).positions(count);
            assert_eq!(store.commit(batch).await.unwrap(), next);
            next = next.plus(count);
            assert_eq!(store.committed().plus(1), next);
        }
        store.close().await;
    }
}

pub(super) async fn a_conflict_leaves_nothing(place: &impl Place) {
    let store = place.open().await;
    let mut batch = Batch::new();
    batch.put(&COUNTS, "there", &1);
    let first = store.commit(batch).await.unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let watch = store.watch(&[Subject::room("!r")]);
    for (key, expected) in [("there", None), ("there", Some(2)), ("absent", Some(1))] {
        let mut batch = Batch::new();
        let seen = told.clone();
        batch.expect(&COUNTS, "there", Some(&1)).expect(&COUNTS, key, expected.as_ref());
        batch.put(&COUNTS, "wrong", &1).touch(Subject::room("!r")).positions(5);
        batch.at_position(|_, writes| writes.put(&COUNTS, "wrong too", &1));
        batch.after_commit(move |position| seen.lock().push(position));
        assert!(matches!(store.commit(batch).await, Err(CommitError::Conflict("t.counts"))), "{key} {expected:?}");
    }
    let mut batch = Batch::new();
    batch.expect(&COUNTS, "there", Some(&1)).expect(&COUNTS, "absent", None).put(&COUNTS, "right", &1);
    assert_eq!(store.commit(batch).await.unwrap(), first.plus(1), "a refused batch takes no position");
    let rows: Vec<_> = store.scan(&COUNTS, COUNTS.all()).await.unwrap().into_iter().map(|(key, _)| key).collect();
    assert_eq!(rows, ["right", "there"]);
    assert!(told.lock().is_empty() && watch.changed().now_or_never().is_none(), "a refused batch is told to nobody");
}

pub(super) async fn of_writers_in_one_group_one_wins(place: &impl Place) {
    let gate = Staged::held(place.engine().await);
    let store = Store::over(gate.clone()).await.unwrap();
    // One batch holds the committer up, so that all the others are one group.
    let mut batch = Batch::new();
    batch.put(&COUNTS, "hold", &0);
    let hold = store.enqueue(batch);
    let claims: Vec<_> = (0..20)
        .map(|n| {
            let mut batch = Batch::new();
            batch.expect(&COUNTS, "claim", None).put(&COUNTS, "claim", &n);
            store.enqueue(batch)
        })
        .collect();
    gate.open.add_permits(100);
    hold.await.unwrap();
    let mut won = Vec::new();
    for (n, claim) in (0..).zip(claims) {
        match claim.await {
            Ok(_) => won.push(n),
            Err(error) => assert!(matches!(error, CommitError::Conflict("t.counts")), "{error}"),
        }
    }
    assert_eq!(won, [0]);
    assert_eq!(store.get(&COUNTS, "claim").await.unwrap(), Some(0));
}

async fn count_up(store: Store, times: u64) {
    for _ in 0..times {
        loop {
            let now = store.get(&COUNTS, "counter").await.unwrap();
            let mut batch = Batch::new();
            batch.expect(&COUNTS, "counter", now.as_ref()).put(&COUNTS, "counter", &(now.unwrap_or(0) + 1));
            batch.touch(Subject::other("counter"));
            match store.commit(batch).await {
                Ok(_) => break,
                Err(CommitError::Conflict(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

pub(super) async fn counting_by_expectation_loses_nothing(place: &impl Place) {
    let store = place.open().await;
    let tasks: Vec<_> = (0..8).map(|_| tokio::spawn(count_up(store.clone(), 20))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(store.get(&COUNTS, "counter").await.unwrap(), Some(160));
}

pub(super) async fn rows_know_the_position_they_get(place: &impl Place) {
    let store = place.open().await;
    let queued: Vec<_> = (0..50_u64)
        .map(|n| {
            let mut batch = Batch::new();
            batch.positions(2);
            batch.at_position(move |first, writes| {
                writes.put(&STREAM, first.0, &format!("{n}"));
                writes.put(&STREAM, first.0 + 1, &format!("{n} and"));
            });
            store.enqueue(batch)
        })
        .collect();
    for (n, pending) in queued.into_iter().enumerate() {
        let first = pending.await.unwrap();
        assert_eq!(store.get(&STREAM, first.0).await.unwrap(), Some(n.to_string()));
        assert_eq!(store.get(&STREAM, first.0 + 1).await.unwrap(), Some(format!("{n} and")));
    }
}

pub(super) async fn a_batch_that_panics_harms_nobody_else(place: &impl Place) {
    let store = place.open().await;
    let good = |key: &str| {
        let mut batch = Batch::new();
        batch.put(&COUNTS, key, &1);
        batch
    };
    let mut bad = good("bad");
    bad.at_position(|_, _| panic!("told to"));
    let all = [store.enqueue(good("before")), store.enqueue(bad), store.enqueue(good("after"))];
    let [before, bad, after] = futures_util::future::join_all(all).await.try_into().unwrap();
    assert!(matches!(bad, Err(CommitError::Storage(_))));
    assert_eq!(before.unwrap().plus(1), after.unwrap());
    assert_eq!(store.get(&COUNTS, "bad").await.unwrap(), None);
}

pub(super) async fn a_key_too_long_harms_nobody_else(place: &impl Place) {
    let store = place.open().await;
    let put = |key: &str| {
        let mut batch = Batch::new();
        batch.put(&COUNTS, key, &1);
        store.enqueue(batch)
    };
    let (long, good) = (put(&"k".repeat(3000)), put(&"k".repeat(1500)));
    assert!(matches!(long.await, Err(CommitError::Storage(_))));
    good.await.unwrap();
}

pub(super) async fn callbacks_run_in_order_before_anybody_is_told(place: &impl Place) {
    let store = place.open().await;
    let told: Arc<Mutex<Vec<(&str, u64)>>> = Arc::default();
    let observed = told.clone();
    store.observe(move |commit| observed.lock().push(("observed", commit.first.0)));
    let mut tail = store.tail();
    let start = store.committed();
    let queued: Vec<_> = (1..=40)
        .map(|n| {
            let (told, watching) = (told.clone(), store.clone());
            let mut batch = Batch::new();
            batch.put(&COUNTS, "any", &n).touch(Subject::user("@u"));
            batch.after_commit(move |first| {
                assert_eq!(watching.committed().plus(1), first, "nobody sees the position before the callback ran");
                told.lock().push(("committed", first.0));
            });
            store.enqueue(batch)
        })
        .collect();
    for pending in queued {
        let first = pending.await.unwrap();
        assert!(told.lock().contains(&("observed", first.0)), "the answer comes after the callbacks");
        let commit = tail.recv().await.unwrap();
        assert_eq!((commit.first, &*commit.subjects), (first, &[Subject::user("@u")][..]));
    }
    let expected: Vec<_> = (1..=40).flat_map(|n| [("committed", start.0 + n), ("observed", start.0 + n)]).collect();
    assert_eq!(*told.lock(), expected);
}

pub(super) async fn nobody_is_told_before_it_is_durable(place: &impl Place) {
    let gate = Staged::held(place.engine().await);
    let store = Store::over(gate.clone()).await.unwrap();
    let (start, mut tail) = (store.committed(), store.tail());
    let (watch, other) = (store.watch(&[Subject::room("!r")]), store.watch(&[Subject::room("!other")]));
    let mut batch = Batch::new();
    batch.put(&COUNTS, "any", &1).touch(Subject::room("!r"));
    let mut pending = store.enqueue(batch);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!((&mut pending).now_or_never().is_none(), "no answer");
    assert!(watch.changed().now_or_never().is_none(), "nobody woken");
    assert!(tail.try_recv().is_err(), "nothing on the tail");
    assert_eq!(store.committed(), start);
    assert_eq!(store.get(&COUNTS, "any").await.unwrap(), None);

    gate.open.add_permits(1);
    watch.changed().await;
    assert_eq!(store.committed(), start.plus(1), "committed moves before anybody is woken");
    assert_eq!(store.get(&COUNTS, "any").await.unwrap(), Some(1));
    pending.await.unwrap();
    assert!(other.changed().now_or_never().is_none(), "only its own subjects wake a watch");
}

pub(super) async fn a_closed_store_refuses(place: &impl Place) {
    let store = place.open().await;
    let put = |n: u64| {
        let mut batch = Batch::new();
        batch.put(&COUNTS, "any", &n);
        batch
    };
    let queued = store.enqueue(put(1));
    let (closing, late) = (store.close(), store.clone());
    closing.await;
    queued.await.expect("what was queued before is committed");
    assert!(matches!(late.commit(put(2)).await, Err(CommitError::Closed)));
    late.ended().await;
    let store = place.open().await;
    assert_eq!(store.get(&COUNTS, "any").await.unwrap(), Some(1));
}

/// Two nodes on one database see each other's commits in one order and meet at expectations.
pub(super) async fn two_nodes_share_one_stream(place: &impl Place) {
    if !place.shared() {
        return;
    }
    let (one, two) = (place.open().await, place.open().await);
    let (mut tail, watch) = (two.tail(), two.watch(&[Subject::room("!r")]));
    let mut batch = Batch::new();
    batch.put(&COUNTS, "from one", &1).touch(Subject::room("!r"));
    let position = one.commit(batch).await.unwrap();
    watch.changed().await;
    assert_eq!(two.committed(), position, "the other node has moved before it wakes anybody");
    assert_eq!(two.get(&COUNTS, "from one").await.unwrap(), Some(1));
    let commit = tail.recv().await.unwrap();
    assert_eq!((commit.first, &*commit.subjects), (position, &[Subject::room("!r")][..]));

    let tasks = [tokio::spawn(count_up(one.clone(), 50)), tokio::spawn(count_up(two.clone(), 50))];
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(one.get(&COUNTS, "counter").await.unwrap(), Some(100));
    let (mut last, mut told) = (position, 0);
    while told < 100 {
        let commit = tail.recv().await.unwrap();
        assert_eq!(commit.first, last.plus(1), "every commit of both nodes, once, in order");
        (last, told) = (commit.last, told + 1);
    }
}
