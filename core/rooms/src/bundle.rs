//! What relates to an event, bundled into its `unsigned`: its last edit, what refers to it, the thread under it.

use quick_cache::sync::Cache;
use ruma::{EventId, OwnedEventId, OwnedUserId, events::TimelineEventType};
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};
use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
};

use crate::{
    Known, Looker, Relation, Result, Rooms, Unsigned,
    tables::{RELATIONS, StoredRelation},
};

/// Edits looked through for the last valid one.
const EDITS_MAX: usize = 20;
/// Referring events that one bundle names.
const REFERENCES_MAX: usize = 200;
/// Events of one thread that are counted.
const THREAD_EVENTS_MAX: usize = 50_000;
/// Threads whose summaries are kept in memory.
pub(crate) const THREADS_IN_MEMORY_MAX: usize = 2_000;

/// A thread, counted up to some order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Thread {
    counted_to: i64,
    count: u64,
    latest: Option<OwnedEventId>,
    writers: HashSet<OwnedUserId>,
    /// How many replacements by redaction there had been: a redacted event is in no thread.
    replaced: u64,
}

pub(crate) type Threads = Cache<OwnedEventId, Arc<Thread>>;

#[derive(Serialize)]
struct ThreadBundle {
    latest_event: Box<RawValue>,
    count: u64,
    current_user_participated: bool,
}

impl Rooms {
    /// What relates to an event, as one who looks is shown it; `None` if nothing does.
    pub(crate) async fn bundle(&self, known: &Known, looker: Looker<'_>) -> Result<Option<Box<RawValue>>> {
        if known.redacted_by().is_some() {
            return Ok(None);
        }
        // Most events have nothing that relates to them: one look tells.
        let any = RELATIONS.prefix((known.id().as_str(),)).limit(1);
        if self.store().scan(&RELATIONS, any).await?.is_empty() {
            return Ok(None);
        }
        let mut relations = serde_json::Map::new();
        if let Some(edit) = self.last_edit(known).await? {
            let form = edit.client_form(&Unsigned::of(&edit, looker, None));
            relations.insert("m.replace".to_owned(), raw_value(&form));
        }
        let references = self.related(known.id(), "m.reference", REFERENCES_MAX).await?;
        if !references.is_empty() {
            let chunk: Vec<_> = references.iter().map(|row| json!({"event_id": row.event_id})).collect();
            relations.insert("m.reference".to_owned(), json!({ "chunk": chunk }));
        }
        // A thread's root is in no thread itself.
        if Relation::of(known.event()).is_none_or(|relation| relation.rel_type != "m.thread")
            && let Some(thread) = self.thread_bundle(known.id(), looker).await?
        {
            relations.insert("m.thread".to_owned(), thread);
        }
        Ok((!relations.is_empty()).then(|| serde_json::value::to_raw_value(&relations).ok()).flatten())
    }

    async fn related(&self, event: &EventId, rel_type: &str, limit: usize) -> Result<Vec<StoredRelation>> {
        let scan = RELATIONS.prefix((event.as_str(), rel_type)).limit(limit);
        Ok(self.store().scan(&RELATIONS, scan).await?.into_iter().map(|(_, row)| row).collect())
    }

    /// The last valid edit of an event (spec, "Validity of replacement events").
    pub async fn last_edit(&self, known: &Known) -> Result<Option<Arc<Known>>> {
        let event = known.event();
        let encrypted_or_message = event.state_key().is_none();
        if !encrypted_or_message || Relation::of(event).is_some_and(|relation| relation.rel_type == "m.replace") {
            return Ok(None);
        }
        let scan = RELATIONS.prefix((event.id().as_str(), "m.replace")).reversed().limit(EDITS_MAX);
        for (_, row) in self.store().scan(&RELATIONS, scan).await? {
            if row.sender != event.sender().as_str() || TimelineEventType::from(row.kind.as_str()) != *event.kind() {
                continue;
            }
            let Ok(id) = OwnedEventId::try_from(row.event_id) else { continue };
            if let Some(edit) = self.known(&id).await?
                && edit.event().room() == event.room()
                && edit.event().state_key().is_none()
                && edit.redacted_by().is_none()
                && edit.order().is_some()
                && edit.event().content().get().contains("m.new_content")
            {
                return Ok(Some(edit));
            }
        }
        Ok(None)
    }

    async fn thread_bundle(&self, root: &OwnedEventId, looker: Looker<'_>) -> Result<Option<Value>> {
        let thread = self.thread(root).await?;
        let Some(latest) = &thread.latest else { return Ok(None) };
        let Some(latest) = self.known(latest).await? else { return Ok(None) };
        let mut unsigned = Unsigned::of(&latest, looker, None);
        if let Some(edit) = self.last_edit(&latest).await? {
            let form = edit.client_form(&Unsigned::of(&edit, looker, None));
            unsigned.relations = serde_json::value::to_raw_value(&json!({"m.replace": raw_value(&form)})).ok();
        }
        let root_is_own = self.known(root).await?.is_some_and(|known| known.event().sender() == looker.user);
        let bundle = ThreadBundle {
            latest_event: latest.client_form(&unsigned),
            count: thread.count,
            current_user_participated: root_is_own || thread.writers.contains(looker.user),
        };
        Ok(serde_json::to_value(&bundle).ok())
    }

    /// A thread, counted up to now.
    pub(crate) async fn thread(&self, root: &OwnedEventId) -> Result<Arc<Thread>> {
        let replaced = self.0.replaced.load(Ordering::Acquire);
        let cached = self.0.threads.get(root).filter(|thread| thread.replaced == replaced);
        let mut thread =
            cached.as_deref().cloned().unwrap_or(Thread { counted_to: i64::MIN, replaced, ..Thread::default() });
        let key = (root.as_str(), "m.thread", thread.counted_to);
        let scan = RELATIONS.prefix((root.as_str(), "m.thread")).after(&RELATIONS, key).limit(THREAD_EVENTS_MAX);
        let rows = self.store().scan(&RELATIONS, scan).await?;
        if rows.is_empty()
            && let Some(cached) = cached
        {
            return Ok(cached);
        }
        for ((_, _, order), row) in rows {
            thread.counted_to = order;
            thread.count += 1;
            thread.latest = row.event_id.try_into().ok();
            thread.writers.extend(OwnedUserId::try_from(row.sender));
        }
        let thread = Arc::new(thread);
        if thread.latest.is_some() {
            self.0.threads.insert(root.clone(), thread.clone());
        }
        Ok(thread)
    }
}

impl Thread {
    /// Whether a person wrote in it.
    pub(crate) fn has_writer(&self, user: &ruma::UserId) -> bool {
        self.writers.contains(user)
    }

    /// Whether anything in it is still there.
    pub(crate) fn is_written_in(&self) -> bool {
        self.count > 0
    }
}

fn raw_value(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap_or_default()
}
