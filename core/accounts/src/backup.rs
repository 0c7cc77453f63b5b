//! Key backups: room keys that a person's clients encrypted for their next device.

use lyceum_storage::Batch;
use ruma::UserId;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use std::collections::BTreeMap;

use crate::{
    AccountError, Accounts,
    error::Result,
    tables::{BACKUP_KEYS, BACKUPS, BackupKeyRow, BackupRow},
};

/// Room keys one backup may hold.
const BACKUP_KEYS_MAX: u64 = 500_000;

/// The largest encrypted key, and the largest `auth_data`.
const SESSION_BYTES_MAX: usize = 32 * 1024;
const AUTH_DATA_BYTES_MAX: usize = 64 * 1024;

/// The longest room and session id.
const ID_BYTES_MAX: usize = 255;

/// Keys removed in one batch.
const REMOVED_AT_ONCE: usize = 5_000;

/// A backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Its version.
    pub version: u64,
    /// How its keys are encrypted.
    pub algorithm: String,
    /// What belongs to the algorithm, as JSON.
    pub auth_data: String,
    /// Changes whenever a key does.
    pub etag: u64,
    /// How many keys there are.
    pub count: u64,
}

/// A room key as a client sends it.
#[derive(Debug, Clone, Deserialize)]
pub struct BackupKey {
    /// The first message it decrypts.
    pub first_message_index: u64,
    /// How often it was passed on.
    pub forwarded_count: u64,
    /// Whether the device it came from was verified.
    pub is_verified: bool,
    /// The encrypted key.
    pub session_data: Box<RawValue>,
}

/// Room keys by room and session.
pub type BackupKeys = BTreeMap<String, BTreeMap<String, BackupKey>>;

/// Which keys of a backup.
#[derive(Debug, Clone, Copy)]
pub enum BackupScope<'a> {
    /// All.
    All,
    /// Those of a room.
    Room(&'a str),
    /// One.
    Session(&'a str, &'a str),
}

impl BackupKeyRow {
    /// Whether this key is the better one (spec: `PUT /room_keys/keys/{roomId}/{sessionId}`).
    fn beats(&self, other: &Self) -> bool {
        let rank = |key: &Self| (!key.is_verified, key.first_message_index, key.forwarded_count);
        rank(self) < rank(other)
    }

    fn json(&self) -> Value {
        let data: Value = serde_json::from_str(&self.session_data).unwrap_or_default();
        json!({
            "first_message_index": self.first_message_index,
            "forwarded_count": self.forwarded_count,
            "is_verified": self.is_verified,
            "session_data": data,
        })
    }
}

impl Backup {
    fn new(version: u64, row: BackupRow) -> Self {
        let BackupRow { algorithm, auth_data, etag, count, deleted: _ } = row;
        Self { version, algorithm, auth_data, etag, count }
    }

    fn row(&self) -> BackupRow {
        let Self { version: _, algorithm, auth_data, etag, count } = self.clone();
        BackupRow { algorithm, auth_data, etag, count, deleted: false }
    }
}

fn no_backup() -> AccountError {
    AccountError::NotFound("key backup")
}

fn check_auth_data(auth_data: &str) -> Result<()> {
    if auth_data.len() > AUTH_DATA_BYTES_MAX { Err(AccountError::TooLarge("auth_data")) } else { Ok(()) }
}

impl Accounts {
    /// Makes a new backup, which is then the current one; answers its version.
    pub async fn create_backup(&self, user: &UserId, algorithm: String, auth_data: String) -> Result<u64> {
        check_auth_data(&auth_data)?;
        let _guard = self.lock(user.as_str()).await;
        let newest = self.newest_backup_row(user).await?;
        let version = newest.map_or(1, |(version, _)| version + 1);
        let row = BackupRow { algorithm, auth_data, etag: 0, count: 0, deleted: false };
        let mut batch = Batch::new();
        batch.expect(&BACKUPS, (user.as_str(), version), None).put(&BACKUPS, (user.as_str(), version), &row);
        self.store().commit(batch).await?;
        Ok(version)
    }

    async fn newest_backup_row(&self, user: &UserId) -> Result<Option<(u64, BackupRow)>> {
        let scan = BACKUPS.prefix((user.as_str(),)).reversed().limit(1);
        Ok(self.store().scan(&BACKUPS, scan).await?.pop().map(|((_, version), row)| (version, row)))
    }

    /// The current backup.
    pub async fn current_backup(&self, user: &UserId) -> Result<Backup> {
        let scan = BACKUPS.prefix((user.as_str(),)).reversed();
        let rows = self.store().scan(&BACKUPS, scan).await?;
        let current = rows.into_iter().find(|(_, row)| !row.deleted);
        current.map(|((_, version), row)| Backup::new(version, row)).ok_or_else(no_backup)
    }

