//! Writing the index.

use lyceum_storage::Position;
use std::collections::HashMap;
use tantivy::{IndexWriter, TantivyDocument, Term};

use crate::{
    error::Result,
    index::{Change, Entry, Index},
};

/// What the writer gathers in memory before it writes a segment.
const WRITER_BYTES: usize = 20_000_000;
/// What writes, and what it has written that is not committed.
pub(crate) struct Pen {
    writer: IndexWriter,
    /// By edit: the event that has its text now.
    edited: HashMap<String, String>,
    /// Whether there is anything to commit.
    dirty: bool,
}

impl Index {
    /// Makes changes, to be seen after the next commit.
    pub(crate) fn apply(&self, changes: Vec<Change>) -> Result<()> {
        self.with_pen(|pen| changes.into_iter().try_for_each(|change| self.make(change, pen)))
    }

    /// Empties the index, seen after the next commit.
    pub(crate) fn clear(&self) -> Result<()> {
        self.with_pen(|pen| Ok(pen.writer.delete_all_documents().map(drop)?))
    }

    /// Forgets the changes since the last commit.
    pub(crate) fn discard(&self) {
        *self.pen.lock() = None;
    }

    /// Makes all changes durable and visible, together with how far the stream was followed.
    pub(crate) fn commit(&self, through: Position) -> Result<()> {
        self.with_pen(|pen| {
            let mut prepared = pen.writer.prepare_commit()?;
            prepared.set_payload(&through.0.to_string());
            prepared.commit()?;
            pen.edited.clear();
            pen.dirty = false;
            Ok(())
        })?;
        Ok(self.reader.reload()?)
    }

    fn make(&self, change: Change, pen: &mut Pen) -> Result<()> {
        pen.dirty = true;
        match change {
            Change::Add(entry) => self.add(*entry, pen)?,
            Change::Put(entry) => {
                pen.writer.delete_term(Term::from_field_text(self.fields.event, &entry.event));
                self.add(*entry, pen)?;
            }
            Change::Remove(event) => {
                pen.writer.delete_term(Term::from_field_text(self.fields.event, &event));
            }
            Change::RemoveRoom(room) => {
                pen.writer.delete_term(Term::from_field_text(self.fields.room, &room));
            }
        }
        Ok(())
    }

    fn add(&self, entry: Entry, pen: &mut Pen) -> Result<()> {
        pen.writer.add_document(self.document(&entry))?;
        if let Some(edit) = entry.edit {
            pen.edited.insert(edit, entry.event);
        }
        Ok(())
    }

    /// The event that was given the text of an edit since the last commit.
    pub(crate) fn edited_lately(&self, edit: &str) -> Option<String> {
        self.pen.lock().as_ref()?.edited.get(edit).cloned()
    }

    /// Whether anything was changed since the last commit.
    pub(crate) fn has_uncommitted(&self) -> bool {
        self.pen.lock().as_ref().is_some_and(|pen| pen.dirty)
    }

    fn with_pen<T>(&self, act: impl FnOnce(&mut Pen) -> Result<T>) -> Result<T> {
        let mut pen = self.pen.lock();
        let held = match pen.as_mut() {
            Some(held) => held,
            None => {
                let writer = self.engine.writer_with_num_threads(1, WRITER_BYTES)?;
                pen.insert(Pen { writer, edited: HashMap::new(), dirty: false })
            }
        };
        let done = act(held);
        if done.is_err() {
            // What it has gathered is gathered again: the position has not moved.
            *pen = None;
        }
        done
    }

    fn document(&self, entry: &Entry) -> TantivyDocument {
        let mut document = TantivyDocument::default();
        document.add_text(self.fields.event, &entry.event);
        document.add_text(self.fields.room, &entry.room);
        document.add_text(self.fields.sender, &entry.sender);
        if let Some(edit) = &entry.edit {
            document.add_text(self.fields.edit, edit);
        }
        document.add_i64(self.fields.order, entry.order);
        document.add_text(self.fields.of(entry.key), &entry.text);
        document
    }
}
