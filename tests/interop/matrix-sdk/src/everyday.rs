//! A timeline between two people: the send queue, edits, reactions, replies, redactions, files, typing, history.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use matrix_sdk::{
    Room, RoomState,
    media::{MediaFormat, MediaRequestParameters},
    room::edit::EditedContent,
    ruma::events::room::{
        MediaSource,
        message::{MessageType, RoomMessageEventContentWithoutRelation},
    },
};
use matrix_sdk_ui::timeline::{
    AttachmentConfig, AttachmentSource, EventSendState, RoomExt, Timeline, TimelineEventItemId,
};

use crate::{
    people::{Person, bodies, item, message, says, sees},
    story::{Story, becomes, eventually},
};

/// Messages that the long room is filled with.
const LONG: usize = 60;
/// Events that are read at a time when scrolling back.
const SCREEN: u16 = 20;

pub async fn tell(story: &mut Story) -> Result<()> {
    let (alice, bob) = (Person::new("alice").await?, Person::new("bob").await?);
    let room = alice.creates("Talk").await?;
    let alices = alice.timeline(room.room_id()).await?;
    let bobs = bob.joins(room.room_id()).await?.timeline().await?;
    story
        .step("a message is shown at once, sent, and reaches the other", async {
            says(&alices, "hello bob").await?;
            let echo = eventually("it is shown", async || message(&alices, "hello bob").await).await?;
            ensure!(echo.is_own(), "one's own message not to be taken for another's");
            let sent = sees(&alices, "hello bob").await?;
            ensure!(
                !matches!(sent.send_state(), Some(EventSendState::SendingFailed { .. })),
                "{:?}",
                sent.send_state()
            );
            let seen = sees(&bobs, "hello bob").await?;
            ensure!(seen.sender() == alice.id && seen.event_id() == sent.event_id(), "{seen:?}");
            Ok(())
        })
        .await;
    changes(story, (&alice, &alices), (&bob, &bobs)).await?;
    files(story, &alices, (&bob, &bobs)).await;
    typing(story, &alice, &bob, &room).await;
    history(story, &alice, &bob).await
}

async fn changes(
    story: &mut Story,
    (_, alices): (&Person, &Timeline),
    (bob, bobs): (&Person, &Timeline),
) -> Result<()> {
    let hello = sees(alices, "hello bob").await?.identifier();
    story
        .step("an edit replaces what was said for both", async {
            let new = RoomMessageEventContentWithoutRelation::text_plain("hello Bob");
            alices.edit(&hello, EditedContent::RoomMessage(new)).await?;
            let edited = sees(bobs, "hello Bob").await?;
            ensure!(edited.identifier() == hello, "{edited:?}");
            let edited = edited.content().as_message().context("a message")?.is_edited();
            ensure!(edited, "it to be marked as edited");
            Ok(())
        })
        .await;
    let reactions = async || reactions_of(alices, &hello).await;
    story
        .step("a reaction comes and goes", async {
            bobs.toggle_reaction(&hello, "👍").await?;
            becomes("the reactions", &vec![("👍".to_owned(), bob.id.to_string())], reactions).await?;
            eventually("bob's own reaction is sent", async || {
                (reactions_of(bobs, &hello).await.len() == 1).then_some(())
            })
            .await?;
            bobs.toggle_reaction(&hello, "👍").await?;
            becomes("the reactions", &Vec::new(), reactions).await
        })
        .await;
    story
        .step("a reply says what it replies to", async {
            let TimelineEventItemId::EventId(id) = hello.clone() else { anyhow::bail!("no id: {hello:?}") };
            bobs.send_reply(RoomMessageEventContentWithoutRelation::text_plain("hello yourself"), id.clone()).await?;
            let reply = sees(alices, "hello yourself").await?;
            let to = reply.content().in_reply_to().context("it to be a reply")?;
            ensure!(to.event_id == id, "{to:?}");
            Ok(())
        })
        .await;
    story
        .step("a message taken back is gone for both", async {
            says(bobs, "oh no").await?;
            let said = sees(alices, "oh no").await?.identifier();
            eventually("bob's own is sent", async || item(bobs, &said).await).await?;
            bobs.redact(&said, Some("a slip")).await?;
            eventually("it is redacted", async || item(alices, &said).await.filter(|item| item.content().is_redacted()))
                .await
                .map(drop)
        })
        .await;
    Ok(())
}