    /// The backup of this version.
    pub async fn backup(&self, user: &UserId, version: &str) -> Result<Backup> {
        let version: u64 = version.parse().map_err(|_| no_backup())?;
        let row = self.store().get(&BACKUPS, (user.as_str(), version)).await?;
        row.filter(|row| !row.deleted).map(|row| Backup::new(version, row)).ok_or_else(no_backup)
    }

    /// Changes what belongs to a backup's algorithm, which itself stays.
    pub async fn update_backup(&self, user: &UserId, version: &str, algorithm: &str, auth_data: String) -> Result<()> {
        check_auth_data(&auth_data)?;
        let _guard = self.lock(user.as_str()).await;
        let backup = self.backup(user, version).await?;
        if backup.algorithm != algorithm {
            return Err(AccountError::InvalidParam("a backup's algorithm cannot change".into()));
        }
        let row = BackupRow { auth_data, ..backup.row() };
        let mut batch = Batch::new();
        batch.put(&BACKUPS, (user.as_str(), backup.version), &row);
        self.store().commit(batch).await?;
        Ok(())
    }

    /// Deletes a backup and its keys.
    pub async fn delete_backup(&self, user: &UserId, version: &str) -> Result<()> {
        let _guard = self.lock(user.as_str()).await;
        let version: u64 = version.parse().map_err(|_| no_backup())?;
        let row = self.store().get(&BACKUPS, (user.as_str(), version)).await?.ok_or_else(no_backup)?;
        // Spec: "If the backup was previously deleted, the call should succeed rather than returning an error."
        if row.deleted {
            return Ok(());
        }
        let backup = Backup::new(version, row);
        let gone = BackupRow { auth_data: "{}".into(), count: 0, deleted: true, ..backup.row() };
        let mut batch = Batch::new();
        batch.put(&BACKUPS, (user.as_str(), backup.version), &gone);
        // The first batch makes the backup gone; what is left of the keys can be found by nobody.
        loop {
            let scan = BACKUP_KEYS.prefix((user.as_str(), backup.version)).limit(REMOVED_AT_ONCE);
            let rows = self.store().scan(&BACKUP_KEYS, scan).await?;
            for ((user, version, room, session), _) in &rows {
                batch.delete(&BACKUP_KEYS, (user, *version, room, session));
            }
            self.store().commit(std::mem::take(&mut batch)).await?;
            if rows.len() < REMOVED_AT_ONCE {
                return Ok(());
            }
        }
    }

    /// Puts keys into the current backup, which must be `version`; a key that is worse than the one there is not taken.
    pub async fn put_backup_keys(&self, user: &UserId, version: &str, keys: BackupKeys) -> Result<Backup> {
        let _guard = self.lock(user.as_str()).await;
        let mut backup = self.writable_backup(user, version).await?;
        let mut batch = Batch::new();
        let mut changed = false;
        for (room, sessions) in keys {
            for (session, key) in sessions {
                check_key(&room, &session, &key)?;
                let row = BackupKeyRow {
                    first_message_index: key.first_message_index,
                    forwarded_count: key.forwarded_count,
                    is_verified: key.is_verified,
                    session_data: key.session_data.get().to_owned(),
                };
                let place = (user.as_str(), backup.version, room.as_str(), session.as_str());
                let known = self.store().get(&BACKUP_KEYS, place).await?;
                if known.as_ref().is_none_or(|known| row.beats(known)) {
                    backup.count += u64::from(known.is_none());
                    changed = true;
                    batch.put(&BACKUP_KEYS, place, &row);
                }
            }
        }
        if backup.count > BACKUP_KEYS_MAX {
            return Err(AccountError::TooMany("keys in the backup"));
        }
        if changed {
            backup.etag += 1;
            batch.put(&BACKUPS, (user.as_str(), backup.version), &backup.row());
            self.store().commit(batch).await?;
        }
        Ok(backup)
    }

    /// The backup to write to: the current one, and the one that was named.
    async fn writable_backup(&self, user: &UserId, version: &str) -> Result<Backup> {
        let current = self.current_backup(user).await?;
        if current.version.to_string() == version {
            Ok(current)
        } else {
            Err(AccountError::WrongBackupVersion { current: current.version.to_string() })
        }
    }

    /// Keys of a backup as clients are shown them, by room and session.
    pub async fn backup_keys(
        &self,
        user: &UserId,
        version: &str,
        scope: BackupScope<'_>,
    ) -> Result<BTreeMap<String, BTreeMap<String, Value>>> {
        let backup = self.backup(user, version).await?;
        let mut keys: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
        for (room, session, row) in self.backup_rows(user, backup.version, scope).await? {
            keys.entry(room).or_default().insert(session, row.json());
        }
        Ok(keys)
    }

