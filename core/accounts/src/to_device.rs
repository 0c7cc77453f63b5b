//! Messages to devices: kept until the device has them, delivered in order, sent once for each transaction.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lyceum_storage::{Batch, Position, Subject};
use ruma::{DeviceId, OwnedUserId, UserId};
use serde_json::{Value, value::RawValue};
use std::{collections::BTreeMap, sync::atomic::Ordering};

use crate::{
    AccountError, Accounts,
    error::Result,
    secret::{SecretHash, hash},
    short_lived::Kind,
    tables::{DEVICES, INBOX, INBOX_CUTS, ToDeviceRow},
};

/// Messages one request may send.
const SENT_MAX: usize = 10_000;

/// The largest content of a message.
const CONTENT_BYTES_MAX: usize = 65_536;

/// How deep a message's content may be nested: as deep as a transaction between servers carries it.
const CONTENT_DEPTH_MAX: usize = 94;

/// Messages kept for a device that does not come; the oldest go first.
const INBOX_MAX: usize = 50_000;

/// How often a device's inbox is measured: after so many messages to it.
const MEASURED_EVERY: u32 = 2_000;

/// How long a transaction id is remembered.
const TRANSACTION_MS: u64 = 2 * 60 * 60_000;

/// The same of other servers, which try again for days.
const PEER_TRANSACTION_MS: u64 = 7 * 24 * 60 * 60_000;

/// Bytes of a transaction's hash that make the id other servers see.
const MESSAGE_ID_BYTES: usize = 18;

/// How a commit says that a person's devices got messages.
pub(crate) const INBOX_SUBJECT: &str = "inbox/";

/// What to send: content by person and device; the device `*` is all of the person's.
pub type ToDeviceMessages = BTreeMap<OwnedUserId, BTreeMap<String, Box<RawValue>>>;

/// A message to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToDevice {
    /// Its place.
    pub position: Position,
    /// Its type.
    pub kind: String,
    /// Who sent it.
    pub sender: String,
    /// Its content as JSON.
    pub content: String,
}

/// Who sends, and under which transaction.
#[derive(Debug, Clone, Copy)]
pub struct ToDeviceSender<'a> {
    /// Who.
    pub user: &'a UserId,
    /// The device or server that chose the transaction id.
    pub scope: &'a str,
    /// The transaction id.
    pub transaction: &'a str,
}

impl ToDeviceSender<'_> {
    fn digest(&self, kind: &str) -> SecretHash {
        hash(&format!("{}\0{}\0{}\0{kind}", self.user, self.scope, self.transaction))
    }

    /// What other servers know these messages again by (spec, `m.direct_to_device`: at most 32 code points).
    pub fn message_id(&self, kind: &str) -> String {
        URL_SAFE_NO_PAD.encode(&self.digest(kind)[..MESSAGE_ID_BYTES])
    }
}

