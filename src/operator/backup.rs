//! A backup is a directory: the store at one moment in one file, and the signing key. It can be made while the server runs.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use lyceum_storage::{StorageConfig, check_backup, restore};

use super::{Operator, Report};
use crate::config::in_words;
use crate::{files, signing_key};

/// The store's file in a backup.
const STORE: &str = "store.lyceum";

impl Operator {
    /// Makes a backup in a directory that is not there yet. It appears under its name only when it is whole.
    pub(super) async fn back_up(&self, directory: &Path, report: &Report) -> anyhow::Result<()> {
        let shown = directory.display();
        if directory.exists() {
            bail!("{shown} is there already; name a directory that is not");
        }
        let mut partial = directory.as_os_str().to_owned();
        partial.push(".partial");
        let partial = Path::new(&partial);
        files::private_directory(partial)
            .map_err(|error| anyhow::anyhow!("{} cannot be made: {}", partial.display(), in_words(&error)))?;
        let made = self.fill(partial).await;
        let rows = match made {
            Ok(rows) => rows,
            Err(error) => {
                // Half a backup is of no use; that it was not made is what has to be said.
                let _ = fs::remove_dir_all(partial);
                return Err(error);
            }
        };
        fs::rename(partial, directory).with_context(|| format!("{shown} cannot be made"))?;
        report.say(format!(
            "{shown}: the store ({rows} rows) and the signing key. Keep it as safe as the server itself."
        ));
        Ok(())
    }

    async fn fill(&self, directory: &Path) -> anyhow::Result<u64> {
        let done = self.store.backup(&directory.join(STORE)).await?;
        let key = signing_key::path(&self.data_dir);
        let text = fs::read(&key).with_context(|| format!("{} cannot be read", key.display()))?;
        files::write_new(&signing_key::path(directory), &text)?;
        Ok(done.rows)
    }
}

/// Restores a backup into an empty data directory (and an empty database, with PostgreSQL).
pub(crate) async fn restore_from(directory: &Path, storage: &StorageConfig, data_dir: &Path) -> anyhow::Result<u64> {
    let (store, key) = (directory.join(STORE), signing_key::path(directory));
    let text =
        fs::read(&key).with_context(|| format!("{} is no backup: its key cannot be read", directory.display()))?;
    check_backup(&store)?;
    files::private_directory(data_dir)
        .map_err(|error| anyhow::anyhow!("{} cannot be made: {}", data_dir.display(), in_words(&error)))?;
    let place = signing_key::path(data_dir);
    if place.exists() && fs::read(&place)? != text {
        bail!("{} holds another server's signing key; restore into an empty data directory", data_dir.display());
    }
    let done = restore(storage, data_dir, &store).await?;
    match files::write_new(&place, &text) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("{} cannot be written", place.display()));
        }
        _ => {}
    }
    Ok(done.rows)
}
