//! Delayed events (MSC4140): what a person wants sent later, unless somebody says otherwise before. A call ends properly by
//! it: the client that goes away no longer restarts the event by which it leaves.
//!
//! Each is a row with a time. Whoever sends it, the timer or a request, ends the row in the batch of the event itself, which
//! expects the row as it was: so it is sent once, whatever else happens at that moment, on this node or another.

mod rows;
mod send;
mod timer;

use lyceum_storage::Batch;
use rand::{Rng, distr::Alphanumeric};
use ruma::{
    CanonicalJsonObject, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId, RoomId, UserId,
    events::{StateEventType, TimelineEventType},
};

use crate::{Result, RoomError, Rooms, Sender, send::transaction_key};
pub(crate) use rows::StoredDelayed;

/// Letters and digits of an id. Whoever knows one may act on the event, so it cannot be guessed.
const ID_LETTERS: usize = 32;
/// How many that have ended are kept for each person, so that they can be asked what became of them.
const ENDED_KEPT: usize = 100;
/// How long they are kept.
const ENDED_KEPT_MS: u64 = 24 * 60 * 60_000;

/// How far delaying may go.
#[derive(Debug, Clone, Copy)]
pub struct DelayLimits {
    /// The longest delay.
    pub delay_ms_max: u64,
    /// How many events one person may have waiting.
    pub events_max: usize,
}

impl Default for DelayLimits {
    fn default() -> Self {
        Self { delay_ms_max: 24 * 60 * 60_000, events_max: 100 }
    }
}

/// A delayed event.
#[derive(Debug, Clone)]
pub struct Delayed {
    /// Its id.
    pub id: String,
    /// Where it is to be sent.
    pub room: OwnedRoomId,
    /// Its type.
    pub kind: String,
    /// Its state key, for state.
    pub state_key: Option<String>,
    /// Its content as JSON.
    pub content: String,
    /// How long it waits.
    pub delay_ms: u64,
    /// Since when.
    pub running_since_ms: u64,
    /// What became of it.
    pub end: Option<DelayedEnd>,
}

/// What became of a delayed event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelayedEnd {
    /// When.
    pub at_ms: u64,
    /// What.
    pub outcome: DelayedOutcome,
    /// Whether somebody asked for it; otherwise its time had come.
    pub was_asked_for: bool,
}

/// How a delayed event ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DelayedOutcome {
    /// It became this event.
    Sent(OwnedEventId),
    /// It was cancelled.
    Cancelled,
    /// It was not permitted when its time came.
    Refused(String),
}

impl Rooms {
    /// The delayed event that a transaction id has led to already, if it is one that is sent again.
    pub async fn already_delayed(&self, sender: Sender<'_>, room: &RoomId) -> Result<Option<String>> {
        let Some(transaction) = sender.transaction else { return Ok(None) };
        let key = transaction_key(sender, room, transaction);
        let rows = self.delayed_rows(sender.user).await?;
        Ok(rows.into_iter().find(|(_, row)| row.transaction.as_ref() == Some(&key)).map(|(id, _)| id))
    }

    /// Has an event sent after a while. Answers its delay's id when that is durable.
    pub async fn delay(
        &self,
        sender: Sender<'_>,
        room: &RoomId,
        (kind, state_key): (TimelineEventType, Option<&str>),
        content: &CanonicalJsonObject,
        delay_ms: u64,
    ) -> Result<String> {
        self.check_delayed(sender.user, room, &kind, content, delay_ms).await?;
        let rows = self.delayed_rows(sender.user).await?;
        if rows.iter().filter(|(_, row)| row.end.is_none()).count() >= self.delay_limits().events_max {
            return Err(RoomError::Limit("you have too many delayed events".to_owned()));
        }
        let id = self.delay_id();
        let row = StoredDelayed {
            room_id: room.to_string(),
            kind: kind.to_string(),
            state_key: state_key.map(ToOwned::to_owned),
            content: serde_json::to_string(content).map_err(|error| RoomError::Bad(error.to_string()))?,
            delay_ms,
            running_since_ms: self.now_ms(),
            ts: sender.ts.map(|ts| ts.get().into()),
            transaction: sender.transaction.map(|transaction| transaction_key(sender, room, transaction)),
            scheduled_at: 0,
            end: None,
        };
        let mut batch = Batch::new();
        self.add_delayed(&mut batch, sender.user, &id, row);
        let now = self.now_ms();
        let old = |at: usize, row: &StoredDelayed| {
            row.end.as_ref().is_some_and(|end| at >= ENDED_KEPT || end.at_ms + ENDED_KEPT_MS < now)
        };
        let mut ended: Vec<_> = rows.iter().filter(|(_, row)| row.end.is_some()).collect();
        ended.sort_by_key(|(_, row)| std::cmp::Reverse(row.end.as_ref().map(|end| end.at_ms)));
        for (_, (id, _)) in ended.iter().enumerate().filter(|(at, (_, row))| old(*at, row)) {
            self.remove_delayed(&mut batch, sender.user, id);
        }
        self.store().commit(batch).await?;
        Ok(id)
    }