    async fn backup_rows(
        &self,
        user: &UserId,
        version: u64,
        scope: BackupScope<'_>,
    ) -> Result<Vec<(String, String, BackupKeyRow)>> {
        let scan = match scope {
            BackupScope::All => BACKUP_KEYS.prefix((user.as_str(), version)),
            BackupScope::Room(room) => BACKUP_KEYS.prefix((user.as_str(), version, room)),
            BackupScope::Session(room, session) => BACKUP_KEYS.prefix((user.as_str(), version, room, session)),
        };
        let rows = self.store().scan(&BACKUP_KEYS, scan.limit(usize::MAX)).await?;
        Ok(rows.into_iter().map(|((_, _, room, session), row)| (room, session, row)).collect())
    }

    /// Deletes keys of a backup.
    pub async fn delete_backup_keys(&self, user: &UserId, version: &str, scope: BackupScope<'_>) -> Result<Backup> {
        let _guard = self.lock(user.as_str()).await;
        let mut backup = self.backup(user, version).await?;
        let rows = self.backup_rows(user, backup.version, scope).await?;
        if rows.is_empty() {
            return Ok(backup);
        }
        let mut batch = Batch::new();
        for (room, session, _) in &rows {
            batch.delete(&BACKUP_KEYS, (user.as_str(), backup.version, room, session));
        }
        backup.etag += 1;
        backup.count = backup.count.saturating_sub(rows.len() as u64);
        batch.put(&BACKUPS, (user.as_str(), backup.version), &backup.row());
        self.store().commit(batch).await?;
        Ok(backup)
    }
}

fn check_key(room: &str, session: &str, key: &BackupKey) -> Result<()> {
    if [room, session].iter().any(|id| id.is_empty() || id.len() > ID_BYTES_MAX) {
        return Err(AccountError::InvalidParam("room and session ids have 1 to 255 bytes".into()));
    }
    if key.session_data.get().len() > SESSION_BYTES_MAX {
        return Err(AccountError::TooLarge("session_data"));
    }
    // The specification has an object; what is in it is the client's, and some write a text.
    if !key.session_data.get().starts_with(['{', '"']) {
        return Err(AccountError::BadJson("session_data must be an object".into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;
    use ruma::user_id;

    fn key(is_verified: bool, first_message_index: u64, forwarded_count: u64) -> BackupKeys {
        let session_data = RawValue::from_string(r#"{"a":"b"}"#.into()).unwrap();
        let key = BackupKey { first_message_index, forwarded_count, is_verified, session_data };
        BTreeMap::from([("!r:test".to_owned(), BTreeMap::from([("s".to_owned(), key)]))])
    }

    #[tokio::test]
    async fn the_better_key_stays_and_the_etag_tells_of_changes_only() {
        let fixture = Fixture::with_people(&["anna"]).await;
        let (accounts, anna) = (&fixture.accounts, user_id!("@anna:test"));
        assert_eq!(accounts.create_backup(anna, "a".into(), "{}".into()).await.unwrap(), 1);
        let put = async |keys: BackupKeys| accounts.put_backup_keys(anna, "1", keys).await.unwrap();
        let first = put(key(false, 10, 5)).await;
        assert_eq!((first.count, first.etag), (1, 1));
        for worse in [key(false, 11, 0), key(false, 10, 6), key(false, 10, 5)] {
            assert_eq!(put(worse).await.etag, 1);
        }
        assert_eq!(put(key(false, 9, 9)).await.etag, 2);
        assert_eq!(put(key(true, 50, 50)).await.etag, 3);
        let kept = accounts.backup_keys(anna, "1", BackupScope::All).await.unwrap();
        assert_eq!(kept["!r:test"]["s"]["first_message_index"], 50);
        let left = accounts.delete_backup_keys(anna, "1", BackupScope::Room("!r:test")).await.unwrap();
        assert_eq!((left.count, left.etag), (0, 4));
    }

    #[tokio::test]
    async fn versions_never_come_twice_and_only_the_current_one_is_written() {
        let fixture = Fixture::with_people(&["anna"]).await;
        let (accounts, anna) = (&fixture.accounts, user_id!("@anna:test"));
        assert!(matches!(accounts.current_backup(anna).await, Err(AccountError::NotFound(_))));
        for version in [1, 2] {
            assert_eq!(accounts.create_backup(anna, "a".into(), "{}".into()).await.unwrap(), version);
        }
        let old = accounts.put_backup_keys(anna, "1", key(true, 0, 0)).await;
        assert!(matches!(old, Err(AccountError::WrongBackupVersion { current }) if current == "2"));
        accounts.delete_backup(anna, "2").await.unwrap();
        assert_eq!(accounts.current_backup(anna).await.unwrap().version, 1);
        assert_eq!(accounts.create_backup(anna, "a".into(), "{}".into()).await.unwrap(), 3);
        assert!(accounts.update_backup(anna, "3", "b", "{}".into()).await.is_err());
        assert!(accounts.backup(anna, "nonsense").await.is_err());
    }
}
