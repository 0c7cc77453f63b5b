//! Server notices: what the server itself tells a person, in one room for each of them that they are asked into and cannot
//! refuse (spec, "Server Notices").

use lyceum_accounts::{AccountError, Accounts, NewPerson};
use lyceum_events::Draft;
use lyceum_institution::{Institution, kinds::DIRECT};
use lyceum_rooms::{KIND_FIELD, Membership, NewRoom, RoomError, Rooms, Sender, Transaction};
use lyceum_storage::{StorageError, Store};
use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId,
    events::TimelineEventType,
};
use serde::Deserialize;
use serde_json::{Map, json};
use std::sync::Arc;

use crate::tables::NOTICE_ROOMS;

/// By which clients know the room.
const TAG: &str = "m.server_notice";
/// The level of who is told: below what saying anything takes.
const READER_LEVEL: i32 = -10;

/// What is set about notices. `[notices]` in the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NoticesConfig {
    /// The local part of the account that they come from. Where campus rules are in force it is the institution's account
    /// instead.
    pub account: String,
    /// How that account and the rooms are called.
    pub name: String,
}

impl Default for NoticesConfig {
    fn default() -> Self {
        Self { account: "_server".to_owned(), name: "Server notices".to_owned() }
    }
}

/// What notices are sent with.
pub struct NoticesParts {
    /// Where it is kept which room is whose.
    pub store: Store,
    /// People.
    pub accounts: Accounts,
    /// Rooms.
    pub rooms: Rooms,
    /// Campus rules.
    pub institution: Institution,
    /// What is set.
    pub config: NoticesConfig,
}

/// Why a notice was not sent, or a room not left.
#[derive(Debug, thiserror::Error)]
pub enum NoticeError {
    /// The account's name in the configuration is no name.
    #[error("the account of server notices has no valid name")]
    Account,
    /// An invite to one's room of notices cannot be refused.
    #[error("you cannot refuse the invite to the room in which the server tells you something")]
    CannotLeave,
    /// The account could not be made, or the room's tag not set.
    #[error(transparent)]
    Accounts(#[from] AccountError),
    /// The room refused.
    #[error(transparent)]
    Rooms(#[from] RoomError),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

type Result<T> = std::result::Result<T, NoticeError>;

/// Tells people something in the server's name. Cheap to clone.
#[derive(Clone)]
pub struct Notices(Arc<Inner>);

struct Inner {
    parts: NoticesParts,
    /// One room is made at a time, so that nobody gets two.
    making: tokio::sync::Mutex<()>,
}

impl Notices {
    /// Notices over these parts.
    pub fn new(parts: NoticesParts) -> Self {
        Self(Arc::new(Inner { parts, making: tokio::sync::Mutex::default() }))
    }

    /// Tells somebody of this server something, once for each transaction.
    pub async fn send(
        &self,
        user: &UserId,
        draft: Draft,
        transaction: Option<Transaction<'_>>,
    ) -> Result<OwnedEventId> {
        let account = self.account().await?;
        let room = self.room(&account, user).await?;
        let Inner { parts: NoticesParts { accounts, rooms, .. }, .. } = &*self.0;
        if !accounts.tags(user, &room).await?.contains_key(TAG) {
            accounts.add_tag(user, &room, TAG, Map::new()).await?;
        }
        if !rooms.snapshot(&room).await?.membership(user).is_in_or_invited() {
            rooms.invite(&account, &room, user, None).await?;
        }
        let sender = Sender { user: &account, transaction, ts: None };
        Ok(rooms.send(sender, &room, draft).await?)
    }

    /// Refuses that somebody turns the invite to their room of notices down.
    pub async fn check_leave(&self, user: &UserId, room: &RoomId) -> Result<()> {
        let Inner { parts: NoticesParts { store, rooms, .. }, .. } = &*self.0;
        if store.get(&NOTICE_ROOMS, user.as_str()).await?.is_none_or(|kept| kept != room.as_str()) {
            return Ok(());
        }
        match rooms.membership(user, room).await? {
            Some(row) if row.membership == Membership::Invite => Err(NoticeError::CannotLeave),
            _ => Ok(()),
        }
    }

    /// The account that notices come from, made when it is not there. Nobody can sign in as it.
    async fn account(&self) -> Result<OwnedUserId> {
        let NoticesParts { accounts, institution, config, .. } = &self.0.parts;
        let account = match institution.is_enabled() {
            true => institution.account().to_owned(),
            false => UserId::parse_with_server_name(config.account.as_str(), accounts.server_name())
                .map_err(|_| NoticeError::Account)?,
        };
        if accounts.user(&account).await?.is_none() {
            let localpart = Some(account.localpart().to_owned());
            accounts.register(NewPerson { localpart, ..NewPerson::default() }, None).await?;
            accounts.set_profile_field(&account, "displayname", json!(config.name)).await?;
        }
        Ok(account)
    }

    /// The room in which a person is told, made when there is none or its maker was sent away.
    async fn room(&self, account: &UserId, user: &UserId) -> Result<OwnedRoomId> {
        let NoticesParts { store, rooms, .. } = &self.0.parts;
        let _guard = self.0.making.lock().await;
        let kept = store.get(&NOTICE_ROOMS, user.as_str()).await?;
        if let Some(room) = kept.as_deref().and_then(|room| RoomId::parse(room).ok())
            && let Ok(snapshot) = rooms.snapshot(&room).await
            && snapshot.is_joined(account)
        {
            return Ok(room);
        }
        let note = |room: &RoomId, batch: &mut lyceum_storage::Batch| {
            batch.expect(&NOTICE_ROOMS, user.as_str(), kept.as_ref());
            batch.put(&NOTICE_ROOMS, user.as_str(), &room.to_string());
        };
        Ok(rooms.create_noted(account, self.new_room(), &note).await?.room_id)
    }

    /// A room in which only its maker says anything.
    fn new_room(&self) -> NewRoom {
        let NoticesParts { institution, config, .. } = &self.0.parts;
        let mut creation_content = CanonicalJsonObject::from([("m.federate".to_owned(), false.into())]);
        if institution.is_enabled() {
            creation_content.insert(KIND_FIELD.to_owned(), DIRECT.to_owned().into());
        }
        let levels = [("users_default".to_owned(), CanonicalJsonValue::Integer(READER_LEVEL.into()))];
        NewRoom {
            creation_content,
            name: Some(config.name.clone()),
            power_levels: Some(levels.into()),
            ..NewRoom::default()
        }
    }
}

/// What a notice says: a message, unless it is said to be something else.
pub fn notice(kind: Option<&str>, state_key: Option<&str>, content: CanonicalJsonObject) -> Draft {
    let kind = kind.map_or(TimelineEventType::RoomMessage, Into::into);
    match state_key {
        Some(state_key) => Draft::state(kind, state_key, content),
        None => Draft::message(kind, content),
    }
}
