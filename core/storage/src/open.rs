//! Opening a store: the engine the configuration names, then the schema version and what brings an old store up to date.

use futures_util::future::BoxFuture;
use std::{path::Path, sync::Arc};

use crate::{
    Batch, CommitError, Engine, OpenError, Store,
    backup::RESTORING,
    config::{EngineKind, StorageConfig},
    embedded::Embedded,
    memory::Memory,
    meta::SCHEMA,
    postgres::Postgres,
};

/// The schema version of a new store when there are no migrations.
pub const SCHEMA_VERSION: u32 = 1;

/// Where the embedded store is in the data directory.
const STORE_DIR: &str = "store";

/// One step that brings the rows of the version before to version `to`.
pub struct Migration {
    /// The version that the store has afterwards.
    pub to: u32,
    /// What changes, for the log.
    pub about: &'static str,
    /// Does it. It may be interrupted and run again, so it must be able to meet its own work half done.
    pub run: fn(Store) -> BoxFuture<'static, Result<(), CommitError>>,
}

impl Store {
    /// Whether there is a store where `config` says. Makes nothing.
    pub async fn is_there(config: &StorageConfig, data_dir: &Path) -> Result<bool, OpenError> {
        match config.engine {
            EngineKind::Memory => Ok(false),
            EngineKind::Sled => Ok(Embedded::is_there(&data_dir.join(STORE_DIR))),
            EngineKind::Postgres => Postgres::is_there(config.postgres_url()?).await,
        }
    }

    /// Opens the store that `config` names, with its files below `data_dir`. Starts the committer, so it must be called
    /// within a tokio runtime.
    pub async fn open(config: &StorageConfig, data_dir: &Path) -> Result<Self, OpenError> {
        Self::open_migrating(config, data_dir, &[]).await
    }

    /// Opens the store and runs those of `migrations` (in the order of their versions) that it has not seen yet.
    pub async fn open_migrating(
        config: &StorageConfig,
        data_dir: &Path,
        migrations: &[Migration],
    ) -> Result<Self, OpenError> {
        let store = Self::over(engine(config, data_dir).await?).await?;
        let ready = store.make_ready(migrations).await;
        if ready.is_err() {
            store.close().await;
        }
        ready.map(|()| store)
    }

    async fn make_ready(&self, migrations: &[Migration]) -> Result<(), OpenError> {
        if self.get(&RESTORING, ()).await? == Some(true) {
            return Err(OpenError::HalfRestored);
        }
        let known = migrations.last().map_or(SCHEMA_VERSION, |last| last.to);
        match self.get(&SCHEMA, ()).await? {
            // Another node may be making the same new store.
            None => match self.set_version(None, known).await {
                Err(CommitError::Conflict(_)) => Ok(()),
                made => Ok(made?),
            },
            Some(found) if found > known || found == 0 => Err(OpenError::Schema { found, known }),
            Some(found) => self.migrate(found, migrations).await,
        }
    }

    async fn migrate(&self, mut version: u32, migrations: &[Migration]) -> Result<(), OpenError> {
        for step in migrations {
            if step.to <= version {
                continue;
            }
            tracing::info!(from = version, to = step.to, "bringing the store up to date: {}", step.about);
            (step.run)(self.clone()).await?;
            self.set_version(Some(version), step.to).await?;
            version = step.to;
        }
        Ok(())
    }

    async fn set_version(&self, from: Option<u32>, to: u32) -> Result<(), CommitError> {
        let mut batch = Batch::new();
        batch.expect(&SCHEMA, (), from.as_ref()).put(&SCHEMA, (), &to);
        self.commit(batch).await.map(drop)
    }
}

/// The engine that `config` names.
pub(crate) async fn engine(config: &StorageConfig, data_dir: &Path) -> Result<Arc<dyn Engine>, OpenError> {
    Ok(match config.engine {
        EngineKind::Memory => Arc::new(Memory::default()),
        EngineKind::Postgres => Arc::new(Postgres::open(config.postgres_url()?, config.pool_size).await?),
        EngineKind::Sled => {
            let (dir, cache_mib) = (data_dir.join(STORE_DIR), config.cache_mib);
            let place = dir.clone();
            let opening = tokio::task::spawn_blocking(move || Embedded::open(&dir, cache_mib));
            Arc::new(opening.await.map_err(|error| OpenError::engine(&place, &error))??)
        }
    })
}
