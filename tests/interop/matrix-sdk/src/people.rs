//! People with Element X: a client that is signed in and syncs, and how its timelines are read.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context, Result};
use matrix_sdk::{
    Client, Room, RoomState, ThreadingSupport,
    encryption::{BackupDownloadStrategy, EncryptionSettings},
    ruma::{
        OwnedUserId, RoomId,
        api::client::{account::register, room::create_room, uiaa},
        assign,
        events::room::message::RoomMessageEventContent,
    },
    sliding_sync::VersionBuilder,
};
use matrix_sdk_ui::{
    sync_service::SyncService,
    timeline::{EventTimelineItem, RoomExt, Timeline, TimelineEventItemId},
};

use crate::story::eventually;

const PASSWORD: &str = "a long enough phrase";

/// Clients made so far; each has a folder of its own.
static MADE: AtomicUsize = AtomicUsize::new(0);

/// A signed-in client that syncs.
pub struct Person {
    pub client: Client,
    pub sync: Arc<SyncService>,
    pub id: OwnedUserId,
}

impl Person {
    /// Registers somebody whose name begins so.
    pub async fn new(name: &str) -> Result<Self> {
        let client = client().await?;
        let mut request = register::v3::Request::new();
        request.username = Some(format!("{name}-{}", MADE.load(Ordering::Relaxed)));
        request.password = Some(PASSWORD.to_owned());
        request.auth = Some(uiaa::AuthData::Dummy(uiaa::Dummy::new()));
        client.matrix_auth().register(request).await?;
        Self::syncing(client).await
    }

    /// The same person on a device that knows nothing yet.
    pub async fn on_another_device(&self) -> Result<Self> {
        let client = client().await?;
        client.matrix_auth().login_username(&self.id, PASSWORD).initial_device_display_name("Another").await?;
        Self::syncing(client).await
    }

    async fn syncing(client: Client) -> Result<Self> {
        let id = client.user_id().context("somebody to be signed in")?.to_owned();
        let sync = Arc::new(SyncService::builder(client.clone()).build().await?);
        sync.start().await;
        Ok(Self { client, sync, id })
    }

    /// Makes a room anybody may join.
    pub async fn creates(&self, name: &str) -> Result<Room> {
        let request = assign!(create_room::v3::Request::new(), {
            name: Some(name.to_owned()),
            preset: Some(create_room::v3::RoomPreset::PublicChat),
        });
        Ok(self.client.create_room(request).await?)
    }

    /// Joins a room and waits until sync has brought it.
    pub async fn joins(&self, room: &RoomId) -> Result<Room> {
        self.client.join_room_by_id(room).await?;
        self.room(room, RoomState::Joined).await
    }

    /// The room once sync has brought it.
    pub async fn room(&self, room: &RoomId, state: RoomState) -> Result<Room> {
        let known =
            async || self.client.get_room(room).filter(|room| room.state() == state && room.recency_stamp().is_some());
        eventually(&format!("{} knows {room} as {state:?}", self.id), known).await
    }

    /// The live timeline of a room they are in.
    pub async fn timeline(&self, room: &RoomId) -> Result<Timeline> {
        Ok(self.room(room, RoomState::Joined).await?.timeline().await?)
    }
}

async fn client() -> Result<Client> {
    let url = std::env::var("HS_URL").context("HS_URL names the server")?;
    let place = std::env::var("INTEROP_PLACE").context("INTEROP_PLACE names a folder")?;
    let place = Path::new(&place).join(format!("client-{}", MADE.fetch_add(1, Ordering::Relaxed)));
    let encryption = EncryptionSettings {
        auto_enable_cross_signing: true,
        backup_download_strategy: BackupDownloadStrategy::AfterDecryptionFailure,
        auto_enable_backups: true,
    };
    Ok(Client::builder()
        .homeserver_url(url)
        .sqlite_store(place, None)
        .sliding_sync_version_builder(VersionBuilder::DiscoverNative)
        .with_encryption_settings(encryption)
        .with_threading_support(ThreadingSupport::Enabled { with_subscriptions: true })
        .build()
        .await?)
}

/// Says something through the send queue.
pub async fn says(timeline: &Timeline, text: &str) -> Result<()> {
    timeline.send(RoomMessageEventContent::text_plain(text).into()).await?;
    Ok(())
}

/// What is shown of a message, by what it says.
pub async fn message(timeline: &Timeline, text: &str) -> Option<EventTimelineItem> {
    let items = timeline.items().await;
    let mut events = items.iter().filter_map(|item| item.as_event());
    events.find(|event| event.content().as_message().is_some_and(|message| message.body() == text)).cloned()
}

/// Waits for a message that the server has.
pub async fn sees(timeline: &Timeline, text: &str) -> Result<EventTimelineItem> {
    let there = async || message(timeline, text).await.filter(EventTimelineItem::is_remote_event);
    eventually(&format!("the timeline shows {text:?}"), there).await
}

/// What is shown of an event now.
pub async fn item(timeline: &Timeline, id: &TimelineEventItemId) -> Option<EventTimelineItem> {
    let items = timeline.items().await;
    items.iter().filter_map(|item| item.as_event()).find(|event| event.identifier() == *id).cloned()
}

/// All that is said in a timeline, oldest first.
pub async fn bodies(timeline: &Timeline) -> Vec<String> {
    let items = timeline.items().await;
    let events = items.iter().filter_map(|item| item.as_event());
    events.filter_map(|event| Some(event.content().as_message()?.body().to_owned())).collect()
}
