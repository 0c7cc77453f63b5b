//! The room list: order, invites, counts, what is noted of a room.

use std::{
    pin::pin,
    sync::{Arc, Mutex},
};

use anyhow::{Result, ensure};
use futures_util::StreamExt;
use matrix_sdk::{
    RoomState,
    notification_settings::RoomNotificationMode,
    ruma::{
        OwnedRoomId, OwnedRoomOrAliasId,
        api::client::receipt::create_receipt::v3::ReceiptType,
        events::{Mentions, room::message::RoomMessageEventContent},
    },
    sliding_sync::Version,
};
use matrix_sdk_ui::{
    eyeball_im::Vector,
    room_list_service::{RoomList, RoomListItem, filters::new_filter_non_left},
    timeline::RoomExt,
};
use tokio::task::JoinHandle;

use crate::{
    people::{Person, says, sees},
    story::{Story, becomes, eventually},
};

/// Rooms that the list shows at first.
const PAGE: usize = 20;

/// What somebody's room list shows.
struct Shown {
    rooms: Arc<Mutex<Vector<RoomListItem>>>,
    following: JoinHandle<()>,
}

impl Shown {
    async fn to(person: &Person) -> Result<Self> {
        let list = person.sync.room_list_service().all_rooms().await?;
        let rooms = Arc::new(Mutex::new(Vector::new()));
        let following = tokio::spawn(follow(list, rooms.clone()));
        Ok(Self { rooms, following })
    }

    /// The names, from the top.
    fn names(&self) -> Vec<String> {
        let rooms = self.rooms.lock().expect("nobody panicked");
        rooms.iter().map(|room| room.cached_display_name().map(|name| name.to_string()).unwrap_or_default()).collect()
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.following.abort();
    }
}

async fn follow(list: RoomList, rooms: Arc<Mutex<Vector<RoomListItem>>>) {
    let (entries, controller) = list.entries_with_dynamic_adapters(PAGE);
    controller.set_filter(Box::new(new_filter_non_left()));
    let mut entries = pin!(entries);
    while let Some(changes) = entries.next().await {
        let mut rooms = rooms.lock().expect("nobody panicked");
        changes.into_iter().for_each(|change| change.apply(&mut rooms));
    }
}

pub async fn tell(story: &mut Story) -> Result<()> {
    let (alice, bob) = (Person::new("alice").await?, Person::new("bob").await?);
    story
        .step("the server says that it slides", async {
            ensure!(
                matches!(alice.client.sliding_sync_version(), Version::Native),
                "{:?}",
                alice.client.sliding_sync_version()
            );
            Ok(())
        })
        .await;

    let shown = Shown::to(&alice).await?;
    let mut made = Vec::new();
    for name in ["Greek", "Latin", "Maths"] {
        made.push(alice.creates(name).await?.room_id().to_owned());
    }
    let greek = made[0].clone();
    let names = |names: [&str; 3]| names.map(str::to_owned).to_vec();
    story
        .step("the newest room is on top of the list", async {
            becomes("the list", &names(["Maths", "Latin", "Greek"]), async || shown.names()).await
        })
        .await;
    let bobs = bob.joins(&greek).await?.timeline().await?;
    story
        .step("what was said in a room brings it to the top", async {
            says(&bobs, "hello").await?;
            becomes("the list", &names(["Greek", "Maths", "Latin"]), async || shown.names()).await
        })
        .await;
    counts(story, &alice, &bob, &made).await?;
    noted(story, &alice, &made).await?;

    story
        .step("an invite is in the list, says by whom, and is taken up", async {
            let room = bob.creates("Physics").await?;
            room.invite_user_by_id(&alice.id).await?;
            let invited = eventually("alice is invited", async || {
                alice.client.get_room(room.room_id()).filter(|room| room.state() == RoomState::Invited)
            })
            .await?;
            becomes("the inviter", &Some(bob.id.clone()), async || {
                invited.invite_details().await.ok()?.inviter.map(|member| member.user_id().to_owned())
            })
            .await?;
            eventually("the list shows the invite", async || {
                shown.names().contains(&"Physics".to_owned()).then_some(())
            })
            .await?;
            invited.join().await?;
            alice.room(room.room_id(), RoomState::Joined).await.map(drop)
        })
        .await;
    story
        .step("a room that was left is gone from the list", async {
            alice.room(&made[2], RoomState::Joined).await?.leave().await?;
            eventually("it is gone", async || (!shown.names().contains(&"Maths".to_owned())).then_some(())).await
        })
        .await;
    story
        .step("a stranger finds people and sees a public room before joining it", async {
            let found = bob.client.search_users(alice.id.localpart(), 5).await?;
            ensure!(found.results.iter().any(|one| one.user_id == alice.id), "{found:?}");
            let carol = Person::new("carol").await?;
            let preview = carol.client.get_room_preview(&OwnedRoomOrAliasId::from(greek.clone()), vec![]).await?;
            ensure!(preview.name.as_deref() == Some("Greek") && preview.num_joined_members == 2, "{preview:?}");
            Ok(())
        })
        .await;
    story
        .step("a list that was asleep, and one whose session the server lost, catch up", async {
            alice.sync.stop().await;
            says(&bobs, "while alice was away").await?;
            sees(&bobs, "while alice was away").await?;
            alice.sync.start().await;
            let alices = alice.timeline(&greek).await?;
            sees(&alices, "while alice was away").await?;
            alice.sync.expire_sessions().await;
            says(&bobs, "to a new session").await?;
            alice.sync.start().await;
            sees(&alices, "to a new session").await.map(drop)
        })
        .await;
    Ok(())
}

