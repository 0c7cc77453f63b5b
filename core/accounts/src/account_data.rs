//! What clients keep on the server for a person, for the whole account or for one room, and the log by which sync learns
//! what changed since a position.

use lyceum_storage::{Batch, Position, Subject};
use ruma::{RoomId, UserId};
use serde_json::value::RawValue;

use crate::{
    AccountError, Accounts,
    error::Result,
    privacy::IGNORED,
    push_rules::PUSH_RULES,
    tables::{ACCOUNT_DATA, ACCOUNT_DATA_LOG, DatumRow},
};

/// The largest content of one type.
const CONTENT_BYTES_MAX: usize = 512 * 1024;

/// The longest type.
const TYPE_BYTES_MAX: usize = 255;

/// Types that one account, or one room of it, may have.
const TYPES_MAX: usize = 2000;

/// Account data that the server itself writes; clients have other endpoints for it.
const MANAGED: [&str; 2] = ["m.fully_read", "m.push_rules"];

/// How a commit says that a person's account data changed.
pub(crate) const ACCOUNT_DATA_SUBJECT: &str = "account-data/";

/// How a commit says that a person's push rules, or whom they ignore, changed.
pub(crate) const UNREAD_RULES_SUBJECT: &str = "unread-rules/";

/// One piece of account data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountDatum {
    /// The room, or none for the whole account.
    pub room: Option<String>,
    /// Its type.
    pub kind: String,
    /// Its content as JSON. `{}` where it was deleted, which is how a client that syncs learns of it (MSC3391).
    pub content: String,
}

impl Accounts {
    /// The content of one type, if there is any.
    pub async fn account_data(&self, user: &UserId, room: Option<&RoomId>, kind: &str) -> Result<Option<String>> {
        Ok(self.datum(user, room, kind).await?.and_then(|row| row.content))
    }

    /// The content of one type as a client is shown it.
    pub async fn account_data_shown(&self, user: &UserId, room: Option<&RoomId>, kind: &str) -> Result<Option<String>> {
        if room.is_none() && kind == PUSH_RULES {
            return Ok(Some(self.push_rules(user).await?.json().to_string()));
        }
        self.account_data(user, room, kind).await
    }

    async fn datum(&self, user: &UserId, room: Option<&RoomId>, kind: &str) -> Result<Option<DatumRow>> {
        Ok(self.store().get(&ACCOUNT_DATA, (user.as_str(), room_key(room), kind)).await?)
    }

    /// Sets account data as a client may. An empty object deletes (MSC3391).
    pub async fn set_account_data(
        &self,
        user: &UserId,
        room: Option<&RoomId>,
        kind: &str,
        content: &RawValue,
    ) -> Result<()> {
        check_kind(kind)?;
        let content = checked_content(content)?;
        let _guard = self.lock(user.as_str()).await;
        let mut batch = Batch::new();
        self.add_account_data(&mut batch, user, room, kind, content).await?;
        self.store().commit(batch).await?;
        Ok(())
    }

    /// Deletes account data (MSC3391). Deleting what is not there is no error.
    pub async fn delete_account_data(&self, user: &UserId, room: Option<&RoomId>, kind: &str) -> Result<()> {
        check_kind(kind)?;
        let _guard = self.lock(user.as_str()).await;
        if self.account_data(user, room, kind).await?.is_none() {
            return Ok(());
        }
        let mut batch = Batch::new();
        self.add_account_data(&mut batch, user, room, kind, None).await?;
        self.store().commit(batch).await?;
        Ok(())
    }

