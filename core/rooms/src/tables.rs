//! What the room graph stores.

use lyceum_storage::Table;
use serde::{Deserialize, Serialize};

use crate::{
    Membership,
    blocked::StoredBlock,
    delayed::StoredDelayed,
    groups::StoredGroup,
    held::Held,
    partial::StoredPartial,
    receipts::{MovedReceipt, ReceiptRow},
    reports::Report,
    thread_subscriptions::SubscriptionRow,
    waiting::StoredWaiting,
};

/// `(room, order)`: the order of a live event is the position of its commit; of a backfilled one it is negative.
pub(crate) const TIMELINE: Table<(String, i64), StoredEvent> = Table::new(
    "r.timeline",
    "every event with a place in a room's timeline; written by record and backfill, read by everything that pages; \
     grows with the conversation, shortened by retention",
);

/// Events known without a place in the timeline.
pub(crate) const OUTLIERS: Table<String, StoredEvent> = Table::new(
    "r.outlier",
    "auth and state events of joined rooms without a place in the timeline, rejected and soft-failed ones; bounded by \
     the auth chains and states of the rooms this server is in",
);

/// Where an event is.
pub(crate) const EVENTS: Table<String, StoredPlace> =
    Table::new("r.event", "the place of every known event; one row for each row of r.timeline and r.outlier");

/// The writing end of a room.
pub(crate) const HEADS: Table<String, StoredHead> = Table::new(
    "r.head",
    "where a room's graph ends; rewritten by every event, and expected by it, which makes several writers safe; one \
     row for each room",
);

/// `(room, group)`.
pub(crate) const STATE_GROUPS: Table<(String, u64), StoredGroup> = Table::new(
    "r.group",
    "the states a room has been in, as differences; one row for each change of state, n log n changes for n rows",
);

/// `(user, device, endpoint and its path, transaction id)`: what a transaction id has led to.
pub(crate) const TRANSACTIONS: Table<(String, String, String, String), StoredTransaction> = Table::new(
    "r.txn",
    "the event that a device's transaction id made, so that a repeated request makes no second one; one row for each \
     event sent here, dropped with the device and by age",
);

/// `(user, room)`.
pub(crate) const MEMBERSHIPS: Table<(String, String), StoredMembership> = Table::new(
    "r.member",
    "how each person stands to each room; rewritten by every membership event; one row for each person and room",
);

/// `(user, position)`: which room.
pub(crate) const MEMBERSHIP_LOG: Table<(String, u64), String> = Table::new(
    "r.memberlog",
    "the changes of a local person's memberships in the order of the stream, for incremental syncs; one row for each \
     membership event of a local person",
);

/// `(user, room)`: what an invited or knocking person may see of a room; once that is over, the event that ended it.
pub(crate) const STRIPPED: Table<(String, String), Vec<String>> = Table::new(
    "r.stripped",
    "the stripped state that came with an invite to, or a knock on, a room of which this server has no state, or \
     the event that ended it; gone when the person comes in",
);

/// Room, person, kind, thread.
pub(crate) const RECEIPTS: Table<(String, String, u8, String), ReceiptRow> =
    Table::new("r.receipts", "written when somebody reads, read by syncs; one row a person, kind and thread read in");

/// Room, position.
pub(crate) const RECEIPTS_MOVED: Table<(String, u64), MovedReceipt> =
    Table::new("r.receipts_moved", "written with r.receipts, read by syncs and the federation sender; as many rows");

/// Person, room, thread root.
pub(crate) const SUBSCRIPTIONS: Table<(String, String, String), SubscriptionRow> = Table::new(
    "r.subscription",
    "which threads people follow; written by their clients, read by them and by syncs; at most one row for each thread and person",
);

/// Person, position: room, thread root.
pub(crate) const SUBSCRIPTIONS_MOVED: Table<(String, u64), (String, String)> =
    Table::new("r.subscriptions_moved", "written with r.subscription, read by syncs; as many rows");

/// `(event related to, how, order)`.
pub(crate) const RELATIONS: Table<(String, String, i64), StoredRelation> = Table::new(
    "r.relation",
    "which events relate to an event; written with the relating event, read for bundles and /relations; one row for each \
     relating event, gone when that is redacted",
);

/// `(room, root)`: the order of the last event in the thread.
pub(crate) const THREADS: Table<(String, String), i64> =
    Table::new("r.thread", "when each thread of a room was last written in; one row for each thread");

/// `(event related to, sender, type, key)`: the annotation.
pub(crate) const ANNOTATIONS: Table<(String, String, String, String), String> = Table::new(
    "r.annotation",
    "who annotated what with what, so that nobody does twice; written with the annotation, gone when that is redacted",
);

