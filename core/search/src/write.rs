//! Writing the index.

use lyceum_storage::Position;
use std::collections::{HashMap, HashSet};
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
    /// The rooms of which it has something.
    rooms: HashSet<String>,
    /// Whether there is anything to commit.
    dirty: bool,
    /// Whether words were taken out that are not to stay on the disk.
    purged: bool,
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
            pen.rooms.clear();
            pen.dirty = false;
            if pen.purged {
                self.write_anew(pen)?;
                pen.purged = false;
            }
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
                let term = Term::from_field_text(self.fields.room, &room);
                // Asked for whenever something happens in an encrypted room, of which there is nothing most of the time.
                pen.purged |= pen.rooms.contains(&room) || self.reader.searcher().doc_freq(&term)? > 0;
                pen.writer.delete_term(term);
            }
            Change::RemoveBetween(room, first, last) => {
                pen.writer.delete_query(Box::new(self.between(&room, first, last)))?;
                pen.purged = true;
            }
        }
        Ok(())
    }

    /// Writes the segments anew that hold something deleted: until then it is only marked, and its words are still there.
    fn write_anew(&self, pen: &mut Pen) -> Result<()> {
        for segment in self.engine.searchable_segment_metas()? {
            if segment.num_deleted_docs() > 0 {
                // One that is being merged with others at the moment is written anew by that.
                if let Err(error) = pen.writer.merge(&[segment.id()]).wait() {
                    tracing::debug!(%error, "a segment of the search index is being written by others");
                }
            }
        }
        pen.writer.garbage_collect_files().wait()?;
        Ok(())
    }

    fn add(&self, entry: Entry, pen: &mut Pen) -> Result<()> {
        pen.writer.add_document(self.document(&entry))?;
        if !pen.rooms.contains(&entry.room) {
            pen.rooms.insert(entry.room.clone());
        }
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
                pen.insert(Pen { writer, edited: HashMap::new(), rooms: HashSet::new(), dirty: false, purged: false })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Key, Stemming, index::Sought};

    fn said(room: &str, order: i64, text: &str) -> Change {
        Change::Add(Box::new(Entry {
            event: format!("${room}{order}"),
            room: room.to_owned(),
            sender: "@ada:alpha.test".to_owned(),
            edit: None,
            order,
            key: Key::Body,
            text: text.to_owned(),
        }))
    }

    fn finds(index: &Index, word: &str) -> usize {
        let (words, keys) = ([word.to_owned()], Key::ALL);
        index.count(&Sought { words: &words, keys: &keys, rooms: None, sender: None, before: None }).unwrap()
    }

    /// In how many entries a word stands on the disk, those that are only marked as deleted among them.
    fn holds(index: &Index, word: &str) -> u64 {
        index.reader.searcher().doc_freq(&Term::from_field_text(index.fields.of(Key::Body), word)).unwrap()
    }

    #[test]
    fn what_is_purged_is_not_on_the_disk_any_more() {
        let directory = tempfile::tempdir().unwrap();
        let index = Index::open(directory.path(), Stemming::None).unwrap();
        let all = ["!a", "!b"].map(|room| (1..=4).map(move |order| said(room, order, &format!("word{order}"))));
        index.apply(all.into_iter().flatten().collect()).unwrap();
        index.commit(Position(1)).unwrap();
        index.apply(vec![said("!a", 5, "word5"), Change::RemoveBetween("!a".to_owned(), 2, 5)]).unwrap();
        index.commit(Position(2)).unwrap();
        let left = ["word1", "word2", "word3", "word4", "word5"];
        assert_eq!(left.map(|word| finds(&index, word)), [2, 1, 1, 1, 0], "what waited to be committed as well");
        assert_eq!(left.map(|word| holds(&index, word)), [2, 1, 1, 1, 0]);
        index.apply(vec![Change::RemoveRoom("!b".to_owned())]).unwrap();
        index.commit(Position(3)).unwrap();
        assert_eq!(left.map(|word| holds(&index, word)), [1, 0, 0, 0, 0]);
        index.apply(vec![said("!c", 1, "word2"), Change::RemoveRoom("!c".to_owned())]).unwrap();
        index.commit(Position(3)).unwrap();
        assert_eq!(left.map(|word| holds(&index, word)), [1, 0, 0, 0, 0]);
        assert_eq!(index.position().unwrap(), Some(Position(3)));
        drop(index);
        let index = Index::open(directory.path(), Stemming::None).unwrap();
        assert_eq!((finds(&index, "word1"), index.position().unwrap()), (1, Some(Position(3))));
    }
}