async fn counts(story: &mut Story, alice: &Person, bob: &Person, made: &[OwnedRoomId]) -> Result<()> {
    let (bobs, room) = (bob.timeline(&made[0]).await?, alice.room(&made[0], RoomState::Joined).await?);
    let alices = room.timeline().await?;
    let counts = || {
        let counts = room.unread_notification_counts();
        (counts.notification_count, counts.highlight_count)
    };
    story
        .step("messages and mentions are counted, and reading takes the counts away", async {
            becomes("the count", &(1, 0), async || counts()).await?;
            let mention =
                RoomMessageEventContent::text_plain("alice!").add_mentions(Mentions::with_user_ids([alice.id.clone()]));
            bobs.send(mention.into()).await?;
            becomes("the count", &(2, 1), async || counts()).await?;
            sees(&alices, "alice!").await?;
            alices.mark_as_read(ReceiptType::Read).await?;
            becomes("the count", &(0, 0), async || counts()).await?;
            let read = sees(&bobs, "alice!").await?.identifier();
            eventually("bob sees that alice has read it", async || {
                crate::people::item(&bobs, &read).await.filter(|item| item.read_receipts().contains_key(&alice.id))
            })
            .await
            .map(drop)
        })
        .await;
    story
        .step("a muted room counts mentions alone", async {
            let settings = alice.client.notification_settings().await;
            settings.set_room_notification_mode(room.room_id(), RoomNotificationMode::MentionsAndKeywordsOnly).await?;
            says(&bobs, "nothing new").await?;
            let mention =
                RoomMessageEventContent::text_plain("again").add_mentions(Mentions::with_user_ids([alice.id.clone()]));
            bobs.send(mention.into()).await?;
            becomes("the count", &(1, 1), async || counts()).await?;
            settings.delete_user_defined_room_rules(room.room_id()).await?;
            becomes("the count", &(2, 1), async || counts()).await
        })
        .await;
    Ok(())
}

async fn noted(story: &mut Story, alice: &Person, made: &[OwnedRoomId]) -> Result<()> {
    let room = alice.room(&made[1], RoomState::Joined).await?;
    story
        .step("favourites and rooms marked unread come back through sync", async {
            room.set_is_favourite(true, Some(0.5)).await?;
            becomes("it is a favourite", &true, async || room.is_favourite()).await?;
            room.set_unread_flag(true).await?;
            becomes("it is marked unread", &true, async || room.is_marked_unread()).await?;
            room.set_unread_flag(false).await?;
            becomes("it is marked unread", &false, async || room.is_marked_unread()).await
        })
        .await;
    Ok(())
}