/// Aliases of this server.
pub(crate) const ALIASES: Table<String, StoredAlias> =
    Table::new("r.alias", "the room each alias of this server points at; at most r.roomalias's bound for each room");

/// `(room, alias)`.
pub(crate) const ROOM_ALIASES: Table<(String, String), ()> =
    Table::new("r.roomalias", "the aliases of this server by room; written with r.alias, at most 500 for each room");

/// `(room, order)`: before which events others are missing.
pub(crate) const GAPS: Table<(String, i64), ()> = Table::new(
    "r.gap",
    "the events before which others are missing that could not be had; written with the event, or with one of long before; \
     read by syncs; at most one row for each event whose state was told by another server",
);

/// What is missing before an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredHole {
    /// The events with which it ends.
    pub(crate) wanted: Vec<String>,
    /// Orders below this one, down to the floor, are free for it.
    pub(crate) next: i64,
    pub(crate) floor: i64,
}

/// `(room, order)`: what is missing before which event.
pub(crate) const HOLES: Table<(String, i64), StoredHole> = Table::new(
    "r.hole",
    "what is missing before the event of an order; written with the event, moved back by every piece that is fetched, gone \
     when nothing is missing; at most one row for each of r.gap",
);

/// The versions of rooms that are being joined.
pub(crate) const VERSIONS: Table<String, String> = Table::new(
    "r.version",
    "the version of a room whose events are brought in before its head is written; one row for each room joined by \
     another server's help",
);

/// By room: what is still to come of its state.
pub(crate) const PARTIAL: Table<String, StoredPartial> = Table::new(
    "r.partial",
    "the rooms joined with part of their state, of which the rest is still to come; written with such a join, gone in the \
     batch that brings the rest; one row for each",
);

/// `(room, event)`
pub(crate) const PARTIAL_ASIDE: Table<(String, String), ()> = Table::new(
    "r.partialaside",
    "events that clients were not shown while part of the room's state was wanting, to be judged again; gone with r.partial",
);

/// `(room, event)`
pub(crate) const WAITING: Table<(String, String), StoredWaiting> = Table::new(
    "r.waiting",
    "events of other servers that could not get their places for want of what they build on; written when they come, gone when \
     they get them or are given up; a bounded number, and of one server too",
);

/// `(server, room, event)`
pub(crate) const WAITING_BY: Table<(String, String, String), ()> = Table::new(
    "r.waitingby",
    "which servers sent the events that wait, counted before another one may; written and deleted with r.waiting",
);

/// When only part of a room's state was here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredPart {
    /// Positions of the stream.
    pub(crate) from: u64,
    pub(crate) until: u64,
    /// Servers that were in the room then without its being believed here.
    pub(crate) missed: Vec<String>,
}

/// By room: when only part of its state was here.
pub(crate) const WHOLE_SINCE: Table<String, StoredPart> = Table::new(
    "r.wholesince",
    "when the rest came of the state of a room joined with part of it; read by syncs that show whole rooms only; one row for \
     each such room",
);

/// By room: the events before the first ones here.
pub(crate) const EARLIER: Table<String, Vec<String>> = Table::new(
    "r.earlier",
    "where the history of a room goes on at other servers; written when the room is joined, moved back by every piece of \
     history that is fetched; at most one row for each room, gone when its history is whole",
);

/// Rooms the directory lists.
pub(crate) const LISTED: Table<String, ()> =
    Table::new("r.listed", "the rooms that the directory lists; at most one row for each room");

/// `(network of an application service, room)`.
pub(crate) const LISTED_BY_NETWORK: Table<(String, String), ()> = Table::new(
    "r.listednetwork",
    "the rooms that application services list for the networks they bridge to; at most one row for each room and network",
);

/// By position: what people reported.
pub(crate) const REPORTS: Table<u64, Report> = Table::new(
    "r.report",
    "what people reported, in the order of the stream; read by whoever handles reports; bounded by rate limits",
);

/// What events were before they were redacted.
pub(crate) const ARCHIVE: Table<String, StoredOriginal> = Table::new(
    "r.archive",
    "the originals of redacted events, sealed: only audited acts read it; one row for each redacted event, dropped by \
     retention",
);

/// Posts that wait for somebody to look at them.
pub(crate) const HELD: Table<String, Held> = Table::new(
    "r.held",
    "posts that wait, signed as they were sent; gone when they are let go or refused; a bounded number, and of one person \
     too",
);

/// `(author, event id)`.
pub(crate) const HELD_BY: Table<(String, String), ()> = Table::new(
    "r.heldby",
    "whose posts wait; written and deleted with r.held, counted before a post is held; a bounded number for each person",
);

/// `(unit, event id)`.
pub(crate) const HELD_IN: Table<(String, String), ()> = Table::new(
    "r.heldin",
    "in rooms of which unit posts wait; written and deleted with r.held, read by those who look at the posts of a unit",
);

