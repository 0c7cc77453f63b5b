//! Writing groups: one transaction each, under one lock, with an answer that is true even when the connection breaks.

use bytes::Bytes;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Error, Statement, types::ToSql};

use super::{
    CHANNEL,
    connect::{Address, explained, is_broken},
};
use crate::{
    Batch, OpenError, Position, StorageError,
    engine::Applied,
    group::{self, Changes, Decided},
    meta::LAST_POSITION,
};

/// The lock under which positions are given ("lyceum" and a number for this use).
const LOCK: i64 = 0x6C_7963_6575_6D01;

/// How long the database may be out of reach before the store gives up.
const OUTAGE_MAX: Duration = Duration::from_secs(30);

const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// A node that stops in the middle of a transaction must not hold the lock for ever.
const SESSION: &str = "SET idle_in_transaction_session_timeout = '20s'; SET synchronous_commit = on";

pub(super) const PUT: &str = "INSERT INTO lyceum_rows (key, value) SELECT * FROM unnest($1::bytea[], $2::bytea[]) \
                              ON CONFLICT (key) DO UPDATE SET value = excluded.value";

/// The connection that writes.
pub(super) struct Writer {
    address: Address,
    session: Option<Session>,
    closed: bool,
}

struct Session {
    client: Client,
    connection: JoinHandle<()>,
    read: Statement,
    put: Statement,
    delete: Statement,
    tell: Statement,
    number: Statement,
}

/// A transaction that holds the lock, and what it found.
struct Begun {
    /// The transaction's number, by which its outcome can be asked for on another connection.
    number: i64,
    last: Position,
    rows: HashMap<Vec<u8>, Bytes>,
}

impl Writer {
    pub(super) async fn open(address: Address) -> Result<Self, OpenError> {
        let failed = |error: Error| address.failed(&explained(&error));
        let (client, connection) = address.connect().await.map_err(failed)?;
        let connection = tokio::spawn(async move { drop(connection.await) });
        let table = format!(
            "BEGIN; SELECT pg_advisory_xact_lock({LOCK}); \
             CREATE TABLE IF NOT EXISTS lyceum_rows (key bytea PRIMARY KEY, value bytea NOT NULL); COMMIT"
        );
        client.batch_execute(&table).await.map_err(failed)?;
        let session = Session::prepare(client, connection).await.map_err(failed)?;
        Ok(Self { address, session: Some(session), closed: false })
    }

    pub(super) fn close(&mut self) {
        self.session = None;
        self.closed = true;
    }

    pub(super) async fn write(&mut self, group: Vec<Batch>) -> Result<Vec<Applied>, StorageError> {
        if self.closed {
            return Err(StorageError::engine("the store is closed"));
        }
        let keys = expected_keys(&group);
        let begun = self.begin(&keys).await?;
        let Begun { number, last, rows } = begun;
        let decided = group::decide(group, last, |key| Ok(rows.get(key).cloned()))?;
        let Some(session) = &self.session else { return Err(StorageError::engine("no connection")) };
        match session.finish(&decided.changes).await {
            Ok(()) => Ok(decided.applied),
            Err(error) if is_broken(&error) => self.after_break(number, decided, &error).await,
            Err(error) => {
                self.session = None;
                Err(explained(&error))
            }
        }
    }

