//! A snapshot of the table: one long read-only transaction on a connection of its own.

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio_postgres::Client;

use super::{
    bytes_at,
    connect::{Address, explained},
};
use crate::{Snapshot, StorageError, engine::SNAPSHOT_ROWS};

/// The reader of the snapshot.
pub(super) struct Walk {
    client: Client,
    connection: JoinHandle<()>,
    read: Vec<u8>,
}

impl Walk {
    pub(super) async fn begin(address: &Address) -> Result<Self, StorageError> {
        let (client, connection) = address.connect().await.map_err(|error| explained(&error))?;
        let connection = tokio::spawn(async move { drop(connection.await) });
        let walk = Self { client, connection, read: Vec::new() };
        // The snapshot is taken by the first statement that reads.
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT FROM lyceum_rows LIMIT 1";
        walk.client.batch_execute(begin).await.map_err(|error| explained(&error))?;
        Ok(walk)
    }
}

#[async_trait::async_trait]
impl Snapshot for Walk {
    async fn next(&mut self) -> Result<Vec<(Vec<u8>, Bytes)>, StorageError> {
        let sql = format!("SELECT key, value FROM lyceum_rows WHERE key > $1 ORDER BY key LIMIT {SNAPSHOT_ROWS}");
        let rows = self.client.query(&sql, &[&self.read]).await.map_err(|error| explained(&error))?;
        let page: Vec<(Vec<u8>, Bytes)> = rows.iter().map(|row| (row.get(0), bytes_at(row, 1))).collect();
        if let Some((last, _)) = page.last() {
            self.read.clone_from(last);
        }
        Ok(page)
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
