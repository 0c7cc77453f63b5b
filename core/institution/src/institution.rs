//! The handle, and how the roster comes into memory.

use lyceum_events::{Clock, ServerKey};
use lyceum_storage::{Batch, Commit, Key, Position, Scan, Store, Subject, Table};
use parking_lot::RwLock;
use ruma::{OwnedUserId, RoomId, UserId};
use serde::{Serialize, de::DeserializeOwned};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use crate::{
    InstitutionError, PartnerPeople, Result, Roster, Settings,
    audit::Audit,
    tables::{APPROVED, BLOCKS, ENROLMENTS, EXAMS, HOLDS, PERSONS, UNITS},
};

/// How a commit says that the roster changed.
pub(crate) const SUBJECT: &str = "institution";

/// Rows read at once.
const PAGE: usize = 5_000;

/// What the handle is built from.
pub struct InstitutionParts {
    /// Where everything is kept.
    pub store: Store,
    /// The key this server signs with.
    pub key: ServerKey,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The settings.
    pub settings: Settings,
}

/// Campus rules. Cheap to clone.
#[derive(Clone)]
pub struct Institution(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Arc<dyn Clock>,
    settings: Settings,
    account: OwnedUserId,
    desk: Option<OwnedUserId>,
    audit: Audit,
    key: ServerKey,
    partner_people: PartnerPeople,
    roster: RwLock<Arc<Roster>>,
    /// The last change that `roster` holds.
    through: AtomicU64,
    /// Another node has changed the roster.
    stale: AtomicBool,
}

