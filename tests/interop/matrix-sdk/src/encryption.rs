//! An encrypted direct chat, its keys on another device by recovery key, and two devices that verify each other.

use anyhow::{Context, Result, ensure};
use matrix_sdk::{
    RoomState,
    encryption::{
        VerificationState,
        recovery::RecoveryState,
        verification::{SasVerification, Verification},
    },
    room::edit::EditedContent,
    ruma::events::room::message::RoomMessageEventContentWithoutRelation,
};
use matrix_sdk_ui::timeline::{EventTimelineItem, Timeline};

use crate::{
    people::{Person, item, says, sees},
    story::{Story, becomes, eventually},
};

pub async fn tell(story: &mut Story) -> Result<()> {
    let (alice, bob) = (Person::new("alice").await?, Person::new("bob").await?);
    for person in [&alice, &bob] {
        person.client.encryption().wait_for_e2ee_initialization_tasks().await;
    }
    story
        .step("both have signing keys from the beginning, without being asked for their passwords", async {
            for person in [&alice, &bob] {
                let keys = person.client.encryption().cross_signing_status().await.context("keys")?;
                ensure!(keys.is_complete(), "{keys:?}");
            }
            Ok(())
        })
        .await;
    let room = alice.client.create_dm(&bob.id).await?;
    let alices = alice.timeline(room.room_id()).await?;
    let invited = bob.room(room.room_id(), RoomState::Invited).await?;
    invited.join().await?;
    let bobs = bob.timeline(room.room_id()).await?;
    eventually("bob is seen to have come", async || (room.joined_members_count() == 2).then_some(())).await?;

    story
        .step("a direct chat is encrypted and known as one", async {
            ensure!(room.latest_encryption_state().await?.is_encrypted(), "the room to be encrypted");
            eventually("it is a direct chat", async || alice.client.get_dm_room(&bob.id)).await.map(drop)
        })
        .await;
    story
        .step("messages go both ways, and an edit", async {
            says(&alices, "nobody hears this").await?;
            let heard = sees(&bobs, "nobody hears this").await?;
            ensure!(heard.encryption_info().is_some(), "it to have been encrypted");
            says(&bobs, "nor this").await?;
            let said = sees(&alices, "nor this").await?.identifier();
            eventually("bob's own is sent", async || item(&bobs, &said).await).await?;
            let new = RoomMessageEventContentWithoutRelation::text_plain("nor that");
            bobs.edit(&said, EditedContent::RoomMessage(new)).await?;
            sees(&alices, "nor that").await.map(drop)
        })
        .await;
    recovered(story, &alice, &alices).await?;
    verified(story, &bob, &bobs, &alices).await
}

async fn recovered(story: &mut Story, alice: &Person, alices: &Timeline) -> Result<()> {
    let room = alices.room().room_id();
    let mut key = String::new();
    story
        .step("a recovery key is made, and keys are backed up", async {
            let recovery = alice.client.encryption().recovery();
            key = recovery.enable().wait_for_backups_to_upload().await?;
            becomes("recovery", &RecoveryState::Enabled, async || recovery.state()).await?;
            let there = alice.client.encryption().backups().fetch_exists_on_server().await?;
            ensure!(there, "a backup to be on the server");
            Ok(())
        })
        .await;
    let other = alice.on_another_device().await?;
    story
        .step("another device cannot read what was said, until it has the recovery key", async {
            let timeline = other.timeline(room).await?;
            timeline.paginate_backwards(20).await?;
            eventually("what was said cannot be read", async || unreadable(&timeline).await).await?;
            other.client.encryption().recovery().recover(&key).await?;
            sees(&timeline, "nobody hears this").await?;
            sees(&timeline, "nor that").await?;
            let mut state = other.client.encryption().verification_state();
            becomes("the device", &VerificationState::Verified, async || state.next_now()).await
        })
        .await;
    Ok(())
}

async fn unreadable(timeline: &Timeline) -> Option<EventTimelineItem> {
    let items = timeline.items().await;
    let mut events = items.iter().filter_map(|item| item.as_event());
    events.find(|event| event.content().is_unable_to_decrypt()).cloned()
}

async fn verified(story: &mut Story, bob: &Person, bobs: &Timeline, alices: &Timeline) -> Result<()> {
    let other = bob.on_another_device().await?;
    other.client.encryption().wait_for_e2ee_initialization_tasks().await;
    story
        .step("two devices compare emoji, and the new one is trusted from then on", async {
            let encryption = other.client.encryption();
            let identity = encryption.request_user_identity(&bob.id).await?.context("bob's keys")?;
            let request = identity.request_verification().await?;
            let asked = eventually("the old device is asked", async || {
                bob.client.encryption().get_verification_request(&bob.id, request.flow_id()).await
            })
            .await?;
            asked.accept().await?;
            eventually("the new device hears that", async || request.is_ready().then_some(())).await?;
            let new = request.start_sas().await?.context("a comparison")?;
            let old = eventually("the old device compares", async || {
                match bob.client.encryption().get_verification(&bob.id, request.flow_id()).await {
                    Some(Verification::SasV1(sas)) => Some(sas),
                    _ => None,
                }
            })
            .await?;
            old.accept().await?;
            let shown = async |sas: &SasVerification| eventually("emoji are shown", async || sas.emoji()).await;
            let (one, two) = (shown(&old).await?, shown(&new).await?);
            ensure!(one.iter().map(|emoji| emoji.symbol).eq(two.iter().map(|emoji| emoji.symbol)), "the same emoji");
            old.confirm().await?;
            new.confirm().await?;
            eventually("both are done", async || (old.is_done() && new.is_done()).then_some(())).await?;
            let mut state = encryption.verification_state();
            becomes("the device", &VerificationState::Verified, async || state.next_now()).await
        })
        .await;
    story
        .step("what is said next is for the new device, too", async {
            let timeline = other.timeline(bobs.room().room_id()).await?;
            says(alices, "for both of your devices").await?;
            sees(bobs, "for both of your devices").await?;
            sees(&timeline, "for both of your devices").await.map(drop)
        })
        .await;
    Ok(())
}