    /// Begins a transaction, on a new connection if need be: nothing has been decided yet.
    async fn begin(&mut self, keys: &[Vec<u8>]) -> Result<Begun, StorageError> {
        let until = Instant::now() + OUTAGE_MAX;
        loop {
            match self.session(until).await?.begin(keys).await {
                Ok(begun) => return begun,
                Err(error) if is_broken(&error) && Instant::now() < until => {
                    tracing::warn!(error = %explained(&error), "a transaction could not begin; trying again");
                    self.session = None;
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                Err(error) => return Err(explained(&error)),
            }
        }
    }

    async fn session(&mut self, until: Instant) -> Result<&Session, StorageError> {
        if self.session.as_ref().is_none_or(|session| session.client.is_closed()) {
            self.session = Some(Session::open(&self.address, until).await?);
        }
        self.session.as_ref().ok_or_else(|| StorageError::engine("no connection"))
    }

    /// The connection broke while the group was written: asks the database what became of it.
    async fn after_break(
        &mut self,
        number: i64,
        decided: Decided,
        error: &Error,
    ) -> Result<Vec<Applied>, StorageError> {
        tracing::warn!(error = %explained(error), "the connection broke during a commit; asking what became of it");
        let until = Instant::now() + OUTAGE_MAX;
        loop {
            self.session = None;
            match self.session(until).await?.outcome(number).await {
                Ok(Some(true)) => return Ok(decided.applied),
                Ok(Some(false)) => return Ok(refused(decided.applied)),
                Ok(None) => {}
                Err(error) if is_broken(&error) => {}
                Err(error) => return Err(explained(&error)),
            }
            if Instant::now() > until {
                return Err(StorageError::engine("it is unknown whether the last commit took place"));
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }
}

/// The same batches, none of which was committed.
fn refused(applied: Vec<Applied>) -> Vec<Applied> {
    let lost = || StorageError::engine("the connection to PostgreSQL broke before the commit");
    applied.into_iter().map(|(result, batch)| (result.and_then(|_| Err(lost().into())), batch)).collect()
}

fn expected_keys(group: &[Batch]) -> Vec<Vec<u8>> {
    group.iter().flat_map(|batch| &batch.expects).map(|expected| expected.key.clone()).collect()
}

impl Session {
    /// Connects, trying again until the time is over.
    async fn open(address: &Address, until: Instant) -> Result<Self, StorageError> {
        loop {
            let error = match address.connect().await {
                Ok((client, connection)) => {
                    let connection = tokio::spawn(async move { drop(connection.await) });
                    match Self::prepare(client, connection).await {
                        Ok(session) => return Ok(session),
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            if Instant::now() > until {
                return Err(explained(&error));
            }
            tracing::warn!(error = %explained(&error), "PostgreSQL cannot be reached; trying again");
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    async fn prepare(client: Client, connection: JoinHandle<()>) -> Result<Self, Error> {
        client.batch_execute(SESSION).await?;
        Ok(Self {
            read: client.prepare("SELECT key, value FROM lyceum_rows WHERE key = ANY($1)").await?,
            put: client.prepare(PUT).await?,
            delete: client.prepare("DELETE FROM lyceum_rows WHERE key = ANY($1)").await?,
            tell: client.prepare(&format!("SELECT pg_notify('{CHANNEL}', '')")).await?,
            number: client.prepare("SELECT txid_current()").await?,
            client,
            connection,
        })
    }

    async fn begin(&self, keys: &[Vec<u8>]) -> Result<Result<Begun, StorageError>, Error> {
        self.client.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})")).await?;
        let last_key = LAST_POSITION.encode_key(&());
        let wanted: Vec<&[u8]> = keys.iter().map(Vec::as_slice).chain([last_key.as_slice()]).collect();
        let parameters: [&(dyn ToSql + Sync); 1] = [&wanted];
        let (number, rows) =
            tokio::try_join!(self.client.query_one(&self.number, &[]), self.client.query(&self.read, &parameters))?;
        let rows: HashMap<Vec<u8>, Bytes> =
            rows.iter().map(|row| (row.get(0), Bytes::copy_from_slice(row.get(1)))).collect();
        let last = rows.get(&last_key).map_or(Ok(0), |bytes| LAST_POSITION.decode_value(bytes));
        Ok(last.map(|last| Begun { number: number.get(0), last: Position(last), rows }))
    }

    /// Writes what was decided and commits. The statements are sent together; one that fails makes the commit a rollback.
    async fn finish(&self, changes: &Changes) -> Result<(), Error> {
        if changes.is_empty() {
            return self.client.batch_execute("ROLLBACK").await;
        }
        let (mut keys, mut values, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for (key, change) in changes {
            match &change.to {
                Some(value) => {
                    keys.push(key.as_slice());
                    values.push(value.as_ref());
                }
                None => gone.push(key.as_slice()),
            }
        }
        let (puts, deletes): ([&(dyn ToSql + Sync); 2], [&(dyn ToSql + Sync); 1]) = ([&keys, &values], [&gone]);
        let put = self.client.execute(&self.put, &puts);
        let delete = async { if gone.is_empty() { Ok(0) } else { self.client.execute(&self.delete, &deletes).await } };
        let tell = self.client.execute(&self.tell, &[]);
        tokio::try_join!(biased; put, delete, tell, self.client.batch_execute("COMMIT"))?;
        Ok(())
    }

    /// Whether that transaction was committed; `None` while it goes on.
    async fn outcome(&self, number: i64) -> Result<Option<bool>, Error> {
        let row = self.client.query_one("SELECT txid_status($1)", &[&number]).await?;
        Ok(match row.get::<_, Option<&str>>(0) {
            Some("committed") => Some(true),
            Some("in progress") => None,
            _ => Some(false),
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