    /// Adds account data to a batch, of managed types too: for whoever's act implies it (a read marker, a push rule).
    /// `None` deletes.
    pub async fn add_account_data(
        &self,
        batch: &mut Batch,
        user: &UserId,
        room: Option<&RoomId>,
        kind: &str,
        content: Option<String>,
    ) -> Result<()> {
        let room_name = room_key(room);
        let before = self.datum(user, room, kind).await?;
        if before.is_none() {
            self.check_room_for_type(user, room_name).await?;
        }
        let key = (user.to_string(), room_name.to_owned(), kind.to_owned());
        batch.at_position(move |position, writes| {
            let (user, room, kind) = (key.0.as_str(), key.1.as_str(), key.2.as_str());
            if let Some(before) = before {
                writes.delete(&ACCOUNT_DATA_LOG, (user, before.position, room, kind));
            }
            writes.put(&ACCOUNT_DATA, (user, room, kind), &DatumRow { content, position: position.0 });
            writes.put(&ACCOUNT_DATA_LOG, (user, position.0, room, kind), &());
        });
        batch.touch(Subject::user(user)).touch(Subject::other(format!("{ACCOUNT_DATA_SUBJECT}{user}")));
        if let Some(room) = room {
            batch.touch(Subject::own(user, room));
        } else if [PUSH_RULES, IGNORED].contains(&kind) {
            batch.touch(Subject::other(format!("{UNREAD_RULES_SUBJECT}{user}")));
        }
        Ok(())
    }

    async fn check_room_for_type(&self, user: &UserId, room: &str) -> Result<()> {
        let scan = ACCOUNT_DATA.prefix((user.as_str(), room)).limit(TYPES_MAX);
        if self.store().scan(&ACCOUNT_DATA, scan).await?.len() >= TYPES_MAX {
            return Err(AccountError::TooMany("types of account data"));
        }
        Ok(())
    }

    /// All account data of the whole account, or of one room; what was deleted is left out.
    pub async fn all_account_data(&self, user: &UserId, room: Option<&RoomId>) -> Result<Vec<AccountDatum>> {
        let scan = ACCOUNT_DATA.prefix((user.as_str(), room_key(room))).limit(TYPES_MAX);
        let rows = self.store().scan(&ACCOUNT_DATA, scan).await?;
        let stored = rows.into_iter().filter(|((_, _, kind), _)| room.is_some() || kind != PUSH_RULES);
        let mut data: Vec<_> =
            stored.filter_map(|((_, room, kind), row)| Some(datum(room, kind, row.content?))).collect();
        if room.is_none() {
            // Whoever never changed a rule has them all the same.
            let rules = self.push_rules(user).await?.json().to_string();
            data.push(AccountDatum { room: None, kind: PUSH_RULES.into(), content: rules });
        }
        Ok(data)
    }

    /// Whether any account data of this person changed after `since`. Reads nothing.
    pub fn account_data_changed(&self, user: &UserId, since: Position) -> bool {
        self.changed().account_data.at(user.as_str()) > since
    }

    /// Whether this person's push rules, or whom they ignore, changed after `since`. Reads nothing.
    pub fn unread_rules_changed(&self, user: &UserId, since: Position) -> bool {
        self.changed().unread_rules.at(user.as_str()) > since
    }

    /// What changed after `from` up to `to`, for the whole account and for every room, oldest change first.
    pub async fn account_data_since(&self, user: &UserId, from: Position, to: Position) -> Result<Vec<AccountDatum>> {
        if !self.account_data_changed(user, from) {
            return Ok(Vec::new());
        }
        let scan = ACCOUNT_DATA_LOG
            .prefix((user.as_str(),))
            .from(&ACCOUNT_DATA_LOG, (user.as_str(), from.0 + 1, "", ""))
            .before(&ACCOUNT_DATA_LOG, (user.as_str(), to.0 + 1, "", ""))
            .limit(usize::MAX);
        let log = self.store().scan(&ACCOUNT_DATA_LOG, scan).await?;
        let keys = log.iter().map(|((user, _, room, kind), ())| (user.as_str(), room.as_str(), kind.as_str()));
        let rows = self.store().get_many(&ACCOUNT_DATA, keys).await?;
        // A row of the log is stale when two processes wrote at once; the newer one follows.
        Ok(log
            .into_iter()
            .zip(rows)
            .filter_map(|(((_, position, room, kind), ()), row)| {
                let row = row.filter(|row| row.position == position)?;
                Some(datum(room, kind, row.content.unwrap_or_else(|| "{}".into())))
            })
            .collect())
    }
}

