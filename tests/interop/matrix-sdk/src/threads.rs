//! Threads, and which of them are followed (MSC4306, MSC4308).

use anyhow::{Context, Result, ensure};
use matrix_sdk::{RoomState, room::ListThreadsOptions};
use matrix_sdk_ui::timeline::{RoomExt, Timeline, TimelineFocus};

use crate::{
    people::{Person, item, says, sees},
    story::{Story, becomes, eventually},
};

pub async fn tell(story: &mut Story) -> Result<()> {
    let (alice, bob) = (Person::new("alice").await?, Person::new("bob").await?);
    let room = alice.creates("Threads").await?;
    let bobs_room = bob.joins(room.room_id()).await?;
    let main = timeline(&alice, &room, TimelineFocus::Live { hide_threaded_events: true }).await?;
    says(&main, "the root").await?;
    let root = sees(&main, "the root").await?;
    let root_id = root.event_id().context("an id")?.to_owned();
    let alices = timeline(&alice, &room, TimelineFocus::Thread { root_event_id: root_id.clone() }).await?;
    let bobs = timeline(&bob, &bobs_room, TimelineFocus::Thread { root_event_id: root_id.clone() }).await?;

    story
        .step("what is said in a thread is shown there, and counted at its root", async {
            says(&alices, "a first answer").await?;
            sees(&bobs, "a first answer").await?;
            eventually("the root says that there is an answer", async || {
                let summary = item(&main, &root.identifier()).await?.content().thread_summary()?;
                (summary.num_replies == 1).then_some(())
            })
            .await?;
            let listed = room.list_threads(ListThreadsOptions::default()).await?.chunk;
            ensure!(listed.iter().any(|event| event.event_id() == Some(root_id.clone())), "{listed:?}");
            Ok(())
        })
        .await;
    let counts = || bobs_room.unread_notification_counts().notification_count;
    story
        .step("a followed thread notifies though the room does not, and one that is not does not", async {
            use matrix_sdk::notification_settings::RoomNotificationMode::MentionsAndKeywordsOnly;
            let settings = bob.client.notification_settings().await;
            settings.set_room_notification_mode(room.room_id(), MentionsAndKeywordsOnly).await?;
            bobs_room.subscribe_thread(root_id.clone(), None).await?;
            says(&alices, "a second answer").await?;
            sees(&bobs, "a second answer").await?;
            becomes("the count", &2, async || counts()).await?;
            bobs_room.unsubscribe_thread(root_id.clone()).await?;
            says(&alices, "a third answer").await?;
            becomes("the count", &0, async || counts()).await
        })
        .await;
    story
        .step("another device learns which threads are followed", async {
            bobs_room.subscribe_thread(root_id.clone(), None).await?;
            let other = bob.on_another_device().await?;
            let seen = other.room(room.room_id(), RoomState::Joined).await?;
            eventually("it knows", async || {
                let followed = seen.load_or_fetch_thread_subscription(&root_id).await.ok()??;
                (!followed.automatic).then_some(())
            })
            .await
        })
        .await;
    Ok(())
}

async fn timeline(person: &Person, room: &matrix_sdk::Room, focus: TimelineFocus) -> Result<Timeline> {
    let room = person.room(room.room_id(), RoomState::Joined).await?;
    Ok(room.timeline_builder().with_focus(focus).build().await?)
}
