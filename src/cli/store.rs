//! The store as commands find it that only look: nothing is made, and nothing is left behind that the server cannot use.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use lyceum_storage::{EngineKind, OpenError, Store};

use crate::config::Config;
use crate::operator::socket;
use crate::server::home;

/// What was found.
pub(super) enum Found {
    /// There is none yet.
    Nothing,
    /// The running server has it, and nobody else may open it.
    InUse,
    /// Its files belong to another user of this machine, who could perhaps not use what opening them leaves.
    AnotherUsers,
    /// It opens, and is this server's.
    Well,
    /// It opens, and is another server's.
    Mistake(String),
}

/// Looks whose the store is that `config` names.
pub(super) async fn look(config: &Config) -> Result<Found, OpenError> {
    let dir = &config.server.data_dir;
    if !Store::is_there(&config.storage, dir).await? {
        return Ok(Found::Nothing);
    }
    if config.storage.engine == EngineKind::Sled {
        if matches!(socket::find(dir).await, Ok(Some(_))) {
            return Ok(Found::InUse);
        }
        if !is_ours(dir) {
            return Ok(Found::AnotherUsers);
        }
    }
    let store = Store::open(&config.storage, dir).await?;
    let mistake = home::mistake(&store, config).await;
    store.close().await;
    Ok(mistake?.map_or(Found::Well, Found::Mistake))
}

/// Whether the directory belongs to the user that runs this, where the system says who that is.
fn is_ours(dir: &Path) -> bool {
    let owner = |path: &Path| std::fs::metadata(path).map(|meta| meta.uid()).ok();
    owner(dir).is_some() && owner(dir) == owner(Path::new("/proc/self"))
}
