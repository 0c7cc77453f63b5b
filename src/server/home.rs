//! Whose data these are: a server works only on what was made under its name.

use lyceum_accounts::home_of;
use lyceum_storage::{EngineKind, StorageError, Store};

use crate::config::Config;

/// What is wrong when the data were made under another name than the server has now, and what to do.
pub(crate) async fn mistake(store: &Store, config: &Config) -> Result<Option<String>, StorageError> {
    let name = &config.server.name;
    let Some(home) = home_of(store).await?.filter(|home| home != name) else { return Ok(None) };
    let (home, name) = (home.as_str(), name.as_str());
    let elsewhere = match config.storage.engine {
        EngineKind::Postgres => "storage.url (and server.data_dir)",
        EngineKind::Sled | EngineKind::Memory => "server.data_dir",
    };
    Ok(Some(format!(
        "the data are those of {home:?}, and the server is called {name:?} now. Every id in them ends in the name, so it can \
         never be changed: put server.name = {home:?} back, or name another {elsewhere}"
    )))
}
