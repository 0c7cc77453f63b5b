//! The room graph: the only writer of events.
//!
//! Everything about rooms is read from [`Rooms`], and everything that happens in one goes through it: facts are read,
//! plain functions decide, one batch is written. In reading order:
//!
//! * `state`, `groups`: the state of a room at one moment, and all of them on disk as skip deltas.
//! * `facts`, `snapshot`: what a state says, parsed; a room at one moment.
//! * `known`, `client_form`: an event with what this server knows about it; the form clients see.
//! * `room`, `rooms`: rooms in memory, the handle.
//! * `write`, `record`, `redact`: one batch for everything an act implies.
//! * `delayed`: what is to be sent later.
//! * `policy_server`: asking those whom rooms let judge events.
//! * `held`: posts that wait for somebody to look at them; `unheard`: what shadow-banned people send.
//! * `send`, `create`, `membership_acts`, `aliases`: the acts; `oversight`: those of whoever answers for rooms.
//! * `arrival`, `partial`, `completion`: rooms of other servers: taken up, at first with part of their state, then with the rest.
//! * `accept`, `waiting`: what other servers send, and what of it has no place yet.
//! * `blocked`, `redirect`, `purge`: keeping people out of a room, and taking it away.
//! * `timeline`, `members`, `visibility`: reading, and who may read what.
//! * `receipts`, `unread`: how far people have read, and how much they have not.
//!
//! Invariants: an event id never changes its content except by redaction. A live event's order is the stream position of
//! its commit, a backfilled one's is negative. What readers see is durable. Nothing here opens a socket.

mod error;
mod membership;
mod tables;

mod facts;
mod groups;
mod snapshot;
mod state;

mod client_form;
mod known;
mod relation;

mod campus;
mod forks;
mod judge;
mod people;
mod reading;
mod record;
mod redact;
mod room;
mod rooms;
mod write;

mod accept;
mod aliases;
mod arrange;
mod arrival;
mod blocked;
mod borrow;
mod create;
mod create_levels;
mod delayed;
mod earlier;
mod elsewhere;
mod ends;
mod erased;
mod held;
mod holes;
mod import;
mod lend;
mod membership_acts;
mod oversight;
mod partial;
mod policy_server;
mod purge;
mod redirect;
mod reports;
mod send;
mod third_party;
mod unheard;
mod upgrade;
mod waiting;

mod acquaintance;
mod bundle;
mod by_time;
mod check;
mod completion;
mod directory;
mod files_in;
mod forget_past;
mod hierarchy;
mod history;
mod members;
mod peek;
mod present;
mod relating;
mod serve;
mod state_read;
mod summary;
mod thread_subscriptions;
mod timeline;
mod unread;
mod visibility;

pub mod receipts;
pub mod typing;

pub use accept::Acceptance;
pub use arrange::Arrangement;
pub use arrival::{Arrival, RemoteJoin};
pub use borrow::Borrowed;
pub use campus::{CampusRules, KIND_FIELD, UNIT_FIELD};
pub use check::{Checked, KeptKeys};
pub use client_form::{Looker, Unsigned, stripped_form};
pub use completion::WholeStates;
pub use create::{Created, InitialState, NewRoom, Preset};
pub use create_levels::require_levels;
pub use delayed::{DelayLimits, Delayed, DelayedEnd, DelayedOutcome};
pub use directory::{DirectoryPage, DirectoryQuery, listing};
pub use earlier::{Fetched, GivenStates};
pub use elsewhere::invitee_of;
pub use error::{Result, RoomError};
pub use facts::{CampusMarks, Facts};
pub use forget_past::{Forgotten, Whose};
pub use held::{HELD_SUBJECT, Held};
pub use hierarchy::{Outside, OutsideRoom, SpacePage, SpacePart, SpaceRoom, Walk};
pub use history::Around;
pub use holes::{Hole, Part};
pub use import::Imported;
pub use judge::{Act, Judge, Lenient, Verdict};
pub use known::Known;
pub use lend::{Invitation, JoinedState, Template};
pub use members::{Members, MembershipRow};
pub use membership::Membership;
pub use membership_acts::{Joining, Outcome};
pub use oversight::Overseen;
pub use partial::{PARTIAL_SUBJECT, Partial};
pub use people::{MemberProfile, Nameless, People};
pub use policy_server::{NotRecommended, PolicyServer, PolicyServers};
pub use reading::MAIN_THREAD;
pub use relating::{RECURSION_MAX, Relating};
pub use relation::Relation;
pub use reports::Report;
pub use rooms::{Rooms, RoomsConfig, RoomsParts};
pub use serve::{BACKFILL_MAX, MISSING_EVENTS_MAX};
pub use snapshot::Snapshot;
pub use state::{Change, Member, RoomState, StateKey, state_type};
pub use summary::Asker;
pub use tables::Place;
pub use third_party::InviteClaim;
pub use thread_subscriptions::{MovedSubscription, MovedSubscriptions};
pub use timeline::{Direction, Page, TimelineToken};
pub use unread::{Unread, UnreadCounts, UnreadError, Unreads};
pub use visibility::Visibility;
pub use waiting::Waiting;
pub use write::{Sender, Transaction};

#[cfg(test)]
mod campus_tests;
#[cfg(test)]
mod federation_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
