//! Media that can be served: what they are, and reading them whole or in part.

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use ruma::http_headers::ContentDisposition;
use std::{io, io::SeekFrom, ops::Range, path::PathBuf};
use tokio::{
    fs,
    io::{AsyncReadExt, AsyncSeekExt},
};

use crate::{disposition, error::MediaError};

/// What is read at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// Media with their content.
#[derive(Debug, Clone)]
pub struct Content {
    /// The size.
    pub bytes: u64,
    /// What they are, as whoever uploaded them says.
    pub content_type: Option<String>,
    /// Their name, as whoever uploaded them says.
    pub filename: Option<String>,
    pub(crate) hash: Vec<u8>,
    pub(crate) place: PathBuf,
}

/// A part of a file that is being read.
pub type Piece = io::Result<Bytes>;

impl Content {
    /// The type to serve them as.
    pub fn content_type(&self) -> &str {
        self.content_type.as_deref().unwrap_or("application/octet-stream")
    }

    /// How to serve them: shown only when their type cannot run anything; under their own name, or another one.
    pub fn disposition(&self, filename: Option<&str>) -> ContentDisposition {
        disposition::of(self.content_type.as_deref(), filename.or(self.filename.as_deref()))
    }

    /// A tag that differs when the bytes do.
    pub fn tag(&self) -> String {
        let hex: String = self.hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("\"{hex}\"")
    }

    /// Reads a part of them, piece by piece.
    pub async fn read(&self, part: Range<u64>) -> Result<impl Stream<Item = Piece> + Send + 'static, MediaError> {
        let mut file = fs::File::open(&self.place).await?;
        if part.start > 0 {
            file.seek(SeekFrom::Start(part.start)).await?;
        }
        let left = part.end.saturating_sub(part.start);
        Ok(stream::try_unfold((file, left), |(mut file, left)| async move {
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
        }))
    }
}
