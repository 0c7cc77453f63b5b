//! The index: tantivy behind the few words that search needs. Everything here blocks.

use lyceum_storage::Position;
use parking_lot::Mutex;
use std::{collections::BTreeSet, fs, ops::Bound, path::Path};
use tantivy::{
    DocAddress, Index as Engine, IndexReader, Order, ReloadPolicy, Searcher, TantivyDocument, Term,
    collector::{Count, TopDocs},
    query::{BooleanQuery, ConstScoreQuery, Occur, Query, RangeQuery, TermQuery, TermSetQuery},
    schema::{FAST, Field, INDEXED, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions, Value},
    tokenizer::{AsciiFoldingFilter, Language, LowerCaser, RemoveLongFilter, SimpleTokenizer, Stemmer, TextAnalyzer},
};

use crate::{Key, Stemming, error::Result, write::Pen};

/// Changes with the fields: an index of another form is made anew.
const FORM: u32 = 1;
/// The file that says of which form and language the index is.
const FORM_FILE: &str = "form";
/// How words are taken apart.
const ANALYZER: &str = "words";
/// Longer words are not indexed: they are no words.
const WORD_BYTES_MAX: usize = 64;
/// Words of one search that count.
const WORDS_MAX: usize = 32;

/// What is indexed of an event.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) event: String,
    pub(crate) room: String,
    pub(crate) sender: String,
    /// The edit whose text it is.
    pub(crate) edit: Option<String>,
    pub(crate) order: i64,
    pub(crate) key: Key,
    pub(crate) text: String,
}

/// One change of the index.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// The event, of which nothing is in the index, says this.
    Add(Box<Entry>),
    /// The event says this now.
    Put(Box<Entry>),
    /// The event says nothing any more.
    Remove(String),
    /// Nothing of the room is to be found.
    RemoveRoom(String),
    /// Nothing of the room between two orders is to be found.
    RemoveBetween(String, i64, i64),
}

/// What is looked for in the index.
#[derive(Debug, Clone)]
pub(crate) struct Sought<'a> {
    pub(crate) words: &'a [String],
    pub(crate) keys: &'a [Key],
    /// In one of these; nothing: in any.
    pub(crate) rooms: Option<&'a [String]>,
    pub(crate) sender: Option<&'a str>,
    /// Only events before this order.
    pub(crate) before: Option<i64>,
}

/// An entry that was found.
#[derive(Debug, Clone)]
pub(crate) struct Match {
    pub(crate) event: String,
    pub(crate) rank: f32,
    pub(crate) order: i64,
}

pub(crate) struct Fields {
    pub(crate) event: Field,
    pub(crate) room: Field,
    pub(crate) sender: Field,
    pub(crate) edit: Field,
    pub(crate) order: Field,
    body: Field,
    name: Field,
    topic: Field,
}

impl Fields {
    pub(crate) fn of(&self, key: Key) -> Field {
        match key {
            Key::Body => self.body,
            Key::Name => self.name,
            Key::Topic => self.topic,
        }
    }
}

/// The index.
pub(crate) struct Index {
    pub(crate) engine: Engine,
    pub(crate) fields: Fields,
    pub(crate) reader: IndexReader,
    /// Made when there is a first thing to write.
    pub(crate) pen: Mutex<Option<Pen>>,
}

impl Index {
    /// Opens the index in a directory. One that cannot be read, or is of another form or language, is begun anew.
    pub(crate) fn open(directory: &Path, language: Stemming) -> Result<Self> {
        let form = format!("{FORM} {language:?}");
        if fs::read_to_string(directory.join(FORM_FILE)).is_ok_and(|found| found == form) {
            match Engine::open_in_dir(directory).map_err(Into::into).and_then(|engine| Self::over(engine, language)) {
                Ok(index) => return Ok(index),
                Err(error) => tracing::warn!(%error, "the search index cannot be read and is made anew"),
            }
        }
        if directory.exists() {
            fs::remove_dir_all(directory)?;
        }
        fs::create_dir_all(directory)?;
        let index = Self::over(Engine::create_in_dir(directory, schema())?, language)?;
        fs::write(directory.join(FORM_FILE), form)?;
        Ok(index)
    }