fn datum(room: String, kind: String, content: String) -> AccountDatum {
    AccountDatum { room: (!room.is_empty()).then_some(room), kind, content }
}

fn room_key(room: Option<&RoomId>) -> &str {
    room.map_or("", RoomId::as_str)
}

fn check_kind(kind: &str) -> Result<()> {
    if MANAGED.contains(&kind) {
        return Err(AccountError::NotThisWay("this type of account data is set through endpoints of its own"));
    }
    if kind.is_empty() || kind.len() > TYPE_BYTES_MAX {
        return Err(AccountError::InvalidParam("a type of account data has 1 to 255 bytes".into()));
    }
    Ok(())
}

/// The content to store, `None` when it is an empty object.
fn checked_content(content: &RawValue) -> Result<Option<String>> {
    let text = content.get();
    if text.len() > CONTENT_BYTES_MAX {
        return Err(AccountError::TooLarge("account data"));
    }
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(text).map_err(|_| AccountError::BadJson("account data must be a JSON object".into()))?;
    Ok((!object.is_empty()).then(|| text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;
    use ruma::{room_id, user_id};

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[tokio::test]
    async fn sync_sees_each_type_once_with_its_last_content() {
        let fixture = Fixture::with_people(&["anna"]).await;
        let (accounts, anna, room) = (&fixture.accounts, user_id!("@anna:test"), room_id!("!r:test"));
        let start = accounts.store().committed();
        for (room, kind, content) in
            [(None, "a", r#"{"n":1}"#), (Some(room), "a", r#"{"n":2}"#), (None, "a", r#"{"n":3}"#)]
        {
            accounts.set_account_data(anna, room, kind, &raw(content)).await.unwrap();
        }
        let end = accounts.store().committed();
        let changes = accounts.account_data_since(anna, start, end).await.unwrap();
        let seen: Vec<_> = changes.iter().map(|datum| (datum.room.as_deref(), datum.content.as_str())).collect();
        assert_eq!(seen, [(Some("!r:test"), r#"{"n":2}"#), (None, r#"{"n":3}"#)]);
        assert!(!accounts.account_data_changed(anna, end));
        assert!(accounts.account_data_since(anna, end, end).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn deleting_is_seen_once_and_leaves_nothing() {
        let fixture = Fixture::with_people(&["anna"]).await;
        let (accounts, anna) = (&fixture.accounts, user_id!("@anna:test"));
        accounts.set_account_data(anna, None, "a", &raw(r#"{"n":1}"#)).await.unwrap();
        let before = accounts.store().committed();
        accounts.set_account_data(anna, None, "a", &raw("{}")).await.unwrap();
        assert_eq!(accounts.account_data(anna, None, "a").await.unwrap(), None);
        let left = accounts.all_account_data(anna, None).await.unwrap();
        assert_eq!(left.iter().map(|datum| datum.kind.as_str()).collect::<Vec<_>>(), ["m.push_rules"]);
        let changes = accounts.account_data_since(anna, before, accounts.store().committed()).await.unwrap();
        assert_eq!(changes[0].content, "{}");
    }

    #[tokio::test]
    async fn managed_types_wrong_shapes_and_endless_ones_are_refused() {
        let fixture = Fixture::with_people(&["anna"]).await;
        let (accounts, anna) = (&fixture.accounts, user_id!("@anna:test"));
        let set = async |kind: &str, content: &str| accounts.set_account_data(anna, None, kind, &raw(content)).await;
        assert!(matches!(set("m.push_rules", "{}").await, Err(AccountError::NotThisWay(_))));
        assert!(matches!(set("a", "[]").await, Err(AccountError::BadJson(_))));
        assert!(matches!(set(&"a".repeat(256), "{}").await, Err(AccountError::InvalidParam(_))));
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(CONTENT_BYTES_MAX));
        assert!(matches!(set("a", &long).await, Err(AccountError::TooLarge(_))));
    }
}
