//! A backup is a directory: the store at one moment in one file, the signing key, and the files that people uploaded, unless
//! these are in a bucket, which has means of its own. It can be made while the server runs. The store is saved first: whatever
//! it names is among the files then, unless somebody deleted it
//! meanwhile; what came later is removed when the restored server starts.

use std::path::Path;
use std::{fs, io};

use anyhow::{anyhow, bail};
use lyceum_storage::{check_backup, restore};

use super::{Operator, Report};
use crate::config::{Config, in_words};
use crate::{files, signing_key};

/// The store's file in a backup.
const STORE: &str = "store.lyceum";
/// The files that people uploaded, in a backup as in the data directory. Thumbnails are made again.
const FILES: &str = "media/files";

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
            .map_err(|error| anyhow!("{} cannot be made: {}", partial.display(), in_words(&error)))?;
        let made = self.fill(partial).await;
        let Held { rows, files } = match made {
            Ok(held) => held,
            Err(error) => {
                // Half a backup is of no use; that it was not made is what has to be said.
                let _ = fs::remove_dir_all(partial);
                return Err(error);
            }
        };
        fs::rename(partial, directory).map_err(|error| anyhow!("{shown} cannot be made: {}", in_words(&error)))?;
        let uploaded = match &self.bucket {
            Some(bucket) => format!(
                "no uploaded files: they are in the bucket {bucket}, to be kept safe by its own means (versions, copies)"
            ),
            None => format!("{files} uploaded files"),
        };
        report.say(format!(
            "{shown}: the store ({rows} rows), the signing key and {uploaded}. Keep it as safe as the server itself."
        ));
        Ok(())
    }

    async fn fill(&self, directory: &Path) -> anyhow::Result<Held> {
        let done = self.store.backup(&directory.join(STORE)).await?;
        let key = signing_key::path(&self.data_dir);
        let text = fs::read(&key).map_err(|error| anyhow!("{} cannot be read: {}", key.display(), in_words(&error)))?;
        files::write_new(&signing_key::path(directory), &text)?;
        let files = match self.bucket {
            Some(_) => 0,
            None => copy_files(&self.data_dir, directory, link_or_copy).await?,
        };
        Ok(Held { rows: done.rows, files })
    }
}

/// What a backup holds.
pub(crate) struct Held {
    /// Rows of the store.
    pub(crate) rows: u64,
    /// Uploaded files.
    pub(crate) files: u64,
}

/// Takes the uploaded files from one directory to another, where none of them need be or all. Answers how many there are.
async fn copy_files(from: &Path, to: &Path, take: fn(&Path, &Path) -> io::Result<()>) -> anyhow::Result<u64> {
    let (from, to) = (from.join(FILES), to.join(FILES));
    let copied = tokio::task::spawn_blocking(move || copy_all(&from, &to, take)).await?;
    copied.map_err(|error| anyhow!("the uploaded files cannot be copied: {}", in_words(&error)))
}

fn copy_all(from: &Path, to: &Path, take: fn(&Path, &Path) -> io::Result<()>) -> io::Result<u64> {
    let mut count = 0;
    if !from.exists() {
        return Ok(count);
    }
    for shelf in fs::read_dir(from)? {
        let shelf = shelf?;
        let place = to.join(shelf.file_name());
        files::private_directory(&place)?;
        for file in fs::read_dir(shelf.path())? {
            let file = file?;
            match take(&file.path(), &place.join(file.file_name())) {
                // Deleted just now.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                done => {
                    done?;
                    count += 1;
                }
            }
        }
    }
    Ok(count)
}

/// Files are named by what is in them and never change: on the same disk another name for one is a copy of it.
fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error),
        Err(_) => copy(from, to),
        Ok(()) => Ok(()),
    }
}

/// A copy under its name only when it is whole and durable. The same file may be there already.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if to.exists() {
        return Ok(());
    }
    let partial = to.with_extension("partial");
    fs::copy(from, &partial)?;
    fs::File::open(&partial)?.sync_all()?;
    fs::rename(&partial, to)
}

/// Restores a backup into an empty data directory (and an empty database, with PostgreSQL).
pub(crate) async fn restore_from(directory: &Path, config: &Config) -> anyhow::Result<Held> {
    let data_dir = &config.server.data_dir;
    let (store, key) = (directory.join(STORE), signing_key::path(directory));
    let no_backup = |why: String| anyhow!("{} is no backup: {why}", directory.display());
    let text = fs::read(&key).map_err(|error| no_backup(format!("its key cannot be read: {}", in_words(&error))))?;
    if let Some(wrong) = signing_key::mistake(directory, config.server.name.clone()) {
        return Err(no_backup(wrong));
    }
    check_backup(&store)?;
    files::private_directory(data_dir)
        .map_err(|error| anyhow!("{} cannot be made: {}", data_dir.display(), in_words(&error)))?;
    let place = signing_key::path(data_dir);
    if place.exists() && fs::read(&place)? != text {
        bail!("{} holds another server's signing key; restore into an empty data directory", data_dir.display());
    }
    let done = restore(&config.storage, data_dir, &store).await?;
    match files::write_new(&place, &text) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            bail!("{} cannot be written: {}", place.display(), in_words(&error));
        }
        _ => {}
    }
    let files = copy_files(directory, data_dir, copy).await?;
    Ok(Held { rows: done.rows, files })
}