    async fn check_delayed(
        &self,
        user: &UserId,
        room: &RoomId,
        kind: &TimelineEventType,
        content: &CanonicalJsonObject,
        delay_ms: u64,
    ) -> Result<()> {
        let longest = self.delay_limits().delay_ms_max;
        if delay_ms > longest {
            return Err(RoomError::Forbidden(format!("the delay may be {longest} ms at most")));
        }
        if *kind == TimelineEventType::RoomCreate {
            return Err(RoomError::forbidden("a room has one create event"));
        }
        let bytes = serde_json::to_string(content).map_or(usize::MAX, |json| json.len());
        if bytes > lyceum_events::EVENT_BYTES_MAX {
            return Err(RoomError::TooLarge(lyceum_events::EVENT_BYTES_MAX));
        }
        let snapshot = self.snapshot(room).await.map_err(crate::send::unknown_is_forbidden)?;
        match snapshot.is_joined(user) {
            true => Ok(()),
            false => Err(RoomError::forbidden("you are not in this room")),
        }
    }

    /// A person's delayed events, those that wait and those that ended lately.
    pub async fn delayed(&self, user: &UserId) -> Result<Vec<Delayed>> {
        let mut all = Vec::new();
        for (id, row) in self.delayed_rows(user).await? {
            let mut delayed = row.shown(id)?;
            if delayed.end.is_none() && self.is_overruled(user, &row).await? {
                let end = (row.running_since_ms, DelayedOutcome::Cancelled);
                delayed.end = Some(DelayedEnd { at_ms: end.0, outcome: end.1, was_asked_for: false });
            }
            all.push(delayed);
        }
        all.sort_by_key(|one| one.running_since_ms);
        Ok(all)
    }

    /// Lets a delayed event begin to wait anew.
    pub async fn restart_delayed(&self, id: &str) -> Result<()> {
        self.change_delayed(id, |row, now| StoredDelayed { running_since_ms: now, ..row }).await
    }

    /// Has a delayed event not sent at all.
    pub async fn cancel_delayed(&self, id: &str) -> Result<()> {
        self.change_delayed(id, |row, now| row.ended(now, DelayedOutcome::Cancelled, true)).await
    }

    /// Whether somebody else has set, since it was delayed, the state that this event would set: then it is not sent.
    async fn is_overruled(&self, user: &UserId, row: &StoredDelayed) -> Result<bool> {
        let Some(state_key) = &row.state_key else { return Ok(false) };
        let room = row.room()?;
        let snapshot = match self.snapshot(&room).await {
            Err(RoomError::UnknownRoom(_)) => return Ok(false),
            found => found?,
        };
        let Some(holder) = snapshot.state().get(&StateEventType::from(row.kind.as_str()), state_key) else {
            return Ok(false);
        };
        let Some(known) = self.known(holder).await? else { return Ok(false) };
        let is_later = known.order().is_some_and(|order| order > row.scheduled_at.cast_signed());
        Ok(is_later && known.event().sender() != user)
    }

    fn delay_limits(&self) -> DelayLimits {
        self.0.config.delays
    }

    fn now_ms(&self) -> u64 {
        self.0.clock.now().get().into()
    }

    fn delay_id(&self) -> String {
        let mut chance = self.0.chance.lock();
        (0..ID_LETTERS).map(|_| char::from(chance.sample(Alphanumeric))).collect()
    }
}

fn time(ms: Option<u64>) -> Option<MilliSecondsSinceUnixEpoch> {
    ms.and_then(|ms| ms.try_into().ok()).map(MilliSecondsSinceUnixEpoch)
}
