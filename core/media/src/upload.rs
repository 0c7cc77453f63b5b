//! Taking in files: one act is one file made durable, then one commit.

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use lyceum_storage::{Batch, CommitError};
use ruma::UserId;
use std::time::Duration;

use crate::{
    Media, MediaError,
    files::Blob,
    media::{is_id, uploaded},
    tables::{AWAITED, ContentRow, MEDIA, MediaRow, USAGE, USES},
};

/// How often an upload is tried again when the person uploads several files at once.
const TRIES: usize = 8;

/// Longer types and names are left out.
const TEXT_BYTES_MAX: usize = 255;

/// What media are, as whoever sends them says.
#[derive(Debug, Clone, Default)]
pub struct Described {
    /// The type.
    pub content_type: Option<String>,
    /// The name.
    pub filename: Option<String>,
}

impl Described {
    /// What of it can be kept.
    fn tidied(self) -> Self {
        let fits = |text: &String| !text.is_empty() && text.len() <= TEXT_BYTES_MAX;
        let plain = |text: &String| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        Self {
            content_type: self.content_type.filter(fits).filter(plain),
            filename: self.filename.filter(fits).filter(|name| !name.contains(char::is_control)),
        }
    }

    pub(crate) fn of(self, blob: &Blob) -> ContentRow {
        let Self { content_type, filename } = self.tidied();
        ContentRow::Kept { hash: blob.hash.clone(), bytes: blob.bytes, content_type, filename }
    }
}

impl Media {
    /// Takes in a file under a new id.
    pub async fn upload<E: From<MediaError>>(
        &self,
        owner: &UserId,
        described: Described,
        arriving: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<String, E> {
        self.check_quota(owner, 0).await?;
        let blob = self.timely(self.take_in(arriving, self.0.config.upload_bytes_max)).await?;
        let id = self.new_id();
        self.record(owner, &id, described, &blob).await?;
        Ok(id)
    }

    /// Takes in the file of an id that was given out before.
    pub async fn upload_to<E: From<MediaError>>(
        &self,
        owner: &UserId,
        id: &str,
        described: Described,
        arriving: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<(), E> {
        self.check_reserved(owner, id).await?;
        self.check_quota(owner, 0).await?;
        let blob = self.timely(self.take_in(arriving, self.0.config.upload_bytes_max)).await?;
        Ok(self.record(owner, id, described, &blob).await?)
    }

    /// Fills a file with what arrives.
    pub(crate) async fn take_in<E: From<MediaError>>(
        &self,
        mut arriving: impl Stream<Item = Result<Bytes, E>> + Unpin,
        bytes_max: u64,
    ) -> Result<Blob, E> {
        let mut incoming = self.0.files.incoming().await.map_err(MediaError::from)?;
        while let Some(piece) = arriving.next().await {
            incoming.write(&piece?).await.map_err(MediaError::from)?;
            if incoming.bytes() > bytes_max {
                return Err(MediaError::TooLarge(bytes_max).into());
            }
        }
        Ok(self.0.files.keep(incoming).await.map_err(MediaError::from)?)
    }

    /// Bounds the time that somebody's upload may take.
    async fn timely<T, E: From<MediaError>>(&self, upload: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let limit = self.0.clock.sleep(Duration::from_secs(self.0.config.upload_timeout_secs));
        tokio::select! {
            done = upload => done,
            () = limit => Err(MediaError::TooSlow.into()),
        }
    }

    /// Refuses an id that does not wait for this person's upload.
    async fn check_reserved(&self, owner: &UserId, id: &str) -> Result<(), MediaError> {
        let row = if is_id(id) { self.row(&self.0.server, id).await? } else { None };
        let row = row.ok_or(MediaError::NotFound)?;
        match row.content {
            _ if row.owner.as_deref() != Some(owner.as_str()) => Err(MediaError::NotYours),
            ContentRow::Kept { .. } => Err(MediaError::CannotOverwrite),
            ContentRow::Awaited { until_ms } if until_ms <= self.now_ms() => Err(MediaError::NotFound),
            ContentRow::Awaited { .. } => Ok(()),
        }
    }

    async fn check_quota(&self, owner: &UserId, more: u64) -> Result<(), MediaError> {
        let Some(bytes_max) = self.0.config.person_bytes_max else { return Ok(()) };
        let used = self.0.store.get(&USAGE, owner.as_str()).await?.unwrap_or_default();
        // Nothing more to give is refused before anything arrives.
        let full = used.bytes.saturating_add(more.max(1)) > bytes_max;
        if full { Err(MediaError::QuotaReached(bytes_max)) } else { Ok(()) }
    }

    /// Writes down what was taken in. Counting and the id's state are checked again in the commit.
    async fn record(&self, owner: &UserId, id: &str, described: Described, blob: &Blob) -> Result<(), MediaError> {
        let content = described.of(blob);
        for _ in 0..TRIES {
            self.check_quota(owner, blob.bytes).await?;
            let before = self.row(&self.0.server, id).await?;
            if before.is_some() {
                self.check_reserved(owner, id).await?;
            }
            match self.0.store.commit(self.recording(owner, id, before.as_ref(), &content, blob).await?).await {
                Err(CommitError::Conflict(_)) => {}
                done => return Ok(done.map(|_| ())?),
            }
        }
        Err(MediaError::Busy)
    }

    async fn recording(
        &self,
        owner: &UserId,
        id: &str,
        before: Option<&MediaRow>,
        content: &ContentRow,
        blob: &Blob,
    ) -> Result<Batch, MediaError> {
        let server = self.0.server.as_str();
        let usage = self.0.store.get(&USAGE, owner.as_str()).await?;
        let mut counted = usage.clone().unwrap_or_default();
        counted.files += 1;
        counted.bytes = counted.bytes.saturating_add(blob.bytes);
        let row = MediaRow { owner: Some(owner.to_string()), created_ms: self.now_ms(), content: content.clone() };
        let mut batch = Batch::new();
        batch
            .expect(&USAGE, owner.as_str(), usage.as_ref())
            .expect(&MEDIA, (server, id), before)
            .put(&USAGE, owner.as_str(), &counted)
            .put(&MEDIA, (server, id), &row)
            .put(&USES, (&blob.hash[..], server, id), &())
            .delete(&AWAITED, (owner.as_str(), id))
            .touch(uploaded(id));
        Ok(batch)
    }
}
