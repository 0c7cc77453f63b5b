//! Media that can be served: what they are, and reading them whole or in part.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use ruma::http_headers::ContentDisposition;
use std::{io, ops::Range};

use crate::{disposition, error::MediaError, files::Files};

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
    pub(crate) files: Files,
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
    pub async fn read(&self, part: Range<u64>) -> Result<BoxStream<'static, Piece>, MediaError> {
        Ok(self.files.read(&self.hash, part).await?)
    }
}
