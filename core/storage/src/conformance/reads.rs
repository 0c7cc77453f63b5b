//! Reading: rows as they were written, pages in order, one moment at a time.

use std::{collections::BTreeMap, ops::Bound};

use super::{COUNTS, NAMES, Place};
use crate::{Batch, RawRange, Scan, Table};

const BYTES: Table<Vec<u8>, Vec<u8>> = Table::new("t.bytes", "tests");

pub(super) async fn rows_come_back_as_they_were(place: &impl Place) {
    let store = place.open().await;
    let values = [Vec::new(), vec![0; 3], vec![0xFF; 1000], (0..=255).collect(), vec![7; 3_000_000]];
    let mut batch = Batch::new();
    for (key, value) in (0_u8..).zip(&values) {
        batch.put(&BYTES, &[0, key, 0xFF], value);
    }
    store.commit(batch).await.unwrap();
    store.close().await;

    let store = place.open().await;
    for (key, value) in (0_u8..).zip(&values) {
        assert_eq!(store.get(&BYTES, &[0, key, 0xFF]).await.unwrap().as_ref(), Some(value), "value {key}");
    }
    let keys: [&[u8]; 3] = [&[0, 1, 0xFF], b"absent", &[0, 0, 0xFF]];
    let many = store.get_many(&BYTES, keys).await.unwrap();
    assert_eq!(
        many,
        [Some(values[1].clone()), None, Some(values[0].clone())],
        "answers stand in the order of the keys"
    );
    assert_eq!(store.get_many(&BYTES, []).await.unwrap(), Vec::<Option<Vec<u8>>>::new());
}

pub(super) async fn pages_are_as_an_ordered_map_has_them(place: &impl Place) {
    let store = place.open().await;
    let mut model = BTreeMap::new();
    let mut random = Random(7);
    for round in 0..60 {
        let mut batch = Batch::new();
        for _ in 0..10 {
            let key = (["a", "a\0", "ab", "b"][random.below(4)].to_owned(), random.below(12) as u64);
            if random.below(4) == 0 {
                batch.delete(&NAMES, (&key.0, key.1));
                model.remove(&key);
            } else {
                let value = format!("{round}");
                batch.put(&NAMES, (&key.0, key.1), &value);
                model.insert(key, value);
            }
        }
        store.commit(batch).await.unwrap();
        let (scan, range) = some_scan(&mut random);
        let (reversed, limit) = (scan.range.reversed, scan.range.limit);
        let expected = model.range(range).map(|(key, value)| (key.clone(), value.clone()));
        let expected: Vec<_> =
            if reversed { expected.rev().take(limit).collect() } else { expected.take(limit).collect() };
        assert_eq!(store.scan(&NAMES, scan).await.unwrap(), expected, "round {round}");
    }
    let all = NAMES.all();
    assert_eq!(store.scan(&NAMES, all).await.unwrap(), model.into_iter().collect::<Vec<_>>());
    let backwards = NAMES.prefix(("a",)).from(&NAMES, ("b", 0)).through(&NAMES, ("a", 0));
    assert_eq!(store.scan(&NAMES, backwards).await.unwrap(), [], "bounds that hold nothing are no error");
}

type ModelRange = (Bound<(String, u64)>, Bound<(String, u64)>);

/// A page of the rows under `"a"`, with bounds of every kind, and the range that the model is asked for.
fn some_scan(random: &mut Random) -> (Scan<(String, u64), String>, ModelRange) {
    let key = |n: u64| ("a".to_owned(), n);
    let (low, high) = (random.below(6) as u64, 6 + random.below(6) as u64);
    let scan = NAMES.prefix(("a",)).limit(1 + random.below(12));
    let (scan, start) = match random.below(3) {
        0 => (scan, Bound::Included(key(0))),
        1 => (scan.from(&NAMES, ("a", low)), Bound::Included(key(low))),
        _ => (scan.after(&NAMES, ("a", low)), Bound::Excluded(key(low))),
    };
    let (scan, end) = match random.below(3) {
        0 => (scan, Bound::Included(key(u64::MAX))),
        1 => (scan.through(&NAMES, ("a", high)), Bound::Included(key(high))),
        _ => (scan.before(&NAMES, ("a", high)), Bound::Excluded(key(high))),
    };
    (if random.below(2) == 0 { scan.reversed() } else { scan }, (start, end))
}

/// A writer keeps every row of a table at one value; whoever reads several of them at once sees one value.
pub(super) async fn a_page_is_of_one_moment(place: &impl Place) {
    let store = place.open().await;
    let names: Vec<String> = (0..20).map(|n| format!("n{n}")).collect();
    let writer = {
        let (store, names) = (store.clone(), names.clone());
        tokio::spawn(async move {
            for value in 0..150 {
                let mut batch = Batch::new();
                for name in &names {
                    batch.put(&COUNTS, name, &value);
                }
                store.commit(batch).await.unwrap();
            }
        })
    };
    let mut newest = 0;
    while !writer.is_finished() {
        let page = store.scan(&COUNTS, COUNTS.all().reversed()).await.unwrap();
        let scanned: Vec<_> = page.iter().map(|(_, value)| *value).collect();
        assert!(scanned.iter().all(|value| *value == scanned[0]), "a page of two moments: {scanned:?}");
        let read = store.get_many(&COUNTS, names.iter().map(String::as_str)).await.unwrap();
        assert!(read.iter().all(|value| *value == read[0]), "reads of two moments: {read:?}");
        let seen = read[0].unwrap_or_default();
        assert!(seen >= newest && seen >= scanned.first().copied().unwrap_or_default(), "time does not go back");
        newest = seen;
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
    // Engines are asked for raw ranges that make no sense only by mistake, but must not fall over.
    let nonsense =
        RawRange { start: Bound::Excluded(vec![1]), end: Bound::Excluded(vec![1]), reversed: true, limit: 5 };
    store.close().await;
    assert!(place.engine().await.scan(nonsense).await.unwrap().is_empty());
}

/// Enough randomness for choosing among cases, the same in every run.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}
