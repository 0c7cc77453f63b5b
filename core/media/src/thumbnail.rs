//! Thumbnails: which size is made for what is asked, and making it off the async threads, a few at a time.

use bytes::Bytes;
use std::{path::Path, time::Duration};
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    Content, Media, MediaError, disposition,
    picture::{self, Limits},
};
use ruma::http_headers::ContentDisposition;

/// How long somebody waits for their turn.
const TURN_MAX: Duration = Duration::from_secs(30);

/// What is asked for is rounded up to one of these, so that few sizes are made (spec, "Thumbnails").
const SCALED: [(u32, u32); 6] = [(32, 32), (96, 96), (320, 240), (640, 480), (800, 600), (1600, 1200)];

/// Squares are rounded up to one of these.
const SQUARES: [u32; 6] = [32, 64, 96, 256, 512, 1024];

/// How a picture is made to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// It keeps its shape.
    Scale,
    /// It gets the shape that was asked for.
    Crop,
}

/// The thumbnail somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Its least width.
    pub width: u32,
    /// Its least height.
    pub height: u32,
    /// How it is made to fit.
    pub method: Method,
    /// Whether it may move.
    pub animated: bool,
}

/// Under what name the first frame of a picture that moves is kept, in its own size.
const STILL: &str = "still";

impl Wanted {
    /// What is made for it: nothing smaller. Nothing at all when it is larger than any thumbnail.
    fn rounded(self) -> Option<Self> {
        let fits = |(width, height): &(u32, u32)| *width >= self.width && *height >= self.height;
        let (width, height) = match self.method {
            Method::Scale => SCALED.into_iter().find(fits)?,
            Method::Crop if self.width == self.height => SQUARES.map(|side| (side, side)).into_iter().find(fits)?,
            Method::Crop if self.width <= 1600 && self.height <= 1600 => (self.width, self.height),
            Method::Crop => return None,
        };
        Some(Self { width, height, ..self })
    }

    fn name(self) -> String {
        let method = match self.method {
            Method::Scale => "scale",
            Method::Crop => "crop",
        };
        format!("{}x{}-{method}", self.width, self.height)
    }
}

/// A picture that was made smaller.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The file.
    pub bytes: Bytes,
    /// Its type.
    pub content_type: &'static str,
}

impl Picture {
    fn of(bytes: Bytes) -> Self {
        Self { content_type: picture::kind(&bytes), bytes }
    }

    /// How to serve it.
    pub fn disposition(&self) -> ContentDisposition {
        let name = if self.content_type == "image/png" { "thumbnail.png" } else { "thumbnail.jpg" };
        disposition::of(Some(self.content_type), Some(name))
    }
}

impl Media {
    /// A thumbnail of a picture; `None` when it is no larger than what is wanted and is to be served as it is. What is made
    /// never moves.
    pub async fn thumbnail(&self, content: &Content, wanted: Wanted) -> Result<Option<Picture>, MediaError> {
        let size = wanted.rounded();
        if let Some(kept) = self.kept_thumbnail(content, size).await {
            return Ok(Some(kept));
        }
        let turn = tokio::time::timeout(TURN_MAX, self.0.making.clone().acquire_owned());
        let turn = turn.await.map_err(|_| MediaError::Busy)?.map_err(|_| MediaError::Busy)?;
        // Many ask for a new picture at once: whoever had their turn before has made it.
        if let Some(kept) = self.kept_thumbnail(content, size).await {
            return Ok(Some(kept));
        }
        let (turn, made) = self.make_smaller(content, size, turn).await?;
        match (made, size) {
            (Some(bytes), Some(size)) => Ok(Some(self.keep_made(content, &size.name(), bytes).await)),
            _ if wanted.animated => Ok(None),
            _ => self.still(content, turn).await,
        }
    }

    /// The first frame of a picture that moves; `None` when it stands still.
    async fn still(&self, content: &Content, turn: OwnedSemaphorePermit) -> Result<Option<Picture>, MediaError> {
        if let Some(kept) = self.0.files.thumbnail(&content.hash, STILL).await {
            return Ok(Some(Picture::of(kept)));
        }
        let (_turn, made) = self.make(content, turn, picture::still).await?;
        let Some(bytes) = made else { return Ok(None) };
        Ok(Some(self.keep_made(content, STILL, bytes).await))
    }

    async fn keep_made(&self, content: &Content, name: &str, bytes: Bytes) -> Picture {
        if let Err(error) = self.0.files.keep_thumbnail(&content.hash, name, bytes.clone()).await {
            tracing::warn!(%error, "a thumbnail could not be kept");
        }
        Picture::of(bytes)
    }

    async fn kept_thumbnail(&self, content: &Content, size: Option<Wanted>) -> Option<Picture> {
        self.0.files.thumbnail(&content.hash, &size?.name()).await.map(Picture::of)
    }

    /// The picture in a size; without one it is only looked whether it is a picture.
    async fn make_smaller(
        &self,
        content: &Content,
        size: Option<Wanted>,
        turn: OwnedSemaphorePermit,
    ) -> Result<(OwnedSemaphorePermit, Option<Bytes>), MediaError> {
        self.make(content, turn, move |place, limits| match size {
            Some(size) => picture::smaller(place, size, limits),
            None => picture::check(place, limits).map(|()| None),
        })
        .await
    }

    /// What is made of a picture. The turn lasts as long as the work, even when nobody waits for it any more.
    async fn make(
        &self,
        content: &Content,
        turn: OwnedSemaphorePermit,
        work: impl FnOnce(&Path, &Limits) -> Result<Option<Vec<u8>>, MediaError> + Send + 'static,
    ) -> Result<(OwnedSemaphorePermit, Option<Bytes>), MediaError> {
        let local = self.0.files.local(&content.hash, content.bytes).await?;
        let limits = Limits { pixels_max: self.0.config.thumbnail_pixels_max };
        let made = tokio::task::spawn_blocking(move || Ok((turn, work(local.path(), &limits)?.map(Bytes::from))));
        // A decoder that panics has met something that is no picture.
        made.await.map_err(|_| MediaError::NoPicture("its decoder gave up".to_owned()))?
    }
}
