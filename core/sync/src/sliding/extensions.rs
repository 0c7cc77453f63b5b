//! What a client wants beside rooms: messages to the device, keys, account data, receipts, typing.

use lyceum_storage::Position;
use ruma::{OwnedRoomId, RoomId};
use serde_json::json;
use std::collections::BTreeMap;

use crate::{
    Result, Sync,
    joined::Has,
    own::to_device_event,
    sliding::{
        Look,
        lists::{Watched, Wishes},
        message::{
            AccountDataAnswer, E2eeAnswer, ExtensionsAnswer, PerRoom, Scoped, ThreadSubscriptions, ToDevice,
            ToDeviceAnswer,
        },
        threads,
        threads::ThreadSubscriptionsAnswer,
    },
    v2::Turn,
};

/// Messages to a device that one answer holds at most.
const TO_DEVICE_MAX: usize = 100;

impl Sync {
    pub(crate) async fn extensions<'a>(
        &self,
        look: &Look<'_>,
        watched: &Watched,
        answered: impl Iterator<Item = &'a OwnedRoomId>,
    ) -> Result<ExtensionsAnswer> {
        let asked = &look.request.extensions;
        let answered: Vec<&OwnedRoomId> = answered.collect();
        let mut answer = ExtensionsAnswer::default();
        if asked.to_device.enabled {
            answer.to_device = self.inbox(look.turn, &asked.to_device).await?;
        }
        if asked.e2ee.enabled {
            answer.e2ee = Some(self.keys(look.turn).await?);
        }
        if asked.account_data.enabled {
            answer.account_data = Some(self.account_data_answer(look, watched).await?);
        }
        if asked.receipts.enabled {
            let mut rooms = BTreeMap::new();
            for (room, has) in rooms_of(look, watched, &asked.receipts, &answered) {
                // The format has one event for each room, and its clients are strict readers: what is no event id is left out.
                if let Some(content) = self.receipts_of(look.turn, room, has).await?.of_events {
                    rooms.insert(room.clone(), json!({ "type": "m.receipt", "content": content }));
                }
            }
            answer.receipts = Some(PerRoom { rooms });
        }
        if asked.typing.enabled {
            let mut rooms = BTreeMap::new();
            for (room, has) in rooms_of(look, watched, &asked.typing, &answered) {
                if let Some(content) = self.typing_of(look.turn, room, has).await? {
                    rooms.insert(room.clone(), json!({ "type": "m.typing", "content": content }));
                }
            }
            answer.typing = Some(PerRoom { rooms });
        }
        if asked.thread_subscriptions.enabled {
            answer.thread_subscriptions = self.followed_threads(look.turn, &asked.thread_subscriptions).await?;
        }
        Ok(answer)
    }

    async fn keys(&self, turn: &Turn<'_>) -> Result<E2eeAnswer> {
        let moved = self.moved_people(turn).await?;
        Ok(E2eeAnswer {
            device_lists: self.device_lists(turn, &moved).await?,
            device_one_time_keys_count: self.one_time_key_counts(turn).await?,
            device_unused_fallback_key_types: self.fallback_key_types(turn).await?,
        })
    }

    /// Messages to the device, by a token of their own: what the client gives back has arrived and is forgotten.
    async fn inbox(&self, turn: &Turn<'_>, asked: &ToDevice) -> Result<Option<ToDeviceAnswer>> {
        let Some(device) = turn.device() else { return Ok(None) };
        let user = turn.request.user;
        let had = asked.since.as_deref().and_then(|since| since.parse().ok()).map_or(Position(0), Position);
        let had = had.min(turn.to.position);
        self.accounts().acknowledge_to_device(user, device, had).await?;
        let limit = asked.limit.map_or(TO_DEVICE_MAX, |limit| usize::try_from(limit).unwrap_or(TO_DEVICE_MAX));
        let limit = limit.clamp(1, TO_DEVICE_MAX);
        let mut messages = self.accounts().inbox_page(user, device, had, turn.to.position, limit + 1).await?;
        let mut next = turn.to.position;
        if messages.len() > limit {
            // A position may hold several messages, which go together or not at all.
            let last = messages.pop().map_or(next, |message| message.position);
            let before_last = |position: Position| position < last;
            if messages.first().is_some_and(|first| before_last(first.position)) {
                messages.retain(|message| before_last(message.position));
            }
            next = messages.last().map_or(had, |message| message.position);
        }
        let events = messages.iter().filter_map(to_device_event).collect();
        Ok(Some(ToDeviceAnswer { next_batch: next.0.to_string(), events }))
    }

    /// Which threads are followed, and which no longer: nothing where that did not change.
    async fn followed_threads(
        &self,
        turn: &Turn<'_>,
        asked: &ThreadSubscriptions,
    ) -> Result<Option<ThreadSubscriptionsAnswer>> {
        let since = turn.since.map(|since| since.position);
        let from = since.unwrap_or_default();
        let limit = threads::limit(asked.limit);
        let moved = self.rooms().thread_subscriptions_moved(turn.request.user, from, turn.to.position, limit).await?;
        // What was given up before the client knew anything is no news to it.
        let answer = ThreadSubscriptionsAnswer::of(moved, from, since.is_some());
        Ok(Some(answer).filter(|answer| !answer.is_empty()))
    }

    async fn account_data_answer(&self, look: &Look<'_>, watched: &Watched) -> Result<AccountDataAnswer> {
        let global = self.account_data(look.turn).await?;
        let mut rooms = BTreeMap::new();
        for (room, wishes) in watched {
            if !in_scope(&look.request.extensions.account_data, room, wishes) {
                continue;
            }
            let data = self.room_account_data(look.turn, room, has(look, room)).await?;
            if !data.is_empty() {
                rooms.insert(room.clone(), data);
            }
        }
        Ok(AccountDataAnswer { global, rooms })
    }
}

/// What the client has of a room.
fn has(look: &Look<'_>, room: &RoomId) -> Has {
    look.before.sent.get(room).map_or(Has::Nothing, |sent| Has::UpTo(sent.up_to))
}

/// The rooms an extension is wanted for: those told of in this answer, and those the client has been told of before.
fn rooms_of<'a>(
    look: &Look<'_>,
    watched: &'a Watched,
    scope: &Scoped,
    answered: &[&OwnedRoomId],
) -> Vec<(&'a OwnedRoomId, Has)> {
    let wanted = watched.iter().filter(|(room, wishes)| in_scope(scope, room, wishes));
    let told = wanted.map(|(room, _)| (room, has(look, room)));
    told.filter(|(room, has)| *has != Has::Nothing || answered.contains(room)).collect()
}

fn in_scope(scope: &Scoped, room: &RoomId, wishes: &Wishes) -> bool {
    let any = |names: &[String]| names.iter().any(|name| name == "*");
    let by_list = match &scope.lists {
        None => !wishes.lists.is_empty(),
        Some(lists) => (any(lists) && !wishes.lists.is_empty()) || lists.iter().any(|list| wishes.lists.contains(list)),
    };
    let by_room = match &scope.rooms {
        None => wishes.subscribed,
        Some(rooms) => wishes.subscribed && (any(rooms) || rooms.iter().any(|one| one == room.as_str())),
    };
    by_list || by_room
}
