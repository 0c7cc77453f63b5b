//! Files on disk, named by what is in them: `files/ab/cdef…`, and thumbnails beside them under `thumbnails/`.
//!
//! A file is written under `incoming/`, made durable and then given its name. What breaks off is removed.

use rand::{Rng, SeedableRng, rngs::StdRng};
use sha2::{Digest, Sha256};
use std::{
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{
    fs,
    io::AsyncWriteExt,
    sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock},
};

/// Sizes kept of one picture; what else is asked for is made anew each time.
const THUMBNAILS_MAX: usize = 32;

/// The directory of media. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Files {
    directory: Arc<Path>,
    names: Arc<parking_lot::Mutex<StdRng>>,
    /// Held by many while a file is kept and not yet written down, by one that removes a file nobody has written down.
    settling: Arc<RwLock<()>>,
}

impl Files {
    pub(crate) fn new(directory: &Path, seed: [u8; 32]) -> Self {
        Self { directory: directory.into(), names: Arc::new(StdRng::from_seed(seed).into()), settling: Arc::default() }
    }

    /// A new file, to be filled.
    pub(crate) async fn incoming(&self) -> io::Result<Incoming> {
        let directory = self.directory.join("incoming");
        fs::create_dir_all(&directory).await?;
        let name: u128 = self.names.lock().random();
        let path = directory.join(format!("{name:032x}"));
        let file = fs::OpenOptions::new().write(true).create_new(true).open(&path).await?;
        Ok(Incoming { file, path: Unfinished(path), hash: Sha256::new(), bytes: 0 })
    }

    /// Gives a file its name, durably. The same bytes may be there already.
    pub(crate) async fn keep(&self, incoming: Incoming) -> io::Result<Blob> {
        let Incoming { mut file, path, hash, bytes } = incoming;
        let blob = Blob { hash: hash.finalize().to_vec(), bytes, _settling: self.settling.clone().read_owned().await };
        file.flush().await?;
        let place = self.place(&blob.hash);
        if fs::try_exists(&place).await? {
            return Ok(blob);
        }
        file.sync_all().await?;
        drop(file);
        tokio::task::spawn_blocking(move || settle(&path.0, &place)).await.map_err(io::Error::other)??;
        Ok(blob)
    }

    /// Waits until every file that was kept is written down, and lets nobody keep another one meanwhile.
    pub(crate) async fn alone(&self) -> OwnedRwLockWriteGuard<()> {
        self.settling.clone().write_owned().await
    }

    /// Removes a file and its thumbnails. There need be none.
    pub(crate) async fn remove(&self, hash: &[u8]) -> io::Result<()> {
        let there = |done: io::Result<()>| match done {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        };
        there(fs::remove_file(self.place(hash)).await)?;
        there(fs::remove_dir_all(self.under("thumbnails", hash)).await)
    }

    /// Removes what uploads left that broke off when the process ended. Nothing may be uploaded yet.
    pub(crate) async fn remove_unfinished(&self) -> io::Result<usize> {
        let directory = self.directory.join("incoming");
        let mut removed = 0;
        for path in listed(&directory).await? {
            fs::remove_file(path).await?;
            removed += 1;
        }
        Ok(removed)
    }

    /// The beginnings that names of files have here: as many as there are directories of them, 256 at most.
    pub(crate) async fn shelves(&self) -> io::Result<Vec<PathBuf>> {
        listed(&self.directory.join("files")).await
    }

    /// The hashes of the files on one of these.
    pub(crate) async fn hashes_on(&self, shelf: &Path) -> io::Result<Vec<Vec<u8>>> {
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let first = name(shelf);
        let files = listed(shelf).await?;
        Ok(files.iter().filter_map(|file| from_hex(&(first.clone() + &name(file)))).collect())
    }

    /// Where the file with this hash is.
    pub(crate) fn place(&self, hash: &[u8]) -> PathBuf {
        self.under("files", hash)
    }

    /// A thumbnail made before. Blocks.
    pub(crate) fn thumbnail(&self, hash: &[u8], name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.under("thumbnails", hash).join(name)).ok()
    }

    /// Keeps a thumbnail, unless there are many sizes of it. Blocks. It can be made again, so it need not be durable, only
    /// whole.
    pub(crate) fn keep_thumbnail(&self, hash: &[u8], name: &str, picture: &[u8]) -> io::Result<()> {
        let directory = self.under("thumbnails", hash);
        std::fs::create_dir_all(&directory)?;
        if std::fs::read_dir(&directory)?.count() >= THUMBNAILS_MAX {
            return Ok(());
        }
        let unfinished = Unfinished(directory.join(format!("{name}.{:032x}", self.names.lock().random::<u128>())));
        std::fs::write(&unfinished.0, picture)?;
        std::fs::rename(&unfinished.0, directory.join(name))
    }

    fn under(&self, kind: &str, hash: &[u8]) -> PathBuf {
        let mut name = String::with_capacity(hash.len() * 2);
        for byte in hash {
            // Writing into a string cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        let (first, rest) = name.split_at(2.min(name.len()));
        self.directory.join(kind).join(first).join(rest)
    }
}

/// What is in a directory, which need not be there.
async fn listed(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries = match fs::read_dir(directory).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    let mut paths = Vec::new();
    while let Some(entry) = entries.next_entry().await? {
        paths.push(entry.path());
    }
    Ok(paths)
}

/// A hash by its name; none if that is no name of a file of ours.
fn from_hex(name: &str) -> Option<Vec<u8>> {
    let is_ours = name.len() == 2 * Sha256::output_size() && name.is_ascii();
    let byte = |at: usize| u8::from_str_radix(name.get(at..at + 2)?, 16).ok();
    is_ours.then(|| (0..name.len()).step_by(2).map(byte).collect()).flatten()
}

/// Renames a file to its place and makes both directories durable.
fn settle(from: &Path, place: &Path) -> io::Result<()> {
    let parent = place.parent().unwrap_or(place);
    std::fs::create_dir_all(parent)?;
    std::fs::rename(from, place)?;
    for directory in parent.ancestors().take(3) {
        std::fs::File::open(directory)?.sync_all()?;
    }
    Ok(())
}

/// What was kept. Until it is dropped nobody removes the file.
#[derive(Debug)]
pub(crate) struct Blob {
    pub(crate) hash: Vec<u8>,
    pub(crate) bytes: u64,
    _settling: OwnedRwLockReadGuard<()>,
}

/// A file that is being filled. Dropped, it is gone.
pub(crate) struct Incoming {
    file: fs::File,
    path: Unfinished,
    hash: Sha256,
    bytes: u64,
}

impl Incoming {
    /// Adds a piece.
    pub(crate) async fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.hash.update(piece);
        self.bytes += piece.len() as u64;
        self.file.write_all(piece).await
    }

    /// How much there is by now.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// A file that is removed unless it was renamed.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Gone already when it got its name.
        let _ = std::fs::remove_file(&self.0);
    }
}