/// By event id.
pub(crate) const HELD_NEWS: Table<String, ()> = Table::new(
    "r.heldnews",
    "posts of which nobody was told yet that they wait; written with r.held, gone once somebody was told",
);

/// By room, known here or not.
pub(crate) const BLOCKED: Table<String, StoredBlock> = Table::new(
    "r.blocked",
    "the rooms nobody of this server may come into; written by administrators, read when somebody would; one row for each",
);

/// Rooms that are being forgotten.
pub(crate) const PURGING: Table<String, ()> = Table::new(
    "r.purging",
    "the rooms of which not everything is forgotten yet; written in the batch that takes the room out of sight, gone with its \
     last row; nobody comes in meanwhile",
);

/// Redactions that came before what they redact.
pub(crate) const REDACTIONS_AHEAD: Table<String, String> = Table::new(
    "r.redactahead",
    "the redaction of an event that is not here yet, so that it is redacted on arrival; one row for each such event, gone \
     when it arrives",
);

/// `(user, delay id)`.
pub(crate) const DELAYED: Table<(String, String), StoredDelayed> = Table::new(
    "r.delayed",
    "events that people want sent later; ended in the batch of the event; a bounded number for each person, those that \
     ended included",
);

/// By delay id: whose it is.
pub(crate) const DELAYED_OWNERS: Table<String, String> = Table::new(
    "r.delayedowner",
    "whose a delayed event is, since acting on one names only its id; as many as r.delayed",
);

/// `(when, delay id)`.
pub(crate) const DELAYED_DUE: Table<(u64, String), ()> = Table::new(
    "r.delayeddue",
    "when delayed events are due, read by the timer; one row for each that waits, written and removed with it",
);

/// An event as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredEvent {
    pub(crate) event_id: String,
    /// The canonical JSON that was signed; of a redacted event, what redaction leaves of it.
    pub(crate) json: Box<str>,
    /// The state group before the event, if it is known.
    pub(crate) before: Option<u64>,
    /// The state group after the event, if it is known.
    pub(crate) after: Option<u64>,
    /// The group of the room's state once the event had come here, if that is not the one after it: the graph had other
    /// ends.
    pub(crate) current: Option<u64>,
    /// The event that held its state before, if it is a state event.
    pub(crate) replaces: Option<String>,
    /// The device and transaction id it was sent with, if it was sent here.
    pub(crate) transaction: Option<(String, String)>,
    /// The event that redacted it.
    pub(crate) redacted_by: Option<String>,
}

/// Where an event is and what was thought of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredPlace {
    pub(crate) room_id: String,
    pub(crate) place: Place,
}

/// Where an event is and what was thought of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// In the timeline, with this order.
    Timeline(i64),
    /// Known, without a place in the timeline.
    Outlier,
    /// In the graph but not shown to clients: the current state would not have allowed it.
    SoftFailed,
    /// Refused, and why. Events that rely on it are refused as well.
    Rejected(String),
}

/// Where a room's graph ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredHead {
    /// Goes up with each write, so that two rows are never the same.
    pub(crate) version: u64,
    /// The room version's name.
    pub(crate) room_version: String,
    /// Events that no event refers to yet, with a limit (see `ends.rs`).
    pub(crate) extremities: Vec<StoredEnd>,
    /// The greatest depth of the extremities.
    pub(crate) depth: u64,
    /// The group of the current state.
    pub(crate) group: Option<u64>,
    /// The number the next group gets.
    pub(crate) next_group: u64,
    /// The order of the earliest backfilled event; 0 if there is none.
    pub(crate) first_order: i64,
}

/// An end of a room's graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredEnd {
    /// The event; empty for ends that were let go.
    pub(crate) event_id: String,
    /// The state group after it.
    pub(crate) after: Option<u64>,
}

/// What a transaction id has led to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredTransaction {
    pub(crate) event_id: String,
    pub(crate) at_ms: u64,
}

/// How a person stands to a room.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredMembership {
    pub(crate) membership: Membership,
    pub(crate) event_id: String,
    pub(crate) sender: String,
    /// The position of the membership event in the stream.
    pub(crate) position: u64,
    /// The person asked to forget the room.
    pub(crate) forgotten: bool,
}

/// How an event relates to another.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredRelation {
    pub(crate) event_id: String,
    pub(crate) kind: String,
    pub(crate) sender: String,
}

/// What an event was before it was redacted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredOriginal {
    pub(crate) room_id: String,
    pub(crate) json: Box<str>,
    pub(crate) redacted_at_ms: u64,
}

/// Where an alias points.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredAlias {
    pub(crate) room_id: String,
    pub(crate) creator: String,
}
