//! An engine whose commits can be held up or made to fail.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::{Notify, Semaphore};

use crate::{Applied, Batch, Engine, Position, RawRange, Snapshot, StorageError, memory::Memory};

/// How a commit fails.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing is written.
    Before,
    /// Everything is written, and then the answer is lost.
    After,
}

/// Another engine, held up or made to fail.
pub(crate) struct Staged {
    engine: Arc<dyn Engine>,
    /// Groups that may go on.
    pub(crate) open: Semaphore,
    /// What happens to the next group.
    pub(crate) fault: Mutex<Option<Fault>>,
    others: Option<Notify>,
}

impl Staged {
    /// Holds every group up until `open` is given a permit for it.
    pub(crate) fn held(engine: Arc<dyn Engine>) -> Arc<Self> {
        Arc::new(Self { engine, open: Semaphore::new(0), fault: Mutex::default(), others: None })
    }

    /// Lets groups pass.
    pub(crate) fn passing(engine: Arc<dyn Engine>) -> Arc<Self> {
        Arc::new(Self { engine, open: Semaphore::new(Semaphore::MAX_PERMITS), fault: Mutex::default(), others: None })
    }

    /// Memory that says that others write to it too.
    pub(crate) fn shared() -> Arc<Self> {
        Arc::new(Self {
            engine: Arc::new(Memory::default()),
            open: Semaphore::new(Semaphore::MAX_PERMITS),
            fault: Mutex::default(),
            others: Some(Notify::new()),
        })
    }
}

#[async_trait::async_trait]
impl Engine for Staged {
    async fn get(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Bytes>>, StorageError> {
        self.engine.get(keys).await
    }

    async fn scan(&self, range: RawRange) -> Result<Vec<(Vec<u8>, Bytes)>, StorageError> {
        self.engine.scan(range).await
    }

    fn apply(&self, group: Vec<Batch>) -> BoxFuture<'_, Result<Vec<Applied>, StorageError>> {
        Box::pin(async move {
            self.open.acquire().await.map_err(StorageError::engine)?.forget();
            let fault = *self.fault.lock();
            let failed = || Err(StorageError::engine("no space left on device"));
            if fault == Some(Fault::Before) {
                return failed();
            }
            let applied = self.engine.apply(group).await?;
            if fault == Some(Fault::After) { failed() } else { Ok(applied) }
        })
    }

    async fn last_position(&self) -> Result<Position, StorageError> {
        self.engine.last_position().await
    }

    fn others(&self) -> Option<&Notify> {
        self.others.as_ref()
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StorageError> {
        self.engine.snapshot().await
    }

    async fn load(&self, rows: Vec<(Vec<u8>, Bytes)>) -> Result<(), StorageError> {
        self.engine.load(rows).await
    }

    async fn close(&self) {
        self.engine.close().await;
    }
}
