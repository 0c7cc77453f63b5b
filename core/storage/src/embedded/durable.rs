//! Making durable what sled has written: its file's data and size, and the separate files of very large pages.
//!
//! sled's own flush waits for the kernel to write the pages, but does not ask for the file's size or the disk's cache, and
//! never syncs the separate files.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// How long after a change a directory's time stamp may still hide another one.
const TIMESTAMP_STEP: Duration = Duration::from_secs(1);

/// The files of one store.
pub(super) struct Durable {
    data: File,
    blob_dir: PathBuf,
    /// The directory's time stamp when its files were last synced, and the youngest of them.
    synced: Option<SystemTime>,
    last_blob: i64,
}

impl Durable {
    /// The files of the open store in `dir`.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        // The names in the directory must survive as well as what the files hold.
        File::open(dir)?.sync_all()?;
        Ok(Self { data: File::open(dir.join("db"))?, blob_dir: dir.join("blobs"), synced: None, last_blob: -1 })
    }

    /// Syncs everything written so far.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.sync_blobs()?;
        self.data.sync_data()
    }

    /// sled writes a page above a quarter of its segment (128 KiB) to a file of its own. That is rare, so the usual cost is
    /// a look at the directory's time stamp.
    fn sync_blobs(&mut self) -> io::Result<()> {
        let changed = fs::metadata(&self.blob_dir)?.modified()?;
        if self.synced == Some(changed) {
            return Ok(());
        }
        let written = self.data.metadata()?.modified()?;
        let mut youngest = self.last_blob;
        for entry in fs::read_dir(&self.blob_dir)? {
            let entry = entry?;
            let number = entry.file_name().to_str().and_then(|name| name.parse::<i64>().ok());
            if let Some(number) = number.filter(|number| *number > self.last_blob) {
                sync_if_there(&entry.path())?;
                youngest = youngest.max(number);
            }
        }
        if youngest > self.last_blob {
            File::open(&self.blob_dir)?.sync_all()?;
            self.last_blob = youngest;
        }
        let settled = written.duration_since(changed).is_ok_and(|age| age > TIMESTAMP_STEP);
        self.synced = settled.then_some(changed);
        Ok(())
    }
}

/// sled removes such files on its own threads once nothing points to them.
fn sync_if_there(path: &Path) -> io::Result<()> {
    match File::open(path) {
        Ok(file) => file.sync_all(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
