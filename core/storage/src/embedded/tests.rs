//! What only the engine over files can get wrong: coming back, and being opened by somebody else.

use tempfile::TempDir;

use crate::{Batch, Migration, OpenError, StorageConfig, Store, Table, backup::RESTORING, meta::SCHEMA, restore};

const NOTES: Table<u64, String> = Table::new("t.notes", "tests");

async fn open(dir: &TempDir) -> Result<Store, OpenError> {
    Store::open(&StorageConfig::default(), dir.path()).await
}

#[tokio::test]
async fn a_store_opened_again_has_its_rows_and_goes_on_counting() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await.unwrap();
    let mut batch = Batch::new();
    batch.put(&NOTES, 1, &"kept".to_owned()).positions(5);
    let first = store.commit(batch).await.unwrap();
    store.close().await;

    let store = open(&dir).await.unwrap();
    assert_eq!(store.get(&NOTES, 1).await.unwrap().as_deref(), Some("kept"));
    assert_eq!(store.committed(), first.plus(4));
    let mut batch = Batch::new();
    batch.put(&NOTES, 2, &String::new());
    assert_eq!(store.commit(batch).await.unwrap(), first.plus(5));
}

#[tokio::test]
async fn whether_a_store_is_there_is_known_without_making_one() {
    let dir = TempDir::new().unwrap();
    assert!(!Store::is_there(&StorageConfig::default(), dir.path()).await.unwrap());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was made");
    open(&dir).await.unwrap().close().await;
    assert!(Store::is_there(&StorageConfig::default(), dir.path()).await.unwrap());
}

#[tokio::test]
async fn a_store_in_use_is_not_opened_twice() {
    let dir = TempDir::new().unwrap();
    let _store = open(&dir).await.unwrap();
    let refused = open(&dir).await.err().unwrap();
    assert!(matches!(refused, OpenError::Locked { process: Some(id), .. } if id == std::process::id()), "{refused}");
    assert!(refused.to_string().contains("the server is running"), "{refused}");
}

#[tokio::test]
async fn a_file_in_the_place_of_the_directory_is_named() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("store"), "not a store").unwrap();
    let refused = open(&dir).await.err().unwrap();
    assert!(matches!(refused, OpenError::NotADirectory(_)), "{refused}");
}

#[tokio::test]
async fn a_store_of_a_newer_server_is_left_alone() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await.unwrap();
    let mut batch = Batch::new();
    batch.put(&SCHEMA, (), &999);
    store.commit(batch).await.unwrap();
    store.close().await;
    let refused = open(&dir).await.err().unwrap();
    assert!(matches!(refused, OpenError::Schema { found: 999, .. }), "{refused}");
}

const VERSION_3: [Migration; 2] = [
    Migration { to: 2, about: "notes begin with a number", run: |store| Box::pin(number_notes(store)) },
    Migration { to: 3, about: "nothing", run: |_| Box::pin(async { Ok(()) }) },
];

async fn number_notes(store: Store) -> Result<(), crate::CommitError> {
    let mut batch = Batch::new();
    for (n, note) in store.scan(&NOTES, NOTES.all()).await? {
        batch.put(&NOTES, n, &format!("{n} {note}"));
    }
    store.commit(batch).await.map(drop)
}

#[tokio::test]
async fn an_old_store_is_brought_up_to_date_once() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir).await.unwrap();
    let mut batch = Batch::new();
    batch.put(&NOTES, 7, &"note".to_owned());
    store.commit(batch).await.unwrap();
    store.close().await;
    for _ in 0..2 {
        let store = Store::open_migrating(&StorageConfig::default(), dir.path(), &VERSION_3).await.unwrap();
        assert_eq!(store.get(&NOTES, 7).await.unwrap().as_deref(), Some("7 note"));
        assert_eq!(store.get(&SCHEMA, ()).await.unwrap(), Some(3));
        store.close().await;
    }
    let refused = open(&dir).await.err().unwrap();
    assert!(matches!(refused, OpenError::Schema { found: 3, known: 1 }), "{refused}");

    let dir = TempDir::new().unwrap();
    let store = Store::open_migrating(&StorageConfig::default(), dir.path(), &VERSION_3).await.unwrap();
    assert_eq!(store.get(&SCHEMA, ()).await.unwrap(), Some(3), "a new store needs no migration");
}

#[tokio::test]
async fn a_restore_that_was_interrupted_is_not_taken_for_a_store() {
    let (dir, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = open(&dir).await.unwrap();
    let file = other.path().join("backup");
    store.backup(&file).await.unwrap();
    restore(&StorageConfig::default(), other.path(), &file).await.unwrap();
    let restored = open(&other).await.unwrap();
    let mut batch = Batch::new();
    batch.put(&RESTORING, (), &true);
    restored.commit(batch).await.unwrap();
    restored.close().await;
    assert!(matches!(open(&other).await.err(), Some(OpenError::HalfRestored)));
}