    fn over(engine: Engine, language: Stemming) -> Result<Self> {
        engine.tokenizers().register(ANALYZER, analyzer(language));
        let schema = engine.schema();
        let field = |name: &str| schema.get_field(name);
        let fields = Fields {
            event: field("event")?,
            room: field("room")?,
            sender: field("sender")?,
            edit: field("edit")?,
            order: field("order")?,
            body: field("body")?,
            name: field("name")?,
            topic: field("topic")?,
        };
        let reader = engine.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { engine, fields, reader, pen: Mutex::default() })
    }

    /// How far the stream was followed; `None`: the index has never been whole.
    pub(crate) fn position(&self) -> Result<Option<Position>> {
        let payload = self.engine.load_metas()?.payload;
        Ok(payload.and_then(|payload| payload.parse().ok()).map(Position))
    }

    /// The words of a text as they are indexed.
    pub(crate) fn words(&self, text: &str) -> Result<Vec<String>> {
        let mut analyzer = self.engine.tokenizer_for_field(self.fields.body)?;
        let (mut stream, mut words) = (analyzer.token_stream(text), Vec::new());
        while words.len() < WORDS_MAX && stream.advance() {
            words.push(stream.token().text.clone());
        }
        Ok(words)
    }

    /// The parts of a text that were found by these words, as they are written there.
    pub(crate) fn highlights(&self, text: &str, words: &[String], found: &mut BTreeSet<String>) -> Result<()> {
        let mut analyzer = self.engine.tokenizer_for_field(self.fields.body)?;
        let mut stream = analyzer.token_stream(text);
        while stream.advance() {
            let token = stream.token();
            if words.contains(&token.text)
                && let Some(written) = text.get(token.offset_from..token.offset_to)
            {
                found.insert(written.to_lowercase());
            }
        }
        Ok(())
    }

    /// The events whose text is that of this edit.
    pub(crate) fn edited_by(&self, edit: &str) -> Result<Vec<String>> {
        let searcher = self.reader.searcher();
        let query = TermQuery::new(Term::from_field_text(self.fields.edit, edit), IndexRecordOption::Basic);
        let found = searcher.search(&query, &TopDocs::with_limit(2).order_by_score())?;
        let durable = found.into_iter().map(|(_, at)| self.event_at(&searcher, at));
        durable.chain(self.edited_lately(edit).map(Ok)).collect()
    }

    /// Whether anything of a room is in the index, or was put into it since the last commit.
    pub(crate) fn may_hold(&self, room: &str) -> Result<bool> {
        let term = Term::from_field_text(self.fields.room, room);
        Ok(self.has_uncommitted() || self.reader.searcher().doc_freq(&term)? > 0)
    }

    /// The best matches after `offset`.
    pub(crate) fn best(&self, sought: &Sought<'_>, offset: usize, limit: usize) -> Result<Vec<Match>> {
        let searcher = self.reader.searcher();
        let top = TopDocs::with_limit(limit).and_offset(offset).order_by_score();
        let found = searcher.search(&self.query(sought), &top)?;
        let matched = |(rank, at)| Ok(Match { event: self.event_at(&searcher, at)?, rank, order: 0 });
        found.into_iter().map(matched).collect()
    }

    /// The latest matches.
    pub(crate) fn latest(&self, sought: &Sought<'_>, limit: usize) -> Result<Vec<Match>> {
        let searcher = self.reader.searcher();
        let top = TopDocs::with_limit(limit).order_by_fast_field::<i64>("order", Order::Desc);
        let found = searcher.search(&self.query(sought), &top)?;
        let matched = |(order, at): (Option<i64>, DocAddress)| {
            Ok(Match { event: self.event_at(&searcher, at)?, rank: 1.0, order: order.unwrap_or_default() })
        };
        found.into_iter().map(matched).collect()
    }

    /// How many there are.
    pub(crate) fn count(&self, sought: &Sought<'_>) -> Result<usize> {
        Ok(self.reader.searcher().search(&self.query(sought), &Count)?)
    }

    /// Everything of a room between two orders, these included.
    pub(crate) fn between(&self, room: &str, first: i64, last: i64) -> BooleanQuery {
        let bound = |order| Bound::Included(Term::from_field_i64(self.fields.order, order));
        let room = TermQuery::new(Term::from_field_text(self.fields.room, room), IndexRecordOption::Basic);
        let all: [Box<dyn Query>; 2] = [Box::new(room), Box::new(RangeQuery::new(bound(first), bound(last)))];
        BooleanQuery::new(all.map(|one| (Occur::Must, one)).into())
    }

    fn event_at(&self, searcher: &Searcher, at: DocAddress) -> Result<String> {
        let document: TantivyDocument = searcher.doc(at)?;
        let event = document.get_first(self.fields.event).and_then(|value| value.as_str());
        Ok(event.unwrap_or_default().to_owned())
    }

    /// Every word, each in one of the places; in one of the rooms.
    fn query(&self, sought: &Sought<'_>) -> BooleanQuery {
        let mut all: Vec<(Occur, Box<dyn Query>)> = Vec::new();
        for word in sought.words {
            let places = sought.keys.iter().map(|key| {
                let term = Term::from_field_text(self.fields.of(*key), word);
                let query: Box<dyn Query> = Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs));
                (Occur::Should, query)
            });
            all.push((Occur::Must, Box::new(BooleanQuery::new(places.collect()))));
        }
        if let Some(rooms) = sought.rooms {
            let rooms = rooms.iter().map(|room| Term::from_field_text(self.fields.room, room));
            all.push((Occur::Must, unranked(TermSetQuery::new(rooms))));
        }
        if let Some(sender) = sought.sender {
            let term = Term::from_field_text(self.fields.sender, sender);
            all.push((Occur::Must, unranked(TermQuery::new(term, IndexRecordOption::Basic))));
        }
        if let Some(before) = sought.before {
            let before = Bound::Excluded(Term::from_field_i64(self.fields.order, before));
            all.push((Occur::Must, unranked(RangeQuery::new(Bound::Unbounded, before))));
        }
        BooleanQuery::new(all)
    }
}

