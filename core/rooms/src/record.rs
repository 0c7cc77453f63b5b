//! What an event implies, written with it: its row and its place, memberships, relations; and how readers come to see it
//! once it is durable.

use lyceum_events::Event;
use lyceum_storage::{Position, Subject, Writes};
use ruma::OwnedEventId;
use std::sync::{Arc, atomic::Ordering};

use crate::{
    Known, Membership, Place, Snapshot,
    holes::{HOLE_ORDERS, write_hole},
    known::Around,
    members::MembershipRow,
    relation::Relation,
    room::{Room, TransactionKey},
    rooms::Shared,
    tables::{
        ANNOTATIONS, EVENTS, GAPS, MEMBERSHIP_LOG, MEMBERSHIPS, OUTLIERS, RELATIONS, STRIPPED, StoredHead, StoredPlace,
        StoredRelation, THREADS, TIMELINE,
    },
    write::{Writing, membership_of, target_of},
};

/// An event about to get its place in the timeline.
pub(crate) struct New {
    pub(crate) event: Event,
    pub(crate) around: Around,
    /// Membership events that hold from now on, mostly just this one.
    pub(crate) members: Vec<Event>,
    pub(crate) transaction: Option<(String, String)>,
    /// What is left of it, if its redaction was here before it.
    pub(crate) redacted: Option<(Event, OwnedEventId)>,
    /// Whether events are missing before it that could not be had.
    pub(crate) after_gap: bool,
}

/// An event that clients are not shown.
pub(crate) struct Aside {
    pub(crate) event: Event,
    pub(crate) place: Place,
    pub(crate) around: Around,
}

impl Aside {
    fn known(&self) -> Known {
        let event = match self.place {
            Place::Rejected(_) => self.event.clone().into_rejected(),
            _ => self.event.clone(),
        };
        Known::new(event, self.place.clone(), self.around.clone(), None)
    }
}

impl New {
    fn at(&self, order: i64) -> Known {
        let known =
            Known::new(self.event.clone(), Place::Timeline(order), self.around.clone(), self.transaction.clone());
        match &self.redacted {
            Some((left, by)) => known.redacted(left.clone(), by.clone()),
            None => known,
        }
    }
}

impl StoredHead {
    pub(crate) fn new(room_version: String) -> Self {
        Self { version: 0, room_version, extremities: Vec::new(), depth: 0, group: None, next_group: 0, first_order: 0 }
    }

    /// The number of a new state group.
    pub(crate) fn take_group(&mut self) -> u64 {
        self.next_group += 1;
        self.next_group - 1
    }
}

/// Puts everything the new events imply into the batch.
pub(crate) fn fill_batch(writing: &mut Writing, sending: Option<TransactionKey>) {
    let new: Arc<[New]> = std::mem::take(&mut writing.new).into();
    let aside = std::mem::take(&mut writing.aside);
    let replaced: Vec<_> = std::mem::take(&mut writing.replaced).into_iter().map(Arc::new).collect();
    let (shared, room, snapshot) = (writing.rooms.0.clone(), writing.room.clone(), writing.head.snapshot.clone());
    let server = writing.rooms.server().to_owned();
    let moves_outliers = writing.moves_outliers;
    let batch = writing.batch();
    // What is missing before the first of them, if anything is, will need orders of its own.
    let ahead = if new.first().is_some_and(|one| one.after_gap) { HOLE_ORDERS } else { 0 };
    batch.positions(ahead + new.len() as u64);
    // People of other servers, too: theirs is told when they are sent away.
    for user in new.iter().flat_map(|one| &one.members).filter_map(target_of) {
        batch.touch(Subject::user(&user));
    }
    for one in &aside {
        let place = StoredPlace { room_id: one.event.room().to_string(), place: one.place.clone() };
        batch.put(&OUTLIERS, one.event.id().as_str(), &one.known().to_stored());
        batch.put(&EVENTS, one.event.id().as_str(), &place);
    }
    let rows = new.clone();
    batch.at_position(move |first, writes| {
        for (one, position) in rows.iter().zip(first.plus(ahead).0..) {
            write_event(one, position, &server, moves_outliers, writes);
        }
    });
    batch.after_commit(move |first| {
        if moves_outliers {
            shared.replaced.fetch_add(1, Ordering::AcqRel);
        }
        for one in &aside {
            shared.known.insert(one.event.id().clone(), Arc::new(one.known()));
            room.queued.lock().remove(one.event.id());
        }
        publish(&shared, &room, snapshot, (&new, first.plus(ahead)), &replaced, sending.as_ref());
    });
}

