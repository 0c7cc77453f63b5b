//! The `[storage]` section of the configuration.

use serde::Deserialize;

use crate::OpenError;

/// Where the server keeps everything it knows.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorageConfig {
    /// `"sled"`: files in the data directory, nothing to install, one process. `"postgres"`: a PostgreSQL database, for
    /// several nodes. `"memory"`: forgets everything at exit, for tests.
    pub engine: EngineKind,
    /// Page cache of the sled engine, in MiB. The process holds up to about twice as much for it, beside some 200 bytes for
    /// each event there is.
    pub cache_mib: u64,
    /// Where PostgreSQL is: `postgres://user:password@host:5432/database`, or `postgres:///database?host=/run/postgresql`
    /// for a socket on this machine. The connection is not encrypted: keep it on this machine or a trusted network.
    pub url: Option<String>,
    /// Connections to PostgreSQL at most, beside two that the committer and the listener keep.
    pub pool_size: usize,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self { engine: EngineKind::Sled, cache_mib: 32, url: None, pool_size: 8 }
    }
}

/// Which engine keeps the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// Files in the data directory.
    Sled,
    /// A PostgreSQL database.
    Postgres,
    /// Memory only.
    Memory,
}

impl StorageConfig {
    /// The URL, which the engine cannot do without.
    pub(crate) fn postgres_url(&self) -> Result<&str, OpenError> {
        self.url.as_deref().ok_or_else(|| {
            OpenError::Config("engine = \"postgres\" needs url = \"postgres://user:password@host/database\"".into())
        })
    }
}
