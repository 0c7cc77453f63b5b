//! Backup to one file and restore from it, from any engine to any engine.
//!
//! A backup holds every row at one moment: a first line that names the form, then each row as two lengths (four bytes each,
//! little end first), key and value, then a key length of all ones, the number of rows (eight bytes) and the SHA-256 of
//! everything before it.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    ops::Bound,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    Engine, OpenError, Position, RawRange, StorageConfig, StorageError, Store, Table, meta::LAST_POSITION, open,
};

const FIRST_LINE: &[u8] = b"Lyceum backup, form 1\n";
const END: u32 = u32::MAX;

/// No key or value is larger; a length above it means that the file is damaged.
const ROW_BYTES_MAX: u32 = 1 << 30;

/// Rows written in one go when restoring.
const LOAD_ROWS: usize = 2000;

/// There while a restore is under way, so that one that was interrupted is not taken for a store.
pub(crate) const RESTORING: Table<(), bool> =
    Table::new("_restoring", "Written before the first row of a restore, removed after the last. One row or none.");

/// Why a backup was not made or not restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file could not be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: Arc<io::Error>,
    },
    /// The file is not a backup, or not a whole one.
    #[error("{} is not a whole backup: {why}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Restoring would mix two stores.
    #[error("the store to restore into is not empty; name an empty data directory or database")]
    NotEmpty,
    /// The store to restore into could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store could not be read or written.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl BackupError {
    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |error| Self::File { path: path.to_owned(), error: Arc::new(error) }
    }
}

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupReport {
    /// How many rows.
    pub rows: u64,
    /// The size of the file.
    pub bytes: u64,
    /// The last position in it.
    pub position: Position,
}

impl Store {
    /// Writes a backup of the store as it is now to a new file, while the store goes on being used. The file appears under
    /// its name only when it is whole and synced.
    pub async fn backup(&self, path: &Path) -> Result<BackupReport, BackupError> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let report = self.backup_to(&partial).await;
        if report.is_err() {
            // Half a backup is of no use; that it was not made is what has to be said.
            let _ = fs::remove_file(&partial);
        }
        let report = report?;
        fs::rename(&partial, path).map_err(BackupError::file(path))?;
        if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            File::open(dir).and_then(|dir| dir.sync_all()).map_err(BackupError::file(dir))?;
        }
        Ok(report)
    }

    async fn backup_to(&self, path: &Path) -> Result<BackupReport, BackupError> {
        let mut file = Hashing::new(BufWriter::new(private(path).map_err(BackupError::file(path))?));
        let mut snapshot = self.engine().snapshot().await?;
        let mut report = BackupReport { rows: 0, bytes: 0, position: Position(0) };
        file.write_all(FIRST_LINE).map_err(BackupError::file(path))?;
        loop {
            let page = snapshot.next().await?;
            if page.is_empty() {
                break;
            }
            for (key, value) in page {
                report.position = position_in(&key, &value)?.unwrap_or(report.position);
                report.rows += 1;
                write_row(&mut file, &key, &value).map_err(BackupError::file(path))?;
            }
        }
        let finished = tokio::task::spawn_blocking(move || finish(file, report.rows)).await;
        report.bytes =
            finished.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(BackupError::file(path))?;
        Ok(report)
    }
}

/// A new file that only its owner reads: a backup holds everybody's messages.
fn private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn position_in(key: &[u8], value: &[u8]) -> Result<Option<Position>, StorageError> {
    let found = key == LAST_POSITION.encode_key(&());
    found.then(|| LAST_POSITION.decode_value(value).map(Position)).transpose()
}

fn write_row(file: &mut impl Write, key: &[u8], value: &[u8]) -> io::Result<()> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).map(u32::to_le_bytes).map_err(io::Error::other);
    file.write_all(&length(key)?)?;
    file.write_all(&length(value)?)?;
    file.write_all(key)?;
    file.write_all(value)
}

fn finish(mut file: Hashing<BufWriter<File>>, rows: u64) -> io::Result<u64> {
    file.write_all(&END.to_le_bytes())?;
    file.write_all(&rows.to_le_bytes())?;
    let Hashing { mut inner, hash } = file;
    inner.write_all(&hash.finalize())?;
    let file = inner.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}

/// Restores a backup into the empty store that `config` names. The file is read through and checked before anything is
/// written; an interrupted restore leaves a store that refuses to open.
pub async fn restore(config: &StorageConfig, data_dir: &Path, path: &Path) -> Result<BackupReport, BackupError> {
    check(path)?;
    let engine = open::engine(config, data_dir).await?;
    let restored = restore_into(&*engine, path).await;
    engine.close().await;
    restored
}

