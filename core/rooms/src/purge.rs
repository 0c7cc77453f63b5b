//! Forgetting a room, as if this server had never been in it. First the room itself goes, in one batch, after which nobody
//! finds it; then, a page at a time, everything that was kept of it. Whoever was cut off on the way begins again where there
//! is something left. What remains: for each person of this server how they left, which their clients may not have seen yet,
//! and reports.

use lyceum_storage::{Batch, CommitError, Scan, Subject, Table};
use ruma::{OwnedUserId, RoomId, RoomVersionId, room_version_rules::RoomVersionRules};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Known, Place, Relation, Result, RoomError, Rooms,
    client_form::base_of,
    rooms::version_of,
    tables::{
        ALIASES, ANNOTATIONS, ARCHIVE, EARLIER, EVENTS, GAPS, HEADS, HELD, HOLES, LISTED, LISTED_BY_NETWORK,
        MEMBERSHIPS, OUTLIERS, PARTIAL, PARTIAL_ASIDE, PURGING, RECEIPTS, RECEIPTS_MOVED, REDACTIONS_AHEAD, RELATIONS,
        ROOM_ALIASES, STATE_GROUPS, STRIPPED, SUBSCRIPTIONS, THREADS, TIMELINE, VERSIONS, WHOLE_SINCE,
    },
    write::target_of,
};

/// Events forgotten in one batch.
const PAGE: usize = 200;
/// Other rows removed in one batch.
const ROWS: usize = 1_000;

impl Rooms {
    /// Forgets a room that nobody of this server is in. Rooms that are not known are forgotten already.
    pub async fn purge(&self, room: &RoomId) -> Result<()> {
        if !self.take_out_of_sight(room).await? {
            return Ok(());
        }
        let version = self.store().get(&VERSIONS, room.as_str()).await?;
        let rules = version_of(version.as_deref().unwrap_or(RoomVersionId::V1.as_str()))?.1;
        self.purge_timeline(room, &rules).await?;
        self.purge_outliers(room, &rules).await?;
        self.purge_indexes(room).await?;
        let key = room.to_owned();
        self.0.states.retain(|(of, _), _| *of != key);
        let mut batch = Batch::new();
        batch.delete(&PURGING, room.as_str()).delete(&VERSIONS, room.as_str());
        self.store().commit(batch).await?;
        Ok(())
    }

    /// The first step. Answers whether there is anything to forget.
    async fn take_out_of_sight(&self, room_id: &RoomId) -> Result<bool> {
        let id = room_id.as_str();
        let room = self.room(room_id);
        let mut head = room.writer.clone().lock_owned().await;
        let Some(stored) = self.store().get(&HEADS, id).await? else {
            return Ok(self.store().get(&PURGING, id).await?.is_some());
        };
        let mut batch = Batch::new();
        // The version is needed to read what is still there.
        batch.put(&PURGING, id, &()).put(&VERSIONS, id, &stored.room_version);
        batch.expect(&HEADS, id, Some(&stored)).delete(&HEADS, id);
        batch.delete(&LISTED, id).delete(&EARLIER, id);
        batch.touch(Subject::room(room_id)).touch(Subject::other("directory"));
        let seen = room.clone();
        batch.after_commit(move |_| *seen.live.write() = None);
        match self.store().commit(batch).await {
            // Somebody wrote to the room just now: what they wrote is forgotten at the next try.
            Err(CommitError::Conflict(_)) => return Err(RoomError::Busy),
            done => done?,
        };
        *head = None;
        room.queued.lock().clear();
        room.sending.lock().clear();
        Ok(true)
    }

    async fn purge_timeline(&self, room: &RoomId, rules: &RoomVersionRules) -> Result<()> {
        loop {
            let page = self.store().scan(&TIMELINE, TIMELINE.prefix((room.as_str(),)).limit(PAGE)).await?;
            if page.is_empty() {
                return Ok(());
            }
            let mut batch = Batch::new();
            for ((_, order), stored) in page {
                batch.delete(&TIMELINE, (room.as_str(), order));
                let known = Known::from_stored(stored, Place::Timeline(order), rules)?;
                self.forget_event(room, &known, &mut batch).await?;
            }
            self.store().commit(batch).await?;
        }
    }

    /// Outliers are kept by their ids alone: all of them are looked at.
    async fn purge_outliers(&self, room: &RoomId, rules: &RoomVersionRules) -> Result<()> {
        let mut after: Option<String> = None;
        loop {
            let scan = match &after {
                Some(id) => OUTLIERS.all().after(&OUTLIERS, id),
                None => OUTLIERS.all(),
            };
            let page = self.store().scan(&OUTLIERS, scan.limit(PAGE)).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            let places = self.store().get_many(&EVENTS, page.iter().map(|(id, _)| id.as_str())).await?;
            let mut batch = Batch::new();
            for ((id, stored), place) in page.into_iter().zip(places) {
                if let Some(place) = place.filter(|place| place.room_id == room.as_str()) {
                    batch.delete(&OUTLIERS, id.as_str());
                    let known = Known::from_stored(stored, place.place, rules)?;
                    self.forget_event(room, &known, &mut batch).await?;
                }
            }
            if !batch.is_empty() {
                self.store().commit(batch).await?;
            }
        }
    }

