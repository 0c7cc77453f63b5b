//! The PostgreSQL engine: one table of keys and values, for several nodes on one database.
//!
//! A group of batches is one transaction under one advisory lock, so positions become visible in their order. Other nodes
//! are told by `NOTIFY` that there is something new, and read from the log of commits what it was: a notification that is
//! lost with its connection costs nothing but time.

use bytes::Bytes;
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use futures_util::future::BoxFuture;
use std::{ops::Bound, sync::Arc, time::Duration};
use tokio::sync::Notify;
use tokio_postgres::{NoTls, Row, types::ToSql};

use crate::{
    Batch, Engine, OpenError, Position, RawRange, Snapshot, StorageError, engine::Applied, memory::is_empty,
    meta::LAST_POSITION,
};

mod connect;
mod listener;
mod snapshot;
#[cfg(test)]
mod tests;
mod writer;

use connect::Address;
pub(crate) use connect::wrong_url;
use snapshot::Walk;
use writer::Writer;

/// Told to every node after each commit.
const CHANNEL: &str = "lyceum_commits";

/// How long opening may take: longer than several hosts out of reach, and than a lock that another node lets go of.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

/// The engine over a database.
pub(crate) struct Postgres {
    address: Address,
    pool: Pool,
    writer: tokio::sync::Mutex<Writer>,
    others: Arc<Notify>,
    listener: tokio::task::JoinHandle<()>,
}

impl Postgres {
    /// Connects, and makes the table if it is not there.
    pub(crate) async fn open(url: &str, pool_size: usize) -> Result<Self, OpenError> {
        Self::open_within(OPEN_TIMEOUT, url, pool_size).await
    }

    /// Whether the table is there.
    pub(crate) async fn is_there(url: &str) -> Result<bool, OpenError> {
        let address = Address::parse(url)?;
        let looking = async {
            let (client, connection) = address.connect().await?;
            let connection = tokio::spawn(async move { drop(connection.await) });
            let row = client.query_one("SELECT to_regclass('lyceum_rows') IS NOT NULL", &[]).await;
            connection.abort();
            row.map(|row| row.get(0))
        };
        let looked = tokio::time::timeout(OPEN_TIMEOUT, looking).await.map_err(|_| silent(&address, OPEN_TIMEOUT))?;
        looked.map_err(|error| address.failed(&connect::explained(&error)))
    }

    /// The time limit of a connection ends when it is made: one that is made and says nothing needs a limit as well.
    async fn open_within(limit: Duration, url: &str, pool_size: usize) -> Result<Self, OpenError> {
        let address = Address::parse(url)?;
        let opening = tokio::time::timeout(limit, Self::open_at(address.clone(), pool_size));
        opening.await.unwrap_or_else(|_| Err(silent(&address, limit)))
    }

    async fn open_at(address: Address, pool_size: usize) -> Result<Self, OpenError> {
        let writer = Writer::open(address.clone()).await?;
        let others = Arc::new(Notify::new());
        let listener = listener::start(address.clone(), others.clone()).await?;
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let pool = Pool::builder(Manager::from_config(address.config.clone(), NoTls, manager))
            .max_size(pool_size.max(1))
            .build()
            .map_err(|error| address.failed(&error))?;
        Ok(Self { address, pool, writer: tokio::sync::Mutex::new(writer), others, listener })
    }

    async fn query(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, StorageError> {
        // Every connection of the pool may have been broken since it was used last.
        let mut tries_left = self.pool.status().max_size + 1;
        loop {
            let client = self.pool.get().await.map_err(StorageError::engine)?;
            let rows = match client.prepare_cached(sql).await {
                Ok(statement) => client.query(&statement, parameters).await,
                Err(error) => Err(error),
            };
            match rows {
                Ok(rows) => return Ok(rows),
                Err(error) if tries_left > 0 && connect::is_broken(&error) => {
                    tries_left -= 1;
                    drop(deadpool_postgres::Object::take(client));
                }
                Err(error) => return Err(connect::explained(&error)),
            }
        }
    }
}

fn silent(address: &Address, limit: Duration) -> OpenError {
    address.failed(&format!(
        "it was not ready within {} s. See whether PostgreSQL itself listens there (and not something that accepts and \
         says nothing), whether it is overloaded, and whether another session holds a lock",
        limit.as_secs()
    ))
}

fn bytes_at(row: &Row, column: usize) -> Bytes {
    Bytes::copy_from_slice(row.get(column))
}

#[async_trait::async_trait]
impl Engine for Postgres {
    async fn get(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Bytes>>, StorageError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        const SQL: &str = "SELECT row.value FROM unnest($1::bytea[]) WITH ORDINALITY AS wanted(key, place) \
                           LEFT JOIN lyceum_rows AS row ON row.key = wanted.key ORDER BY wanted.place";
        let rows = self.query(SQL, &[&keys]).await?;
        Ok(rows.iter().map(|row| row.get::<_, Option<&[u8]>>(0).map(Bytes::copy_from_slice)).collect())
    }