/// Reads a whole backup without using it.
pub fn check(path: &Path) -> Result<BackupReport, BackupError> {
    let mut rows = Rows::open(path)?;
    while !rows.page()?.is_empty() {}
    Ok(rows.report)
}

pub(crate) async fn restore_into(engine: &dyn Engine, path: &Path) -> Result<BackupReport, BackupError> {
    let any = RawRange { start: Bound::Unbounded, end: Bound::Unbounded, reversed: false, limit: 1 };
    if !engine.scan(any).await?.is_empty() {
        return Err(BackupError::NotEmpty);
    }
    let mark = |under_way| (RESTORING.encode_key(&()), RESTORING.encode_value(&under_way));
    engine.load(vec![mark(true)]).await?;
    let mut rows = Rows::open(path)?;
    loop {
        let mut page = rows.page()?;
        if page.is_empty() {
            break;
        }
        page.retain(|(key, _)| *key != RESTORING.encode_key(&()));
        engine.load(page).await?;
    }
    engine.load(vec![mark(false)]).await?;
    Ok(rows.report)
}

/// The rows of a backup, page by page. Fails at the end if the file is not as it was written.
struct Rows {
    path: PathBuf,
    file: Hashing<BufReader<File>>,
    report: BackupReport,
    ended: bool,
}

impl Rows {
    fn open(path: &Path) -> Result<Self, BackupError> {
        let file = File::open(path).map_err(BackupError::file(path))?;
        let bytes = file.metadata().map_err(BackupError::file(path))?.len();
        let report = BackupReport { rows: 0, bytes, position: Position(0) };
        let mut rows = Self { path: path.to_owned(), file: Hashing::new(BufReader::new(file)), report, ended: false };
        let first: [u8; FIRST_LINE.len()] = rows.read()?;
        if first == FIRST_LINE { Ok(rows) } else { Err(rows.damaged("it does not begin as one")) }
    }

    fn damaged(&self, why: &'static str) -> BackupError {
        BackupError::Damaged { path: self.path.clone(), why }
    }

    fn cut_or_failed(&self, error: io::Error) -> BackupError {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            self.damaged("it ends too early")
        } else {
            BackupError::file(&self.path)(error)
        }
    }

    fn read<const N: usize>(&mut self) -> Result<[u8; N], BackupError> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes).map_err(|error| self.cut_or_failed(error))?;
        Ok(bytes)
    }

    fn bytes(&mut self, length: u32) -> Result<Vec<u8>, BackupError> {
        if length > ROW_BYTES_MAX {
            return Err(self.damaged("a row is longer than any can be"));
        }
        // Grows with what is really there, whatever the length claims.
        let mut bytes = Vec::new();
        let read = self.file.by_ref().take(length.into()).read_to_end(&mut bytes);
        match read {
            Ok(count) if count == length as usize => Ok(bytes),
            Ok(_) => Err(self.damaged("it ends too early")),
            Err(error) => Err(BackupError::file(&self.path)(error)),
        }
    }

    /// The next rows; none at the end.
    fn page(&mut self) -> Result<Vec<(Vec<u8>, Bytes)>, BackupError> {
        let mut page = Vec::new();
        while page.len() < LOAD_ROWS && !self.ended {
            match u32::from_le_bytes(self.read()?) {
                END => self.end()?,
                key_length => {
                    let value_length = u32::from_le_bytes(self.read()?);
                    let (key, value) = (self.bytes(key_length)?, self.bytes(value_length)?);
                    self.report.position = position_in(&key, &value)?.unwrap_or(self.report.position);
                    self.report.rows += 1;
                    page.push((key, value.into()));
                }
            }
        }
        Ok(page)
    }

    fn end(&mut self) -> Result<(), BackupError> {
        let rows = u64::from_le_bytes(self.read()?);
        let expected: [u8; 32] = self.file.hash.clone().finalize().into();
        let hash: [u8; 32] = self.read()?;
        self.ended = true;
        if rows != self.report.rows || expected != hash {
            return Err(self.damaged("its checksum is wrong"));
        }
        Ok(())
    }
}

/// A file whose content is hashed as it is read or written.
struct Hashing<F> {
    inner: F,
    hash: Sha256,
}

impl<F> Hashing<F> {
    fn new(inner: F) -> Self {
        Self { inner, hash: Sha256::new() }
    }
}

impl<F: Write> Write for Hashing<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hash.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<F: Read> Read for Hashing<F> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(bytes)?;
        self.hash.update(&bytes[..count]);
        Ok(count)
    }
}
