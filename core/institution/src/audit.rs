//! The audit chain: who did or read what, why, when, over whom. Each row holds the hash of the one before and this server's
//! signature, and is written in the batch of the act it tells of.

mod row;
mod verify;

use lyceum_events::{Clock, ServerKey};
use lyceum_storage::{Batch, Position, Store};
use ruma::OwnedUserId;
use serde_json::Value;
use std::{fmt, sync::Arc};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::{
    InstitutionError, Result,
    tables::{AUDIT, AUDIT_END, AUDIT_KEYS, StoredEnd},
};

pub use verify::{Checked, Verifier};

/// Rows read at once.
pub const PAGE_ROWS_MAX: usize = 5_000;

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A person.
    Person(OwnedUserId),
    /// Whoever gives orders on the server's own machine.
    Operator,
    /// The server by itself.
    Server,
    /// A program with a token of this name.
    Program(String),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(user) => f.write_str(user.as_str()),
            Self::Operator => f.write_str("operator"),
            Self::Server => f.write_str("server"),
            Self::Program(name) => write!(f, "program {name}"),
        }
    }
}

/// A privileged act, as it is told to the chain.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// Who.
    pub who: &'a Actor,
    /// What was done, by name: `person.change`.
    pub act: &'static str,
    /// Whom or what it was done to.
    pub over: Option<String>,
    /// Why, as they said.
    pub why: Option<&'a str>,
    /// The particulars.
    pub what: Value,
}

impl<'a> Entry<'a> {
    /// An act without particulars.
    pub fn new(who: &'a Actor, act: &'static str) -> Self {
        Self { who, act, over: None, why: None, what: Value::Object(serde_json::Map::new()) }
    }
}

/// The audit chain. Cheap to clone.
#[derive(Clone)]
pub struct Audit {
    store: Store,
    key: ServerKey,
    clock: Arc<dyn Clock>,
    /// The chain's end while nobody adds to it; unknown before the first row and after a failure.
    end: Arc<Mutex<Option<StoredEnd>>>,
}

/// The end of the chain in hand: nobody else adds rows before this is committed or let go.
pub struct Held {
    audit: Audit,
    guard: OwnedMutexGuard<Option<StoredEnd>>,
    /// The end before anything was added.
    before: Option<StoredEnd>,
    end: StoredEnd,
}

impl Audit {
    pub(crate) fn new(store: Store, key: ServerKey, clock: Arc<dyn Clock>) -> Self {
        Self { store, key, clock, end: Arc::default() }
    }

    /// Takes the chain's end in hand.
    pub async fn hold(&self) -> Result<Held> {
        let guard = self.end.clone().lock_owned().await;
        let before = match &*guard {
            Some(end) => Some(end.clone()),
            None => self.store.get(&AUDIT_END, ()).await?,
        };
        let end = before.clone().unwrap_or_default();
        Ok(Held { audit: self.clone(), guard, before, end })
    }

    /// Writes one row that stands for itself: a privileged read.
    pub async fn note(&self, entry: &Entry<'_>) -> Result<()> {
        const TRIES: usize = 5;
        for _ in 0..TRIES {
            let (mut held, mut batch) = (self.hold().await?, Batch::new());
            held.add(&mut batch, entry)?;
            match held.commit(batch).await {
                Err(InstitutionError::Busy) => {}
                done => return done.map(drop),
            }
        }
        Err(InstitutionError::Busy)
    }

    /// Rows after a number, the oldest first.
    pub async fn rows(&self, after: u64, limit: usize) -> Result<Vec<(u64, String)>> {
        let scan = AUDIT.all().after(&AUDIT, after).limit(limit.min(PAGE_ROWS_MAX));
        Ok(self.store.scan(&AUDIT, scan).await?)
    }

    /// Rows before a number, the newest first.
    pub async fn rows_before(&self, before: u64, limit: usize) -> Result<Vec<(u64, String)>> {
        let scan = AUDIT.all().before(&AUDIT, before).reversed().limit(limit.min(PAGE_ROWS_MAX));
        Ok(self.store.scan(&AUDIT, scan).await?)
    }

    /// A verifier that knows the keys this server signed with.
    pub async fn verifier(&self) -> Result<Verifier> {
        let mut keys = self.store.scan(&AUDIT_KEYS, AUDIT_KEYS.all()).await?;
        keys.retain(|(id, _)| *id != self.key.id());
        keys.push((self.key.id(), self.key.public_key()));
        Ok(Verifier::new(keys))
    }

    /// Walks over the whole chain: every row must be there, in its place, and as it was written.
    pub async fn verify(&self) -> Result<Checked> {
        let (mut verifier, mut after) = (self.verifier().await?, 0);
        let end = self.store.get(&AUDIT_END, ()).await?.unwrap_or_default();
        loop {
            let page = self.rows(after, PAGE_ROWS_MAX).await?;
            for (number, line) in &page {
                verifier.take(*number, line);
            }
            match page.last() {
                Some((last, _)) => after = *last,
                None => return Ok(verifier.finish(Some((end.number, &end.hash)))),
            }
        }
    }
}

impl Held {
    /// Adds a row to the batch of the act it tells of.
    pub fn add(&mut self, batch: &mut Batch, entry: &Entry<'_>) -> Result<()> {
        let key = &self.audit.key;
        let line = row::write(entry, &self.end, self.audit.clock.now().get().into(), key)?;
        if self.end.key != key.id() {
            batch.put(&AUDIT_KEYS, &key.id(), &key.public_key());
        }
        self.end = StoredEnd { number: self.end.number + 1, hash: row::hash(&line), key: key.id() };
        batch.put(&AUDIT, self.end.number, &line);
        Ok(())
    }

    /// Ties the batch to the chain's end as it was found, so that no other node's row is written over.
    pub fn tie(&self, batch: &mut Batch) {
        if self.before.as_ref() != Some(&self.end) && self.end.number > 0 {
            batch.expect(&AUDIT_END, (), self.before.as_ref()).put(&AUDIT_END, (), &self.end);
        }
    }

    /// Commits the batch with the rows added to it.
    pub async fn commit(self, mut batch: Batch) -> Result<Position> {
        self.tie(&mut batch);
        let committed = self.audit.store.commit(batch).await;
        self.done(committed.is_ok());
        Ok(committed?)
    }

    /// Lets the chain go after another writer has committed the batch that was tied to it, or has not.
    pub fn done(self, committed: bool) {
        let Self { mut guard, end, .. } = self;
        // After a failure nobody knows what the store holds: it is read again.
        *guard = committed.then_some(end).filter(|end| end.number > 0);
    }
}
