//! What an app does with a push that names an event: it asks for just that, while nothing else syncs.

use anyhow::{Context, Result, bail, ensure};
use matrix_sdk::{
    RoomState,
    notification_settings::RoomNotificationMode,
    ruma::{EventId, RoomId, api::client::room::create_room, events::AnySyncTimelineEvent},
};
use matrix_sdk_ui::notification_client::{
    NotificationClient, NotificationEvent, NotificationItem, NotificationProcessSetup, NotificationStatus,
};

use crate::{
    people::{Person, says, sees},
    story::Story,
};

pub async fn tell(story: &mut Story) -> Result<()> {
    let (alice, bob) = (Person::new("alice").await?, Person::new("bob").await?);
    let room = bob.creates("Noticed").await?;
    alice.joins(room.room_id()).await?;
    let bobs = bob.timeline(room.room_id()).await?;
    let secret = bob.client.create_dm(&alice.id).await?;
    alice.room(secret.room_id(), RoomState::Invited).await?.join().await?;
    alice.room(secret.room_id(), RoomState::Joined).await?;
    let secrets = bob.timeline(secret.room_id()).await?;
    says(&secrets, "so that keys are there").await?;
    sees(&alice.timeline(secret.room_id()).await?, "so that keys are there").await?;
    alice.sync.stop().await;
    let setup = NotificationProcessSetup::SingleProcess { sync_service: alice.sync.clone() };
    let notified = NotificationClient::new(alice.client.clone(), setup).await?;

    story
        .step("a message, with who said it and where", async {
            says(&bobs, "look here").await?;
            let event = sees(&bobs, "look here").await?.event_id().context("an id")?.to_owned();
            let item = told(&notified, room.room_id(), &event).await?;
            ensure!(body(&item)? == "look here" && item.event.sender() == bob.id, "{item:?}");
            ensure!(item.room_computed_display_name == "Noticed" && item.joined_members_count == 2, "{item:?}");
            Ok(())
        })
        .await;
    story
        .step("an encrypted message, decrypted", async {
            says(&secrets, "only for you").await?;
            let event = sees(&secrets, "only for you").await?.event_id().context("an id")?.to_owned();
            let item = told(&notified, secret.room_id(), &event).await?;
            ensure!(body(&item)? == "only for you" && item.is_direct_message_room, "{item:?}");
            Ok(())
        })
        .await;
    story
        .step("an invite", async {
            let mut request = create_room::v3::Request::new();
            request.invite = vec![alice.id.clone()];
            let made = bob.client.create_room(request).await?;
            let path = made.room_id();
            let member = made.get_member(&alice.id).await?.context("the invite")?;
            let event = member.event().event_id().context("an id")?.to_owned();
            let item = told(&notified, path, &event).await?;
            let NotificationEvent::Invite(invite) = &item.event else { bail!("no invite: {item:?}") };
            ensure!(invite.sender == bob.id && invite.state_key == alice.id, "{invite:?}");
            Ok(())
        })
        .await;
    story
        .step("nothing of what was taken back, nor of what the person's rules keep away", async {
            says(&bobs, "never mind").await?;
            let said = sees(&bobs, "never mind").await?;
            bobs.redact(&said.identifier(), None).await?;
            let event = said.event_id().context("an id")?.to_owned();
            let status = notified.get_notification(room.room_id(), &event).await?;
            ensure!(matches!(status, NotificationStatus::EventRedacted), "{status:?}");
            let settings = alice.client.notification_settings().await;
            settings.set_room_notification_mode(room.room_id(), RoomNotificationMode::Mute).await?;
            says(&bobs, "is this on?").await?;
            let event = sees(&bobs, "is this on?").await?.event_id().context("an id")?.to_owned();
            let status = notified.get_notification(room.room_id(), &event).await?;
            ensure!(matches!(status, NotificationStatus::EventFilteredOut), "{status:?}");
            Ok(())
        })
        .await;
    Ok(())
}

async fn told(notified: &NotificationClient, room: &RoomId, event: &EventId) -> Result<NotificationItem> {
    match notified.get_notification(room, event).await? {
        NotificationStatus::Event(item) => Ok(*item),
        other => bail!("expected the event to be told; saw {other:?}"),
    }
}

fn body(item: &NotificationItem) -> Result<String> {
    let NotificationEvent::Timeline(event) = &item.event else { bail!("no message: {item:?}") };
    let AnySyncTimelineEvent::MessageLike(event) = &**event else { bail!("no message: {event:?}") };
    let content = event.original_content().context("content")?;
    let matrix_sdk::ruma::events::AnyMessageLikeEventContent::RoomMessage(content) = content else {
        bail!("no message: {content:?}")
    };
    Ok(content.body().to_owned())
}
