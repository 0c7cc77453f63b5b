//! Backups: of one moment although writing goes on, and good for any engine.

use std::{fs, sync::Arc};
use tempfile::TempDir;

use super::{COUNTS, NAMES, Place, STREAM, reads::Random};
use crate::{
    BackupError, Batch, Store, Table,
    backup::{check, restore_into},
    memory::Memory,
};

const WRITERS: u64 = 4;

/// Each writer keeps its rows, spread over the key space and changing in number, at one value, which it counts up.
async fn write_for_ever(store: Store, writer: u64) {
    let mut random = Random(writer);
    for value in 1.. {
        let mut batch = Batch::new();
        for name in 0..40 {
            batch.put(&NAMES, (&format!("{name}"), writer), &value.to_string());
        }
        // Rows that come and go; one of them is there at any moment.
        batch.delete(&STREAM, (value - 1) * WRITERS + writer).put(&STREAM, value * WRITERS + writer, &String::new());
        batch.put(&COUNTS, &format!("{writer}"), &value);
        if random.below(3) == 0 {
            tokio::task::yield_now().await;
        }
        if store.commit(batch).await.is_err() {
            return;
        }
    }
}

async fn check_moment(store: &Store) {
    let rows = store.scan(&NAMES, NAMES.all()).await.unwrap();
    let present = store.scan(&STREAM, STREAM.all()).await.unwrap();
    for writer in 0..WRITERS {
        let Some(value) = store.get(&COUNTS, &format!("{writer}")).await.unwrap() else { continue };
        let theirs: Vec<_> = rows.iter().filter(|((_, by), _)| *by == writer).map(|(_, value)| value.clone()).collect();
        assert_eq!(theirs, vec![value.to_string(); 40], "writer {writer}'s rows are of one batch");
        let place: Vec<_> = present.iter().map(|(n, _)| *n).filter(|n| n % WRITERS == writer).collect();
        assert_eq!(place, [value * WRITERS + writer], "what was removed is not there, what was put is");
    }
}

pub(super) async fn a_backup_is_of_one_moment(place: &impl Place) {
    let (store, dir) = (place.open().await, TempDir::new().unwrap());
    let mut batch = Batch::new();
    for n in 0..3000_u64 {
        batch.put(&COUNTS, &format!("filler {n}"), &n);
    }
    store.commit(batch).await.unwrap();
    let writers: Vec<_> = (0..WRITERS).map(|writer| tokio::spawn(write_for_ever(store.clone(), writer))).collect();
    for n in 0..4 {
        let file = dir.path().join(format!("backup{n}"));
        let before = store.committed();
        let made = store.backup(&file).await.unwrap();
        assert!(before <= made.position && made.position <= store.committed(), "the moment lies in between");
        assert_eq!(check(&file).unwrap(), made);

        let engine = Arc::new(Memory::default());
        assert_eq!(restore_into(&*engine, &file).await.unwrap(), made);
        let restored = Store::over(engine).await.unwrap();
        assert_eq!(restored.committed(), made.position);
        check_moment(&restored).await;
        let mut batch = Batch::new();
        batch.put(&COUNTS, "goes on", &1);
        assert_eq!(restored.commit(batch).await.unwrap(), made.position.plus(1));
    }
    store.close().await;
    for writer in writers {
        writer.await.unwrap();
    }
}

pub(super) async fn a_backup_restores_into_any_engine(place: &impl Place) {
    let (dir, file) = (TempDir::new().unwrap(), "backup");
    let (source, file) = (Store::memory().await.unwrap(), dir.path().join(file));
    let mut batch = Batch::new();
    for n in 0..5000_u64 {
        batch.put(&NAMES, ("name", n), &"x".repeat(n as usize % 300));
    }
    let position = source.commit(batch).await.unwrap();
    source.backup(&file).await.unwrap();

    let engine = place.engine().await;
    restore_into(&*engine, &file).await.unwrap();
    assert!(matches!(restore_into(&*engine, &file).await, Err(BackupError::NotEmpty)), "never into a store in use");
    engine.close().await;
    let store = place.open().await;
    assert_eq!(store.committed(), position);
    let page = NAMES.all().limit(10_000);
    assert_eq!(store.scan(&NAMES, page).await.unwrap().len(), 5000);
    assert_eq!(store.get(&NAMES, ("name", 299)).await.unwrap().map(|value| value.len()), Some(299));
}

pub(super) async fn a_damaged_backup_changes_nothing(place: &impl Place) {
    let (store, dir) = (place.open().await, TempDir::new().unwrap());
    let mut batch = Batch::new();
    batch.put(&COUNTS, "a", &1).put(&COUNTS, "b", &2);
    store.commit(batch).await.unwrap();
    let file = dir.path().join("backup");
    store.backup(&file).await.unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing but the backup is left");
    let whole = fs::read(&file).unwrap();
    for cut in [0, 10, whole.len() / 2, whole.len() - 1] {
        fs::write(&file, &whole[..cut]).unwrap();
        assert!(matches!(check(&file), Err(BackupError::Damaged { .. })), "cut at {cut}");
    }
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x11;
        fs::write(&file, &changed).unwrap();
        assert!(matches!(check(&file), Err(BackupError::Damaged { .. } | BackupError::Storage(_))), "changed at {at}");
    }
    fs::write(&file, "something else").unwrap();
    assert!(matches!(check(&file), Err(BackupError::Damaged { .. })));
    assert!(matches!(check(&dir.path().join("absent")), Err(BackupError::File { .. })));
    assert!(store.backup(&dir.path().join("no/such/place")).await.is_err());
}

pub(super) async fn everything_can_be_surveyed(place: &impl Place) {
    const AS_TEXT: Table<String, String> = Table::new("t.counts", "another reading of the same rows");
    let store = place.open().await;
    let mut batch = Batch::new();
    for n in 0..2500_u64 {
        batch.put(&COUNTS, &format!("{n}"), &1000);
    }
    batch.put(&NAMES, ("n", 1), &"one".to_owned());
    store.commit(batch).await.unwrap();
    let sizes = store.survey().await.unwrap();
    let rows = |name: &str| sizes.iter().find(|table| table.name == name).map(|table| table.rows);
    assert_eq!((rows("t.counts"), rows("t.names"), rows("t.stream")), (Some(2500), Some(1), None));

    let odd = |key: String, _| if key.ends_with('7') { Err("ends in 7".to_owned()) } else { Ok(()) };
    let verified = store.verify(&COUNTS, odd).await.unwrap();
    assert_eq!((verified.rows, verified.broken, verified.examples.len()), (2500, 250, 100));
    let verified = store.verify(&AS_TEXT, |_, _| Ok(())).await.unwrap();
    assert_eq!((verified.rows, verified.broken), (2500, 2500), "rows of another form are counted, not tripped over");
}