/// The rows of one event.
fn write_event(new: &New, position: u64, server: &ruma::ServerName, moves_outliers: bool, writes: &mut Writes) {
    let order = position.cast_signed();
    let known = new.at(order);
    let (event, room) = (&new.event, new.event.room().as_str());
    writes.add(&TIMELINE, (room, order), &known.to_stored());
    let place = StoredPlace { room_id: room.to_owned(), place: Place::Timeline(order) };
    // A message of this server's people was just made; anything else may be known without a place.
    match event.state_key().is_none() && event.sender().server_name() == server && !moves_outliers {
        true => writes.add(&EVENTS, event.id().as_str(), &place),
        false => writes.put(&EVENTS, event.id().as_str(), &place),
    }
    if new.after_gap {
        writes.put(&GAPS, (room, order), &());
        write_hole(&known, writes);
    }
    for event in &new.members {
        let Some(user) = target_of(event) else { continue };
        let membership = membership_of(event);
        writes.put(&MEMBERSHIPS, (user.as_str(), room), &MembershipRow::of(event, position).stored());
        if user.server_name() == server {
            writes.add(&MEMBERSHIP_LOG, (user.as_str(), position), &room.to_owned());
            if membership != Membership::Invite && membership != Membership::Knock {
                writes.delete(&STRIPPED, (user.as_str(), room));
            }
        }
    }
    if let Some(relation) = Relation::of(known.event()) {
        write_relation(event, &relation, order, writes);
        if relation.rel_type == "m.thread" {
            writes.put(&THREADS, (room, relation.event_id.as_str()), &order);
        }
    }
}

pub(crate) fn write_relation(event: &Event, relation: &Relation, order: i64, writes: &mut Writes) {
    let (target, sender, kind) = (relation.event_id.as_str(), event.sender().as_str(), event.kind().to_string());
    if let Some(key) = relation.annotation_key() {
        writes.put(&ANNOTATIONS, (target, sender, kind.as_str(), key), &event.id().to_string());
    }
    let row = StoredRelation { event_id: event.id().to_string(), sender: sender.to_owned(), kind };
    writes.put(&RELATIONS, (target, relation.rel_type.as_str(), order), &row);
}

/// Lets readers see what is durable now.
fn publish(
    shared: &Shared,
    room: &Room,
    snapshot: Arc<Snapshot>,
    (new, first): (&[New], Position),
    replaced: &[Arc<Known>],
    sending: Option<&TransactionKey>,
) {
    if !replaced.is_empty() {
        shared.replaced.fetch_add(1, Ordering::AcqRel);
    }
    let mut live = room.live.write();
    for known in replaced {
        shared.known.insert(known.id().clone(), known.clone());
        if let Some(live) = &mut *live {
            live.replace(known);
        }
    }
    let live = live.get_or_insert_with(|| crate::room::Live::new(snapshot.clone(), Default::default(), i64::MIN));
    for (one, position) in new.iter().zip(first.0..) {
        let known = Arc::new(one.at(position.cast_signed()));
        shared.known.insert(known.id().clone(), known.clone());
        live.push(known);
    }
    live.snapshot = snapshot;
    for (one, position) in new.iter().zip(first.0..) {
        for event in &one.members {
            if let Some(user) = target_of(event) {
                shared.memberships.changed(&user, MembershipRow::of(event, position));
            }
        }
    }
    let mut queued = room.queued.lock();
    for one in new {
        queued.remove(one.event.id());
    }
    if let Some(key) = sending {
        room.sending.lock().remove(key);
    }
}