    /// Everything that is kept because of one event.
    pub(crate) async fn forget_event(&self, room: &RoomId, known: &Known, batch: &mut Batch) -> Result<()> {
        let (event, order) = (known.event(), known.order());
        batch.delete(&EVENTS, event.id().as_str()).delete(&ARCHIVE, event.id().as_str());
        if let Some(redacts) = event.redacts() {
            batch.delete(&REDACTIONS_AHEAD, redacts.as_str());
        }
        if let (Some(relation), Some(order)) = (Relation::of(event), order) {
            let (target, kind) = (relation.event_id.as_str(), event.kind().to_string());
            batch.delete(&RELATIONS, (target, relation.rel_type.as_str(), order));
            if let Some(key) = relation.annotation_key() {
                batch.delete(&ANNOTATIONS, (target, event.sender().as_str(), kind.as_str(), key));
            }
        }
        if let Some(user) = target_of(event) {
            self.forget_membership(room, user, known, batch).await?;
        }
        let (shared, id) = (self.0.clone(), event.id().clone());
        batch.after_commit(move |_| drop(shared.known.remove(&id)));
        Ok(())
    }

    /// What is kept of a person because of a membership event. Whoever is of this server keeps how they left, apart from those
    /// who wanted to forget the room.
    async fn forget_membership(
        &self,
        room: &RoomId,
        user: OwnedUserId,
        known: &Known,
        batch: &mut Batch,
    ) -> Result<()> {
        let key = (user.as_str(), room.as_str());
        let row = self.store().get(&MEMBERSHIPS, key).await?;
        let holds = row.as_ref().is_some_and(|row| row.event_id == known.id().as_str());
        if !holds {
            return Ok(());
        }
        match row.filter(|row| self.is_local(&user) && !row.forgotten) {
            Some(_) => batch.put(&STRIPPED, key, &vec![base_of(known.event()).into_string()]),
            None => batch.delete(&MEMBERSHIPS, key),
        };
        if self.is_local(&user) {
            let scan = SUBSCRIPTIONS.prefix(key).limit(ROWS);
            for ((user, room, root), _) in self.store().scan(&SUBSCRIPTIONS, scan).await? {
                batch.delete(&SUBSCRIPTIONS, (user.as_str(), room.as_str(), root.as_str()));
            }
        }
        let shared = self.0.clone();
        batch.after_commit(move |_| shared.memberships.drop_user(&user));
        Ok(())
    }

    async fn purge_indexes(&self, room: &RoomId) -> Result<()> {
        let id = room.as_str();
        let of_room = |limit| ROOM_ALIASES.prefix((id,)).limit(limit);
        for ((_, alias), ()) in self.store().scan(&ROOM_ALIASES, of_room(ROWS)).await? {
            let mut batch = Batch::new();
            batch.delete(&ROOM_ALIASES, (id, alias.as_str())).delete(&ALIASES, alias.as_str());
            self.store().commit(batch).await?;
        }
        let mut batch = Batch::new();
        batch.delete(&PARTIAL, id).delete(&WHOLE_SINCE, id);
        self.store().commit(batch).await?;
        self.clear(
            &PARTIAL_ASIDE,
            || PARTIAL_ASIDE.prefix((id,)),
            |batch, (_, event)| {
                batch.delete(&PARTIAL_ASIDE, (id, event.as_str()));
            },
        )
        .await?;
        self.clear(
            &STATE_GROUPS,
            || STATE_GROUPS.prefix((id,)),
            |batch, (_, group)| {
                batch.delete(&STATE_GROUPS, (id, group));
            },
        )
        .await?;
        self.clear(
            &THREADS,
            || THREADS.prefix((id,)),
            |batch, (_, root)| {
                batch.delete(&THREADS, (id, root.as_str()));
            },
        )
        .await?;
        self.clear(
            &GAPS,
            || GAPS.prefix((id,)),
            |batch, (_, order)| {
                batch.delete(&GAPS, (id, order));
            },
        )
        .await?;
        self.clear(
            &HOLES,
            || HOLES.prefix((id,)),
            |batch, (_, order)| {
                batch.delete(&HOLES, (id, order));
            },
        )
        .await?;
        self.clear(
            &RECEIPTS,
            || RECEIPTS.prefix((id,)),
            |batch, (_, user, kind, thread)| {
                batch.delete(&RECEIPTS, (id, user.as_str(), kind, thread.as_str()));
            },
        )
        .await?;
        self.clear(
            &RECEIPTS_MOVED,
            || RECEIPTS_MOVED.prefix((id,)),
            |batch, (_, position)| {
                batch.delete(&RECEIPTS_MOVED, (id, position));
            },
        )
        .await?;
        self.purge_listings(id).await
    }

    /// Removes all rows that a scan finds.
    async fn clear<K: lyceum_storage::Key, V: Serialize + DeserializeOwned>(
        &self,
        table: &Table<K, V>,
        rows: impl Fn() -> Scan<K, V>,
        delete: impl Fn(&mut Batch, K),
    ) -> Result<()> {
        loop {
            let page = self.store().scan(table, rows().limit(ROWS)).await?;
            if page.is_empty() {
                return Ok(());
            }
            let mut batch = Batch::new();
            page.into_iter().for_each(|(key, _)| delete(&mut batch, key));
            self.store().commit(batch).await?;
        }
    }

    /// What names the room among others: both tables are short.
    async fn purge_listings(&self, room: &str) -> Result<()> {
        let mut batch = Batch::new();
        let listed = self.store().scan(&LISTED_BY_NETWORK, LISTED_BY_NETWORK.all().limit(usize::MAX)).await?;
        for ((network, _), ()) in listed.iter().filter(|((_, listed), ())| listed == room) {
            batch.delete(&LISTED_BY_NETWORK, (network.as_str(), room));
        }
        let held = self.store().scan(&HELD, HELD.all().limit(usize::MAX)).await?;
        for (id, _) in held.iter().filter(|(_, held)| held.room_id == room) {
            batch.delete(&HELD, id.as_str());
        }
        if !batch.is_empty() {
            self.store().commit(batch).await?;
        }
        Ok(())
    }
}
