//! What is kept of other servers' media. Each is fetched by one at a time; the others find it here.

use bytes::Bytes;
use futures_util::Stream;
use lyceum_storage::Batch;
use ruma::ServerName;
use std::{collections::HashMap, sync::Arc};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::{
    Content, Media, MediaError,
    media::{is_id, uploaded},
    tables::{ContentRow, MEDIA, MediaRow, USES},
    upload::Described,
};

type Key = (String, String);

/// Which media are being fetched.
#[derive(Default, Clone)]
pub(crate) struct Fetches(Arc<parking_lot::Mutex<HashMap<Key, Arc<Mutex<()>>>>>);

/// The right to fetch some media of another server.
pub struct Fetching {
    key: Key,
    fetches: Fetches,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Drop for Fetching {
    fn drop(&mut self) {
        self.guard = None;
        let mut fetches = self.fetches.0.lock();
        // One is the map's own: nobody else waits.
        if fetches.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            fetches.remove(&self.key);
        }
    }
}

impl Media {
    /// Waits until nobody else fetches these media. Whoever gets the right looks whether they are here by now.
    pub async fn fetching(&self, server: &ServerName, id: &str) -> Result<Fetching, MediaError> {
        if !is_id(id) {
            return Err(MediaError::NotFound);
        }
        let key = (server.to_string(), id.to_owned());
        let fetches = self.0.fetches.clone();
        let lock = fetches.0.lock().entry(key.clone()).or_default().clone();
        let guard = Some(lock.lock_owned().await);
        Ok(Fetching { key, fetches, guard })
    }

    /// Keeps media of another server as they arrive.
    pub async fn keep<E: From<MediaError>>(
        &self,
        fetching: &Fetching,
        described: Described,
        arriving: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<Content, E> {
        let (server, id) = &fetching.key;
        let blob = self.take_in(arriving, self.0.config.remote_bytes_max).await?;
        let content = described.of(&blob);
        let row = MediaRow { owner: None, created_ms: self.now_ms(), content: content.clone() };
        let mut batch = Batch::new();
        batch.put(&MEDIA, (server, id), &row).put(&USES, (&blob.hash[..], server, id), &()).touch(uploaded(id));
        self.0.store.commit(batch).await.map_err(MediaError::from)?;
        let ContentRow::Kept { hash, bytes, content_type, filename } = content else {
            return Err(MediaError::NotFound.into());
        };
        Ok(Content { bytes, content_type, filename, hash, files: self.0.files.clone() })
    }
}