/// A condition that says nothing about how well something matches.
fn unranked(query: impl Query) -> Box<dyn Query> {
    Box::new(ConstScoreQuery::new(Box::new(query), 0.0))
}

fn schema() -> Schema {
    let words = TextFieldIndexing::default().set_tokenizer(ANALYZER).set_index_option(IndexRecordOption::WithFreqs);
    let words = TextOptions::default().set_indexing_options(words);
    let mut schema = Schema::builder();
    schema.add_text_field("event", STRING | STORED);
    schema.add_text_field("room", STRING);
    schema.add_text_field("sender", STRING);
    schema.add_text_field("edit", STRING);
    schema.add_i64_field("order", INDEXED | FAST);
    for key in ["body", "name", "topic"] {
        schema.add_text_field(key, words.clone());
    }
    schema.build()
}

fn analyzer(stemming: Stemming) -> TextAnalyzer {
    let words = TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(RemoveLongFilter::limit(WORD_BYTES_MAX))
        .filter(LowerCaser);
    match language(stemming) {
        // Its rules know no accents; those of other languages need them.
        Some(Language::English) => words.filter(AsciiFoldingFilter).filter(Stemmer::new(Language::English)).build(),
        Some(language) => words.filter(Stemmer::new(language)).filter(AsciiFoldingFilter).build(),
        None => words.filter(AsciiFoldingFilter).build(),
    }
}

fn language(stemming: Stemming) -> Option<Language> {
    Some(match stemming {
        Stemming::None => return None,
        Stemming::Arabic => Language::Arabic,
        Stemming::Danish => Language::Danish,
        Stemming::Dutch => Language::Dutch,
        Stemming::English => Language::English,
        Stemming::Finnish => Language::Finnish,
        Stemming::French => Language::French,
        Stemming::German => Language::German,
        Stemming::Greek => Language::Greek,
        Stemming::Hungarian => Language::Hungarian,
        Stemming::Italian => Language::Italian,
        Stemming::Norwegian => Language::Norwegian,
        Stemming::Portuguese => Language::Portuguese,
        Stemming::Romanian => Language::Romanian,
        Stemming::Russian => Language::Russian,
        Stemming::Spanish => Language::Spanish,
        Stemming::Swedish => Language::Swedish,
        Stemming::Tamil => Language::Tamil,
        Stemming::Turkish => Language::Turkish,
    })
}
