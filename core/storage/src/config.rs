//! The `[storage]` section of the configuration.

use serde::Deserialize;

use crate::OpenError;

/// The smallest page cache: sled does not open with none.
const CACHE_MIB_MIN: u64 = 1;

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
    /// What is wrong with the settings, each with its key.
    pub fn mistakes(&self) -> Vec<(&'static str, String)> {
        let example = "\"postgres://lyceum:password@localhost/lyceum\"";
        match (self.engine, &self.url) {
            (EngineKind::Postgres, None) => {
                vec![("url", format!("engine = \"postgres\" needs a `url`, for example {example}"))]
            }
            (EngineKind::Postgres, Some(url)) => {
                let wrong = crate::postgres::wrong_url(url);
                wrong.map(|why| ("url", format!("{why}; write for example {example}"))).into_iter().collect()
            }
            (EngineKind::Sled, Some(_)) => {
                let text = "a `url` is for engine = \"postgres\"; sled keeps its data in server.data_dir";
                vec![("url", text.to_owned())]
            }
            (EngineKind::Sled, None) if self.cache_mib < CACHE_MIB_MIN => {
                vec![("cache_mib", format!("sled needs at least {CACHE_MIB_MIN} MiB"))]
            }
            _ => Vec::new(),
        }
    }

    /// The URL, which the engine cannot do without.
    pub(crate) fn postgres_url(&self) -> Result<&str, OpenError> {
        self.url.as_deref().ok_or_else(|| {
            OpenError::Config("engine = \"postgres\" needs url = \"postgres://user:password@host/database\"".into())
        })
    }
}
