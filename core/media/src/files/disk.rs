//! Files in a directory. What is written is made durable before it gets its name.

use bytes::BytesMut;
use futures_util::{StreamExt, stream, stream::BoxStream};
use std::{
    io,
    io::SeekFrom,
    ops::Range,
    path::{Path, PathBuf},
};
use tokio::{
    fs,
    io::{AsyncReadExt, AsyncSeekExt},
};

use super::Unfinished;
use crate::Piece;

/// What is read at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// Reads a part of a file, piece by piece.
pub(super) async fn read(place: &Path, part: Range<u64>) -> io::Result<BoxStream<'static, Piece>> {
    let mut file = fs::File::open(place).await?;
    if part.start > 0 {
        file.seek(SeekFrom::Start(part.start)).await?;
    }
    let left = part.end.saturating_sub(part.start);
    let pieces = stream::try_unfold((file, left), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let size = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE_BYTES);
        let mut piece = BytesMut::with_capacity(size);
        let read = (&mut file).take(size as u64).read_buf(&mut piece).await? as u64;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some((piece.freeze(), (file, left - read))))
    });
    Ok(pieces.boxed())
}

/// Removes a file and the directory of its thumbnails. There need be none.
pub(super) async fn remove(file: &Path, thumbnails: &Path) -> io::Result<()> {
    let there = |done: io::Result<()>| match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    };
    there(fs::remove_file(file).await)?;
    there(fs::remove_dir_all(thumbnails).await)
}

/// What is in a directory, which need not be there.
pub(super) async fn listed(directory: &Path) -> io::Result<Vec<PathBuf>> {
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

/// The last step of a path as text.
pub(super) fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Renames a file to its place and makes both directories durable. Blocks.
pub(super) fn settle(from: &Path, place: &Path) -> io::Result<()> {
    let parent = place.parent().unwrap_or(place);
    std::fs::create_dir_all(parent)?;
    std::fs::rename(from, place)?;
    for directory in parent.ancestors().take(3) {
        std::fs::File::open(directory)?.sync_all()?;
    }
    Ok(())
}

/// Keeps a thumbnail in a directory of so many at most. It can be made again, so it need not be durable, only whole. Blocks.
pub(super) fn keep_thumbnail(
    directory: &Path,
    name: &str,
    chance: u128,
    picture: &[u8],
    most: usize,
) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    if std::fs::read_dir(directory)?.count() >= most {
        return Ok(());
    }
    let unfinished = Unfinished(directory.join(format!("{name}.{chance:032x}")));
    std::fs::write(&unfinished.0, picture)?;
    std::fs::rename(&unfinished.0, directory.join(name))
}