    async fn scan(&self, range: RawRange) -> Result<Vec<(Vec<u8>, Bytes)>, StorageError> {
        if is_empty(&range) {
            return Ok(Vec::new());
        }
        let sql = scan_sql(&range);
        let limit = i64::try_from(range.limit).unwrap_or(i64::MAX);
        let (start, end) = (bound_key(&range.start), bound_key(&range.end));
        let rows = self.query(sql, &[&start, &end, &limit]).await?;
        Ok(rows.iter().map(|row| (row.get(0), bytes_at(row, 1))).collect())
    }

    fn apply(&self, group: Vec<Batch>) -> BoxFuture<'_, Result<Vec<Applied>, StorageError>> {
        Box::pin(async move { self.writer.lock().await.write(group).await })
    }

    async fn last_position(&self) -> Result<Position, StorageError> {
        let row = self.get(&[LAST_POSITION.encode_key(&())]).await?.pop().flatten();
        row.map_or(Ok(Position(0)), |bytes| LAST_POSITION.decode_value(&bytes).map(Position))
    }

    fn others(&self) -> Option<&Notify> {
        Some(&self.others)
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StorageError> {
        Ok(Box::new(Walk::begin(&self.address).await?))
    }

    async fn load(&self, rows: Vec<(Vec<u8>, Bytes)>) -> Result<(), StorageError> {
        let (keys, values): (Vec<_>, Vec<_>) = rows.iter().map(|(key, value)| (key.as_slice(), value.as_ref())).unzip();
        self.query(writer::PUT, &[&keys, &values]).await.map(drop)
    }

    async fn close(&self) {
        self.listener.abort();
        self.pool.close();
        self.writer.lock().await.close();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// An open end is the empty key below, and no key at all above.
fn bound_key(bound: &Bound<Vec<u8>>) -> Option<&[u8]> {
    match bound {
        Bound::Included(key) | Bound::Excluded(key) => Some(key),
        Bound::Unbounded => None,
    }
}

/// The page's statement: one of a few texts, so that each is prepared once per connection.
fn scan_sql(range: &RawRange) -> &'static str {
    macro_rules! page {
        ($above:literal, $below:literal, $order:literal) => {
            concat!(
                "SELECT key, value FROM lyceum_rows WHERE ",
                $above,
                " AND ",
                $below,
                " ORDER BY key ",
                $order,
                " LIMIT $3"
            )
        };
    }
    macro_rules! either_way {
        ($above:literal, $below:literal) => {
            if range.reversed { page!($above, $below, "DESC") } else { page!($above, $below, "ASC") }
        };
    }
    // `$n::bytea IS NULL` names the parameter that an open end leaves unused.
    match (&range.start, &range.end) {
        (Bound::Included(_), Bound::Included(_)) => either_way!("key >= $1", "key <= $2"),
        (Bound::Included(_), Bound::Excluded(_)) => either_way!("key >= $1", "key < $2"),
        (Bound::Included(_), Bound::Unbounded) => either_way!("key >= $1", "$2::bytea IS NULL"),
        (Bound::Excluded(_), Bound::Included(_)) => either_way!("key > $1", "key <= $2"),
        (Bound::Excluded(_), Bound::Excluded(_)) => either_way!("key > $1", "key < $2"),
        (Bound::Excluded(_), Bound::Unbounded) => either_way!("key > $1", "$2::bytea IS NULL"),
        (Bound::Unbounded, Bound::Included(_)) => either_way!("$1::bytea IS NULL", "key <= $2"),
        (Bound::Unbounded, Bound::Excluded(_)) => either_way!("$1::bytea IS NULL", "key < $2"),
        (Bound::Unbounded, Bound::Unbounded) => either_way!("$1::bytea IS NULL", "$2::bytea IS NULL"),
    }
}