impl Accounts {
    /// Puts messages into the inboxes of local devices, all or none; the same transaction again does nothing. People of
    /// other servers are passed over: what goes to them is for `also` to add to the same batch. Answers whether anything
    /// was sent, `false` for a repeated transaction.
    pub async fn send_to_devices(
        &self,
        sender: ToDeviceSender<'_>,
        kind: &str,
        messages: &ToDeviceMessages,
        also: impl FnOnce(&mut Batch),
    ) -> Result<bool> {
        let mut batch = Batch::new();
        if !self.add_to_device_messages(&mut batch, sender, kind, messages).await? {
            return Ok(false);
        }
        also(&mut batch);
        match self.store().commit(batch).await {
            Ok(_) => Ok(true),
            // The same transaction at the same time.
            Err(lyceum_storage::CommitError::Conflict(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn add_to_device_messages(
        &self,
        batch: &mut Batch,
        sender: ToDeviceSender<'_>,
        kind: &str,
        messages: &ToDeviceMessages,
    ) -> Result<bool> {
        check_messages(kind, messages)?;
        let transaction = sender.digest(kind);
        let is_local = self.is_local(sender.user);
        let kept = if is_local { Kind::ToDevice } else { Kind::PeerToDevice };
        if self.kept(kept, &transaction).await?.is_some() {
            return Ok(false);
        }
        if is_local {
            self.keep_once(batch, kept, &transaction, TRANSACTION_MS);
        } else {
            self.peer_messages().fetch_add(1, Ordering::Relaxed);
            self.keep_once(batch, kept, &transaction, PEER_TRANSACTION_MS);
        }
        let mut rows = Vec::new();
        for (user, devices) in messages.iter().filter(|(user, _)| self.is_local(user)) {
            for (device, content) in devices {
                for device in self.addressed(user, device).await? {
                    rows.push((user.to_string(), device, content.get().to_owned()));
                }
            }
            batch.touch(Subject::user(user)).touch(Subject::other(format!("{INBOX_SUBJECT}{user}")));
        }
        for (user, device, _) in &rows {
            self.add_inbox_trim(batch, user, device).await?;
        }
        let (kind, sender) = (kind.to_owned(), sender.user.to_string());
        batch.at_position(move |position, writes| {
            for (index, (user, device, content)) in rows.into_iter().enumerate() {
                let row = ToDeviceRow { kind: kind.clone(), sender: sender.clone(), content };
                writes.put(&INBOX, (&user, &device, position.0, index as u64), &row);
            }
        });
        Ok(true)
    }

    /// The local devices that a device id means.
    async fn addressed(&self, user: &UserId, device: &str) -> Result<Vec<String>> {
        if device == "*" {
            let mut devices: Vec<_> = self.device_ids(user).await?.into_iter().map(String::from).collect();
            // A dehydrated device takes messages although it is no session.
            devices.extend(self.dehydrated_device_id(user).await?.filter(|id| !devices.contains(id)));
            return Ok(devices);
        }
        let known = self.store().get(&DEVICES, (user.as_str(), device)).await?.is_some()
            || self.dehydrated_device_id(user).await?.as_deref() == Some(device);
        Ok(if known { vec![device.to_owned()] } else { Vec::new() })
    }

    /// Now and then, measures an inbox and takes out what is oldest if there is too much.
    async fn add_inbox_trim(&self, batch: &mut Batch, user: &str, device: &str) -> Result<()> {
        let name = format!("{user} {device}");
        let sent = self.inbox_sizes().get(&name).unwrap_or_default() + 1;
        self.inbox_sizes().insert(name, sent % MEASURED_EVERY);
        if sent < MEASURED_EVERY {
            return Ok(());
        }
        let rows = self.store().scan(&INBOX, INBOX.prefix((user, device)).limit(usize::MAX)).await?;
        for ((user, device, position, index), _) in rows.iter().take(rows.len().saturating_sub(INBOX_MAX)) {
            batch.delete(&INBOX, (user, device, *position, *index));
        }
        Ok(())
    }

    /// The messages that a device has not had, for an incremental sync from `since` up to `to`; all that are kept for an
    /// initial one. What `since` acknowledges is deleted. With more than `limit` messages the rest comes with the next sync,
    /// although its token is past them.
    pub async fn to_device(
        &self,
        user: &UserId,
        device: &DeviceId,
        since: Option<Position>,
        to: Position,
        limit: usize,
    ) -> Result<Vec<ToDevice>> {
        let cuts = self.cuts(user, device).await?;
        if cuts.is_empty() && since.is_some_and(|since| self.changed().inboxes.at(user.as_str()) <= since) {
            return Ok(Vec::new());
        }
        let cut = since.and_then(|since| cuts.iter().rfind(|cut| cut.token <= since).copied());
        let had = match (since, cut) {
            (None, _) => Position(0),
            (Some(_), Some(cut)) if cut.is_open() => cut.had,
            (Some(since), _) => since,
        };
        let mut page = self.inbox_page(user, device, had, to, limit + 1).await?;
        let next = if page.len() > limit {
            page.truncate(limit);
            let last = whole_positions(&page);
            page.retain(|message| message.position <= last);
            Some(Cut { token: to, had: last })
        } else {
            cut.filter(Cut::is_open).map(|_| Cut { token: to, had: to })
        };
        self.settle_inbox(user, device, had, (&cuts, cut, next)).await?;
        Ok(page)
    }

    /// Deletes what was acknowledged, and notes where the page stopped if that must be known later.
    async fn settle_inbox(
        &self,
        user: &UserId,
        device: &DeviceId,
        had: Position,
        (cuts, cut, next): (&[Cut], Option<Cut>, Option<Cut>),
    ) -> Result<()> {
        let mut batch = Batch::new();
        self.add_acknowledged(&mut batch, user, device, had).await?;
        let key = |cut: &Cut| (user.as_str(), device.as_str(), cut.token.0);
        if let Some(cut) = cut {
            // Tokens before the one that was shown will not be shown again.
            let past =
                |one: &&Cut| one.token < cut.token || (one.token == cut.token && !cut.is_open() && next.is_none());
            for one in cuts.iter().filter(past) {
                batch.delete(&INBOX_CUTS, key(one));
            }
        }
        if let Some(next) = next {
            batch.put(&INBOX_CUTS, key(&next), &next.had.0);
            self.store().commit(batch).await?;
        } else if !batch.is_empty() {
            // Nothing is lost if these deletions are: the token alone says what the device has had.
            drop(self.store().enqueue(batch));
        }
        Ok(())
    }

    /// The cuts of a device's inbox, oldest first.
    async fn cuts(&self, user: &UserId, device: &DeviceId) -> Result<Vec<Cut>> {
        let rows = self.store().scan(&INBOX_CUTS, INBOX_CUTS.prefix((user.as_str(), device.as_str()))).await?;
        let cut = |((_, _, token), had)| Cut { token: Position(token), had: Position(had) };
        Ok(rows.into_iter().map(cut).collect())
    }

    /// One page of a device's messages after `after` up to `to`, deleting nothing: for clients whose token is of messages alone.
    pub async fn inbox_page(
        &self,
        user: &UserId,
        device: &DeviceId,
        after: Position,
        to: Position,
        limit: usize,
    ) -> Result<Vec<ToDevice>> {
        let key = |position: u64| (user.as_str(), device.as_str(), position, 0);
        let scan = INBOX.all().from(&INBOX, key(after.0 + 1)).before(&INBOX, key(to.0 + 1)).limit(limit);
        let rows = self.store().scan(&INBOX, scan).await?;
        Ok(rows
            .into_iter()
            .map(|((_, _, position, _), row)| ToDevice {
                position: Position(position),
                kind: row.kind,
                sender: row.sender,
                content: row.content,
            })
            .collect())
    }

    /// Deletes the messages up to `had`, which the device has.
    pub async fn acknowledge_to_device(&self, user: &UserId, device: &DeviceId, had: Position) -> Result<()> {
        let mut batch = Batch::new();
        self.add_acknowledged(&mut batch, user, device, had).await?;
        if !batch.is_empty() {
            self.store().commit(batch).await?;
        }
        Ok(())
    }

    async fn add_acknowledged(&self, batch: &mut Batch, user: &UserId, device: &DeviceId, had: Position) -> Result<()> {
        let key = |position: u64| (user.as_str(), device.as_str(), position, 0);
        let scan = INBOX.all().from(&INBOX, key(0)).before(&INBOX, key(had.0 + 1));
        for ((user, device, position, index), _) in self.store().scan(&INBOX, scan).await? {
            batch.delete(&INBOX, (&user, &device, position, index));
        }
        Ok(())
    }

    /// Adds to `batch` that a device's inbox goes.
    pub(crate) async fn add_inbox_removal(&self, batch: &mut Batch, user: &UserId, device: &DeviceId) -> Result<()> {
        let scan = INBOX.prefix((user.as_str(), device.as_str())).limit(usize::MAX);
        for ((user, device, position, index), _) in self.store().scan(&INBOX, scan).await? {
            batch.delete(&INBOX, (&user, &device, position, index));
        }
        for cut in self.cuts(user, device).await? {
            batch.delete(&INBOX_CUTS, (user.as_str(), device.as_str(), cut.token.0));
        }
        Ok(())
    }
}

/// An answer that could not carry everything: its token is past messages that it did not carry. Once everything was
/// carried, a closed cut says so for the tokens that follow.
#[derive(Debug, Clone, Copy)]
struct Cut {
    /// The position of the token that was given.
    token: Position,
    /// The last message the answers carried.
    had: Position,
}

impl Cut {
    fn is_open(&self) -> bool {
        self.had < self.token
    }
}

/// The last position all of whose messages are surely in the page. One commit that alone fills the page is given as far as
/// it goes.
fn whole_positions(page: &[ToDevice]) -> Position {
    let last = page.last().map_or(Position(0), |message| message.position);
    page.iter().rev().map(|message| message.position).find(|position| *position != last).unwrap_or(last)
}

/// Refuses what cannot be told to another server. A parser that passes over a content accepts more than one that reads it.
fn check_content(content: &RawValue) -> Result<()> {
    let bad = |why: &str| AccountError::BadJson(format!("a message's content {why}"));
    match serde_json::from_str(content.get()) {
        Ok(content @ Value::Object(_)) if depth(&content) <= CONTENT_DEPTH_MAX => Ok(()),
        Ok(Value::Object(_)) => Err(bad("is nested too deep")),
        Ok(_) => Err(bad("must be an object")),
        Err(_) => Err(bad("holds what cannot be read")),
    }
}

/// The parser bounds it.
fn depth(value: &Value) -> usize {
    match value {
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or_default(),
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

fn check_messages(kind: &str, messages: &ToDeviceMessages) -> Result<()> {
    if kind.is_empty() || kind.len() > 255 {
        return Err(AccountError::InvalidParam("the type must have 1 to 255 bytes".into()));
    }
    if messages.values().map(BTreeMap::len).sum::<usize>() > SENT_MAX {
        return Err(AccountError::TooMany("messages in one request"));
    }
    let contents = messages.values().flat_map(BTreeMap::values);
    for content in contents {
        if content.get().len() > CONTENT_BYTES_MAX {
            return Err(AccountError::TooLarge("a message to a device"));
        }
        check_content(content)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DeviceChoice, testing::Fixture};
    use ruma::{device_id, user_id};
    use serde_json::value::to_raw_value;

    struct Story {
        fixture: Fixture,
        sent: std::cell::Cell<u32>,
    }

    impl Story {
        async fn begin() -> Self {
            let fixture = Fixture::with_people(&["anna", "ben"]).await;
            for device in ["PHONE", "LAPTOP"] {
                let choice = DeviceChoice { device_id: Some(device.into()), ..Default::default() };
                fixture.accounts.sign_in(user_id!("@anna:test"), choice).await.unwrap();
            }
            Self { fixture, sent: Default::default() }
        }

        async fn send(&self, device: &str, text: &str) {
            self.sent.set(self.sent.get() + 1);
            self.send_as(device, text, &self.sent.get().to_string()).await;
        }

        async fn send_as(&self, device: &str, text: &str, transaction: &str) -> bool {
            let content = to_raw_value(&serde_json::json!({ "text": text })).unwrap();
            let messages =
                BTreeMap::from([(user_id!("@anna:test").to_owned(), BTreeMap::from([(device.to_owned(), content)]))]);
            let sender = ToDeviceSender { user: user_id!("@ben:test"), scope: "X", transaction };
            self.fixture.accounts.send_to_devices(sender, "m.test", &messages, |_| ()).await.unwrap()
        }

        fn now(&self) -> Position {
            self.fixture.accounts.store().committed()
        }

        async fn reads(&self, device: &str, since: Option<Position>, to: Position, limit: usize) -> Vec<String> {
            let (anna, device) = (user_id!("@anna:test"), <&DeviceId>::from(device));
            let messages = self.fixture.accounts.to_device(anna, device, since, to, limit).await.unwrap();
            let text = |message: &ToDevice| {
                serde_json::from_str::<serde_json::Value>(&message.content).unwrap()["text"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            };
            messages.iter().map(text).collect()
        }
    }

    #[tokio::test]
    async fn messages_come_in_order_until_they_are_acknowledged() {
        let story = Story::begin().await;
        let start = story.now();
        story.send("PHONE", "one").await;
        story.send("*", "two").await;
        story.send("NOWHERE", "lost").await;
        let then = story.now();
        assert_eq!(story.reads("PHONE", Some(start), then, 100).await, ["one", "two"]);
        assert_eq!(story.reads("PHONE", Some(start), then, 100).await, ["one", "two"], "the answer was lost");
        assert_eq!(story.reads("LAPTOP", None, then, 100).await, ["two"]);
        story.send("PHONE", "three").await;
        assert_eq!(story.reads("PHONE", Some(then), story.now(), 100).await, ["three"]);
        story.send("LAPTOP", "four").await;
        assert_eq!(story.reads("PHONE", None, story.now(), 100).await, ["three"], "the acknowledged are gone");
    }

    #[tokio::test]
    async fn a_long_inbox_comes_in_pages_and_nothing_is_skipped() {
        let story = Story::begin().await;
        let mut since = story.now();
        for n in 0..7 {
            story.send("PHONE", &n.to_string()).await;
        }
        let mut got = Vec::new();
        for _ in 0..5 {
            let to = story.now();
            let page = story.reads("PHONE", Some(since), to, 3).await;
            assert_eq!(story.reads("PHONE", Some(since), to, 3).await, page, "the answer was lost");
            got.extend(page);
            since = to;
        }
        assert_eq!(got, ["0", "1", "2", "3", "4", "5", "6"]);
        story.send("PHONE", "7").await;
        assert_eq!(story.reads("PHONE", Some(since), story.now(), 3).await, ["7"]);
        let cuts = story.fixture.accounts.cuts(user_id!("@anna:test"), device_id!("PHONE")).await.unwrap();
        assert!(cuts.is_empty(), "{cuts:?}");
    }

    #[tokio::test]
    async fn a_transaction_sends_once() {
        let story = Story::begin().await;
        let start = story.now();
        assert!(story.send_as("PHONE", "one", "same").await);
        assert!(!story.send_as("PHONE", "one", "same").await);
        assert_eq!(story.reads("PHONE", Some(start), story.now(), 100).await, ["one"]);
    }

    #[tokio::test]
    async fn what_another_server_sent_is_known_again_after_days() {
        let story = Story::begin().await;
        let start = story.now();
        let content = to_raw_value(&serde_json::json!({ "text": "one" })).unwrap();
        let messages =
            BTreeMap::from([(user_id!("@anna:test").to_owned(), BTreeMap::from([("PHONE".to_owned(), content)]))]);
        let eve = ToDeviceSender { user: user_id!("@eve:elsewhere"), scope: "elsewhere", transaction: "same" };
        for (days, is_new) in [(0, true), (6, false), (2, true)] {
            story.fixture.clock.advance(std::time::Duration::from_secs(days * 24 * 60 * 60));
            story.fixture.accounts.sweep().await.unwrap();
            let sent = story.fixture.accounts.send_to_devices(eve, "m.test", &messages, |_| ()).await.unwrap();
            assert_eq!(sent, is_new, "{days} days later");
        }
        assert_eq!(story.reads("PHONE", Some(start), story.now(), 100).await, ["one", "one"]);
    }

    #[tokio::test]
    async fn a_removed_device_leaves_no_inbox() {
        let story = Story::begin().await;
        story.send("PHONE", "one").await;
        let phone = [device_id!("PHONE").to_owned()];
        story.fixture.accounts.remove_devices(user_id!("@anna:test"), &phone).await.unwrap();
        assert!(story.reads("PHONE", None, story.now(), 100).await.is_empty());
    }
}
