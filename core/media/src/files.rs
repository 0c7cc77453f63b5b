//! Files, named by what is in them: `files/ab/cdef…`, and thumbnails beside them under `thumbnails/`. In a directory, or in a
//! bucket of an S3 service under the same names.
//!
//! A file is written under `incoming/` on this machine, and then given its name, durably, or sent to the bucket. What breaks
//! off is removed.

mod bucket;
mod carrier;
mod disk;
#[cfg(test)]
mod tests;

pub(crate) use bucket::Bucket;

use bytes::Bytes;
use futures_util::{TryStreamExt, stream::BoxStream};
use rand::{Rng, SeedableRng, rngs::StdRng};
use sha2::{Digest, Sha256};
use std::{
    fmt::{self, Write as _},
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{
    fs,
    io::AsyncWriteExt,
    sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock},
};

use crate::Piece;

/// Sizes kept of one picture; what else is asked for is made anew each time.
const THUMBNAILS_MAX: usize = 32;

/// Where media are kept. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Files {
    directory: Arc<Path>,
    /// Where files are in the end, if not in the directory.
    bucket: Option<Bucket>,
    names: Arc<parking_lot::Mutex<StdRng>>,
    /// Held by many while a file is kept and not yet written down, by one that removes a file nobody has written down.
    settling: Arc<RwLock<()>>,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Files {
    pub(crate) fn new(directory: &Path, bucket: Option<Bucket>, seed: [u8; 32]) -> Self {
        let names = Arc::new(StdRng::from_seed(seed).into());
        Self { directory: directory.into(), bucket, names, settling: Arc::default() }
    }

    /// Checks that files can be kept here and writes down that this server does.
    pub(crate) async fn claim(&self, server: &str) -> Result<(), crate::MediaError> {
        let Some(bucket) = &self.bucket else { return Ok(()) };
        bucket.check(server, self.chance()).await?;
        Ok(bucket.claim(server).await?)
    }

    /// A new file, to be filled.
    pub(crate) async fn incoming(&self) -> io::Result<Incoming> {
        let directory = self.directory.join("incoming");
        fs::create_dir_all(&directory).await?;
        let path = directory.join(format!("{:032x}", self.chance()));
        let file = fs::OpenOptions::new().write(true).create_new(true).open(&path).await?;
        Ok(Incoming { file, path: Unfinished(path), hash: Sha256::new(), bytes: 0 })
    }

    /// Gives a file its name, durably. The same bytes may be there already.
    pub(crate) async fn keep(&self, incoming: Incoming) -> io::Result<Blob> {
        let Incoming { mut file, path, hash, bytes } = incoming;
        let hash = hash.finalize().to_vec();
        file.flush().await?;
        let _settling = match &self.bucket {
            Some(bucket) => {
                drop(file);
                self.send(bucket.clone(), named("files", &hash), path, bytes).await?
            }
            None => self.settle(&hash, file, path).await?,
        };
        Ok(Blob { hash, bytes, _settling })
    }

    async fn settle(&self, hash: &[u8], file: fs::File, path: Unfinished) -> io::Result<OwnedRwLockReadGuard<()>> {
        let settling = self.settling.clone().read_owned().await;
        let place = self.place(hash);
        if !fs::try_exists(&place).await? {
            file.sync_all().await?;
            drop(file);
            tokio::task::spawn_blocking(move || disk::settle(&path.0, &place)).await.map_err(io::Error::other)??;
        }
        Ok(settling)
    }

    /// Sends a file to the bucket: to its end even if whoever uploaded it goes away, so that no parts of it stay there.
    async fn send(
        &self,
        bucket: Bucket,
        name: String,
        path: Unfinished,
        bytes: u64,
    ) -> io::Result<OwnedRwLockReadGuard<()>> {
        let settling = self.settling.clone();
        let sent = tokio::spawn(async move {
            // Sent before anybody has to wait for that, and looked for again once nobody may remove it.
            bucket.ensure(&name, &path.0, bytes).await?;
            let settling = settling.read_owned().await;
            bucket.ensure(&name, &path.0, bytes).await?;
            Ok(settling)
        });
        sent.await.map_err(io::Error::other)?
    }

    /// Waits until every file that was kept is written down, and lets nobody keep another one meanwhile.
    pub(crate) async fn alone(&self) -> OwnedRwLockWriteGuard<()> {
        self.settling.clone().write_owned().await
    }

    /// Removes a file and its thumbnails. There need be none.
    pub(crate) async fn remove(&self, hash: &[u8]) -> io::Result<()> {
        let Some(bucket) = &self.bucket else {
            return disk::remove(&self.place(hash), &self.directory.join(named("thumbnails", hash))).await;
        };
        bucket.remove(&named("files", hash)).await?;
        for (thumbnail, _) in bucket.below(&named("thumbnails", hash)).await? {
            bucket.remove(&thumbnail).await?;
        }
        Ok(())
    }

    /// Removes what uploads left that broke off when the process ended. Nothing may be uploaded yet.
    pub(crate) async fn remove_unfinished(&self) -> io::Result<usize> {
        let directory = self.directory.join("incoming");
        let mut removed = 0;
        for path in disk::listed(&directory).await? {
            fs::remove_file(path).await?;
            removed += 1;
        }
        Ok(removed)
    }

    /// The beginnings that names of files have here: 256 at most.
    pub(crate) async fn shelves(&self) -> io::Result<Vec<String>> {
        match &self.bucket {
            Some(bucket) => bucket.steps("files").await,
            None => {
                Ok(disk::listed(&self.directory.join("files")).await?.iter().map(|path| disk::name(path)).collect())
            }
        }
    }

    /// The hashes of the files on one of these. What was put into a bucket since then is left out: another process of this
    /// server may be about to write it down.
    pub(crate) async fn hashes_on(&self, shelf: &str, until_ms: u64) -> io::Result<Vec<Vec<u8>>> {
        let names: Vec<String> = match &self.bucket {
            Some(bucket) => {
                let files = bucket.below(&format!("files/{shelf}")).await?.into_iter();
                let settled = files.filter(|(_, put_ms)| *put_ms < until_ms);
                settled.filter_map(|(name, _)| Some(name.rsplit_once('/')?.1.to_owned())).collect()
            }
            None => {
                let files = disk::listed(&self.directory.join("files").join(shelf)).await?;
                files.iter().map(|path| disk::name(path)).collect()
            }
        };
        Ok(names.iter().filter_map(|name| from_hex(&format!("{shelf}{name}"))).collect())
    }

    /// Reads a part of a file, piece by piece.
    pub(crate) async fn read(&self, hash: &[u8], part: Range<u64>) -> io::Result<BoxStream<'static, Piece>> {
        match &self.bucket {
            Some(bucket) => bucket.read(&named("files", hash), part).await,
            None => disk::read(&self.place(hash), part).await,
        }
    }

    /// A file of so many bytes on this machine, for what must look into it here and there.
    pub(crate) async fn local(&self, hash: &[u8], bytes: u64) -> io::Result<Local> {
        if self.bucket.is_none() {
            return Ok(Local::Own(self.place(hash)));
        }
        let (mut copy, mut pieces) = (self.incoming().await?, self.read(hash, 0..bytes).await?);
        while let Some(piece) = pieces.try_next().await? {
            copy.write(&piece).await?;
        }
        copy.file.flush().await?;
        Ok(Local::Copy(copy.path))
    }

    /// A thumbnail made before.
    pub(crate) async fn thumbnail(&self, hash: &[u8], name: &str) -> Option<Bytes> {
        let name = format!("{}/{name}", named("thumbnails", hash));
        // One that cannot be read is made again.
        match &self.bucket {
            Some(bucket) => bucket.get(&name).await.ok(),
            None => fs::read(self.directory.join(name)).await.ok().map(Bytes::from),
        }
    }

    /// Keeps a thumbnail, unless there are many sizes of it.
    pub(crate) async fn keep_thumbnail(&self, hash: &[u8], name: &str, picture: Bytes) -> io::Result<()> {
        let (shelf, name) = (named("thumbnails", hash), name.to_owned());
        if let Some(bucket) = &self.bucket {
            let is_full = bucket.below(&shelf).await?.len() >= THUMBNAILS_MAX;
            return if is_full { Ok(()) } else { bucket.put(&format!("{shelf}/{name}"), picture).await };
        }
        let (directory, chance) = (self.directory.join(shelf), self.chance());
        let keep = move || disk::keep_thumbnail(&directory, &name, chance, &picture, THUMBNAILS_MAX);
        tokio::task::spawn_blocking(keep).await.map_err(io::Error::other)?
    }

    /// Where a file is in the directory.
    fn place(&self, hash: &[u8]) -> PathBuf {
        self.directory.join(named("files", hash))
    }

    fn chance(&self) -> u128 {
        self.names.lock().random()
    }
}

/// The name of what belongs to a hash, as steps of a path.
fn named(kind: &str, hash: &[u8]) -> String {
    let mut name = format!("{kind}/");
    for (at, byte) in hash.iter().enumerate() {
        let step = if at == 1 { "/" } else { "" };
        // Writing into a string cannot fail.
        let _ = write!(name, "{step}{byte:02x}");
    }
    name
}

/// A hash by its name; none if that is no name of a file of ours.
fn from_hex(name: &str) -> Option<Vec<u8>> {
    let is_ours = name.len() == 2 * Sha256::output_size() && name.is_ascii();
    let byte = |at: usize| u8::from_str_radix(name.get(at..at + 2)?, 16).ok();
    is_ours.then(|| (0..name.len()).step_by(2).map(byte).collect()).flatten()
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

/// A file on this machine.
pub(crate) enum Local {
    /// The only one.
    Own(PathBuf),
    /// A copy, which goes when it is dropped.
    Copy(Unfinished),
}

impl Local {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Own(path) => path,
            Self::Copy(copy) => &copy.0,
        }
    }
}

/// A file that is removed unless it was renamed.
pub(crate) struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Gone already when it got its name.
        let _ = std::fs::remove_file(&self.0);
    }
}