impl Institution {
    /// The institution kept in a store.
    pub async fn open(parts: InstitutionParts) -> Result<Self> {
        let InstitutionParts { store, key, clock, settings } = parts;
        let account = UserId::parse_with_server_name(settings.account.as_str(), key.server())
            .map_err(|error| InstitutionError::Wrong(format!("the account {:?}: {error}", settings.account)))?;
        let desk = settings.desk.as_ref().filter(|_| settings.enabled);
        let desk = desk.map(|desk| UserId::parse_with_server_name(desk.account.as_str(), key.server())).transpose();
        let desk =
            desk.map_err(|error| InstitutionError::Wrong(format!("the account of the support desk: {error}")))?;
        let this = Self(Arc::new(Inner {
            audit: Audit::new(store.clone(), key.clone(), clock.clone()),
            key,
            partner_people: PartnerPeople::default(),
            roster: RwLock::default(),
            through: AtomicU64::new(0),
            stale: AtomicBool::new(true),
            account,
            desk,
            store,
            clock,
            settings,
        }));
        let observed = Arc::downgrade(&this.0);
        this.0.store.observe(move |commit| {
            if let Some(inner) = observed.upgrade() {
                inner.observe(commit);
            }
        });
        this.roster().await?;
        Ok(this)
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Whether campus rules are in force.
    pub fn is_enabled(&self) -> bool {
        self.0.settings.enabled
    }

    /// The server's own account, which makes the institution's rooms.
    pub fn account(&self) -> &UserId {
        &self.0.account
    }

    /// The account that people ask for support, if there is a desk.
    pub fn desk(&self) -> Option<&UserId> {
        self.0.desk.as_deref()
    }

    /// Whether an account is the institution's own, whose acts no rule judges and whose name nobody may register.
    pub fn is_own(&self, user: &UserId) -> bool {
        user == self.account() || self.desk() == Some(user)
    }

    /// The audit chain.
    pub fn audit(&self) -> &Audit {
        &self.0.audit
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn key(&self) -> &ServerKey {
        &self.0.key
    }

    pub(crate) fn partner_people(&self) -> &PartnerPeople {
        &self.0.partner_people
    }

    /// The time.
    pub fn now_ms(&self) -> u64 {
        self.0.clock.now().get().into()
    }

    /// What is, now.
    pub async fn roster(&self) -> Result<Arc<Roster>> {
        if self.0.stale.load(Ordering::Acquire) {
            self.reload().await?;
        }
        Ok(self.0.roster.read().clone())
    }

    /// Whether a post of somebody was approved in a room.
    pub async fn was_approved(&self, user: &UserId, room: &RoomId) -> Result<bool> {
        Ok(self.0.store.get(&APPROVED, (user.as_str(), room.as_str())).await?.is_some())
    }

    /// Remembers that a post of somebody was approved in a room.
    pub fn note_approved(&self, batch: &mut Batch, user: &UserId, room: &RoomId) {
        batch.put(&APPROVED, (user.as_str(), room.as_str()), &());
    }

    /// What a commit touches that changes the roster.
    pub fn subject() -> Subject {
        Subject::other(SUBJECT)
    }

    pub(crate) fn become_current(&self, roster: Arc<Roster>, position: Position) {
        *self.0.roster.write() = roster;
        self.0.through.store(position.0, Ordering::Release);
    }

    /// Reads the roster anew.
    pub(crate) async fn reload(&self) -> Result<()> {
        // Taken down first: what is changed while this reads is read again.
        self.0.stale.store(false, Ordering::Release);
        match self.read().await {
            Ok(roster) => *self.0.roster.write() = Arc::new(roster),
            Err(error) => {
                self.0.stale.store(true, Ordering::Release);
                return Err(error);
            }
        }
        Ok(())
    }

    async fn read(&self) -> Result<Roster> {
        let mut roster = Roster::default();
        self.each(&PERSONS, |(user, source), person| {
            roster.put_person(parse(&user)?, source, person);
            Ok(())
        })
        .await?;
        self.each(&UNITS, |(code, source), unit| {
            roster.put_unit(code, source, unit);
            Ok(())
        })
        .await?;
        self.each(&ENROLMENTS, |(user, unit, source), enrolment| {
            roster.put_enrolment(parse(&user)?, unit, source, enrolment);
            Ok(())
        })
        .await?;
        self.each(&EXAMS, |unit, exam| {
            roster.set_exam(&unit, Some(exam));
            Ok(())
        })
        .await?;
        self.each(&BLOCKS, |(user, room), block| {
            roster.set_block(&parse(&user)?, Some(&room), Some(block));
            Ok(())
        })
        .await?;
        self.each(&HOLDS, |(user, room), hold| {
            roster.set_hold(&parse(&user)?, Some(&room), Some(hold));
            Ok(())
        })
        .await?;
        Ok(roster)
    }

    /// Shows every row of a table to `take`.
    async fn each<K, V>(&self, table: &Table<K, V>, mut take: impl FnMut(K, V) -> Result<()>) -> Result<()>
    where
        K: Key + Clone + AsBorrowed,
        V: Serialize + DeserializeOwned,
    {
        let mut after: Option<K> = None;
        loop {
            let scan: Scan<K, V> = match &after {
                Some(key) => table.all().after(table, key.as_borrowed()),
                None => table.all(),
            };
            let page = self.0.store.scan(table, scan.limit(PAGE)).await?;
            let full = page.len() == PAGE;
            after = page.last().map(|(key, _)| key.clone());
            for (key, value) in page {
                take(key, value)?;
            }
            if !full {
                return Ok(());
            }
        }
    }
}

impl Inner {
    fn observe(&self, commit: &Commit) {
        let about_us =
            commit.subjects.iter().any(|subject| matches!(subject, Subject::Other(name) if &**name == SUBJECT));
        if about_us && self.through.load(Ordering::Acquire) < commit.first.0 {
            self.stale.store(true, Ordering::Release);
        }
    }
}

/// The keys of the tables that are read whole.
trait AsBorrowed: Key {
    fn as_borrowed(&self) -> Self::Borrowed<'_>;
}

impl AsBorrowed for String {
    fn as_borrowed(&self) -> &str {
        self
    }
}

impl AsBorrowed for (String, String) {
    fn as_borrowed(&self) -> (&str, &str) {
        (&self.0, &self.1)
    }
}

impl AsBorrowed for (String, String, String) {
    fn as_borrowed(&self) -> (&str, &str, &str) {
        (&self.0, &self.1, &self.2)
    }
}

fn parse(user: &str) -> Result<OwnedUserId> {
    UserId::parse(user).map_err(|error| InstitutionError::Damaged(format!("a person named {user:?}: {error}")))
}
