//! Threads that are followed, as clients are told of them (MSC4308): by sliding sync what is new, and by pages what an
//! answer had no room for.

use lyceum_rooms::{MovedSubscription, MovedSubscriptions};
use lyceum_storage::Position;
use ruma::{OwnedEventId, OwnedRoomId};
use serde::Serialize;
use std::{collections::BTreeMap, fmt, str::FromStr};

/// Changes on one page, unless the client wants fewer.
const CHANGES_MAX: usize = 100;

/// How many changes one page holds.
pub fn limit(asked: Option<u64>) -> usize {
    asked.map_or(CHANGES_MAX, |asked| usize::try_from(asked).unwrap_or(CHANGES_MAX)).clamp(1, CHANGES_MAX)
}

type ByThread<T> = BTreeMap<OwnedRoomId, BTreeMap<OwnedEventId, T>>;

/// What changed of the threads that are followed.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct ThreadSubscriptionsAnswer {
    /// Those that are.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub subscribed: ByThread<Subscribed>,
    /// Those that are no longer.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unsubscribed: ByThread<Unsubscribed>,
    /// Where what this had no room for is read on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev_batch: Option<String>,
}

/// A thread that is followed.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Subscribed {
    /// Without its person having said so.
    pub automatic: bool,
    /// Grows with each change.
    pub bump_stamp: u64,
}

/// A thread that is followed no longer.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Unsubscribed {
    /// Grows with each change.
    pub bump_stamp: u64,
}

impl ThreadSubscriptionsAnswer {
    /// Tells of changes since a position, of the ended ones if the client may have had them.
    pub fn of(MovedSubscriptions { moved, next }: MovedSubscriptions, since: Position, with_ended: bool) -> Self {
        let mut answer = Self::default();
        for MovedSubscription { room, root, automatic, at: Position(bump_stamp) } in moved {
            if let Some(automatic) = automatic {
                answer.subscribed.entry(room).or_default().insert(root, Subscribed { automatic, bump_stamp });
            } else if with_ended {
                answer.unsubscribed.entry(room).or_default().insert(root, Unsubscribed { bump_stamp });
            }
        }
        answer.prev_batch = next.map(|to| Stretch { since, to }.to_string());
        answer
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.subscribed.is_empty() && self.unsubscribed.is_empty() && self.prev_batch.is_none()
    }
}

/// A stretch of changes that is still to be read. Its text is the token by which clients read it: it knows both ends, so that
/// reading on needs no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// After this.
    pub since: Position,
    /// Up to this.
    pub to: Position,
}

impl fmt::Display for Stretch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "h1_{}_{}", self.to.0, self.since.0)
    }
}

impl FromStr for Stretch {
    type Err = crate::NotAToken;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (to, since) = text.strip_prefix("h1_")?.split_once('_')?;
            Some(Self { since: Position(since.parse().ok()?), to: Position(to.parse().ok()?) })
        };
        read().ok_or(crate::NotAToken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_reads_back_and_other_tokens_are_refused() {
        let stretch = Stretch { since: Position(3), to: Position(70) };
        assert_eq!(stretch.to_string().parse(), Ok(stretch));
        for other in ["", "h1_", "h1_1", "h1_1_x", "h1_1_2_3", "s1_1_2_3", "h1_-1_2"] {
            assert_eq!(other.parse::<Stretch>(), Err(crate::NotAToken), "{other:?} must be refused");
        }
    }
}