async fn reactions_of(timeline: &Timeline, id: &TimelineEventItemId) -> Vec<(String, String)> {
    let item = item(timeline, id).await;
    let reactions = item.as_ref().and_then(|item| item.content().reactions().cloned()).unwrap_or_default();
    let all = reactions.iter().flat_map(|(key, by)| by.keys().map(|sender| (key.clone(), sender.to_string())));
    all.collect()
}

async fn files(story: &mut Story, alices: &Timeline, (bob, bobs): (&Person, &Timeline)) {
    story
        .step("a file goes through the send queue and is fetched with one's token", async {
            let bytes = b"Arma virumque cano".to_vec();
            let source = AttachmentSource::Data { bytes: bytes.clone(), filename: "aeneid.txt".to_owned() };
            alices.send_attachment(source, mime::TEXT_PLAIN, AttachmentConfig::default()).use_send_queue().await?;
            let file = sees(bobs, "aeneid.txt").await?;
            let file = file.content().as_message().context("a message")?.msgtype().clone();
            let MessageType::File(file) = file else { anyhow::bail!("no file: {file:?}") };
            let request = MediaRequestParameters { source: file.source, format: MediaFormat::File };
            let fetched = bob.client.media().get_media_content(&request, false).await?;
            ensure!(fetched == bytes, "the same bytes to come back");
            let nothing = MediaSource::Plain(format!("mxc://{}/nothing", bob.id.server_name()).into());
            let nothing = MediaRequestParameters { source: nothing, format: MediaFormat::File };
            ensure!(
                bob.client.media().get_media_content(&nothing, false).await.is_err(),
                "nothing to be where nothing is"
            );
            Ok(())
        })
        .await;
}

async fn typing(story: &mut Story, alice: &Person, bob: &Person, room: &Room) {
    story
        .step("who types is shown", async {
            let (_guard, mut typing) = room.subscribe_to_typing_notifications();
            alice.sync.room_list_service().subscribe_to_rooms(&[room.room_id()]).await;
            bob.room(room.room_id(), RoomState::Joined).await?.typing_notice(true).await?;
            let now =
                tokio::time::timeout(Duration::from_secs(15), typing.recv()).await.context("bob is seen typing")??;
            ensure!(now == [bob.id.clone()], "{now:?}");
            Ok(())
        })
        .await;
}

/// The sender's own timeline is not asked for its order: matrix-sdk 0.18 shows messages twice that reach it by sync and by
/// scrolling back at once, with Synapse oftener than with this server.
async fn history(story: &mut Story, alice: &Person, bob: &Person) -> Result<()> {
    let room = alice.creates("Long").await?;
    let alices = alice.timeline(room.room_id()).await?;
    let said: Vec<_> = (0..LONG).map(|number| format!("message {number}")).collect();
    story
        .step("many messages leave the send queue", async {
            for text in &said {
                says(&alices, text).await?;
            }
            sees(&alices, said.last().context("something")?).await.map(drop)
        })
        .await;
    story
        .step("scrolling back in a room that is opened shows all that was said, in order, each once", async {
            bob.joins(room.room_id()).await?;
            bob.sync.room_list_service().subscribe_to_rooms(&[room.room_id()]).await;
            let bobs = bob.timeline(room.room_id()).await?;
            scrolled_back(&bobs).await?;
            becomes("the timeline", &said, async || bodies(&bobs).await).await
        })
        .await;
    Ok(())
}

/// Reads back to the room's beginning.
async fn scrolled_back(timeline: &Timeline) -> Result<()> {
    for _ in 0..LONG {
        if timeline.paginate_backwards(SCREEN).await? {
            return Ok(());
        }
    }
    anyhow::bail!("no end of the room was found in {LONG} screens")
}
