//! Where the stories happen.

use std::sync::Arc;
use tempfile::TempDir;

use super::{Place, cluster};
use crate::{Engine, embedded::Embedded, memory::Memory, postgres::Postgres};

pub(super) struct InMemory(Arc<Memory>);

pub(super) async fn memory() -> Option<InMemory> {
    Some(InMemory(Arc::default()))
}

#[async_trait::async_trait]
impl Place for InMemory {
    async fn engine(&self) -> Arc<dyn Engine> {
        self.0.clone()
    }
}

pub(super) struct InFiles(TempDir);

pub(super) async fn sled() -> Option<InFiles> {
    Some(InFiles(TempDir::new().expect("a directory")))
}

#[async_trait::async_trait]
impl Place for InFiles {
    async fn engine(&self) -> Arc<dyn Engine> {
        let dir = self.0.path().to_owned();
        let opened = tokio::task::spawn_blocking(move || Embedded::open(&dir, 8)).await.expect("no panic");
        Arc::new(opened.expect("a store in files"))
    }
}

pub(super) struct InDatabase(String);

pub(super) async fn postgres() -> Option<InDatabase> {
    cluster::database().await.map(InDatabase)
}

#[async_trait::async_trait]
impl Place for InDatabase {
    async fn engine(&self) -> Arc<dyn Engine> {
        Arc::new(Postgres::open(&self.0, 4).await.expect("a store in PostgreSQL"))
    }

    fn shared(&self) -> bool {
        true
    }
}
