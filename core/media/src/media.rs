//! The handle, and finding media.

use lyceum_events::Clock;
use lyceum_outbound::Outbound;
use lyceum_storage::{Store, Subject};
use rand::{Rng, SeedableRng, distr::Alphanumeric, rngs::StdRng};
use ruma::{OwnedServerName, ServerName};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::Semaphore;

use crate::{
    Content, MediaConfig, MediaError, MediaStorage, S3Config,
    files::{Bucket, Files},
    preview::Previewing,
    remote::Fetches,
    tables::{ContentRow, MEDIA, MediaRow},
};

/// Letters of a media id: as hard to guess as 24 times 5.95 bits.
const ID_LENGTH: usize = 24;

/// Longer ids of other servers are taken for none.
const ID_BYTES_MAX: usize = 255;

/// The longest that anybody waits for an upload.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// What media are kept with.
pub struct MediaParts {
    /// This server.
    pub server: OwnedServerName,
    /// Where rows are kept.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Seeds the ids of media.
    pub seed: [u8; 32],
    /// Where files are kept, or only until they are whole when the settings name a bucket; made when there is a first one.
    pub directory: PathBuf,
    /// The settings.
    pub config: MediaConfig,
    /// The way to the pages that previews are made of, and to the bucket.
    pub outbound: Outbound,
}

/// Media and what belongs to them. Cheap to clone.
#[derive(Clone)]
pub struct Media(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) server: OwnedServerName,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) files: Files,
    pub(crate) config: MediaConfig,
    pub(crate) making: Arc<Semaphore>,
    pub(crate) fetches: Fetches,
    pub(crate) previewing: Previewing,
    ids: parking_lot::Mutex<StdRng>,
}

impl Media {
    /// A handle made of its parts.
    pub fn new(parts: MediaParts) -> Result<Self, MediaError> {
        let mut ids = StdRng::from_seed(parts.seed);
        let bucket = match parts.config.storage {
            MediaStorage::Disk => None,
            MediaStorage::S3 => Some(Bucket::open(&parts.config.s3, parts.outbound.clone())?),
        };
        let files = Files::new(&parts.directory, bucket, ids.random());
        Ok(Self(Arc::new(Inner {
            server: parts.server,
            store: parts.store,
            clock: parts.clock,
            files,
            making: Arc::new(Semaphore::new(parts.config.thumbnails_at_once.max(1))),
            config: parts.config,
            fetches: Fetches::default(),
            previewing: Previewing::new(parts.outbound),
            ids: ids.into(),
        })))
    }

    /// Checks that files can be kept where the settings say, and takes the place for this server. To be done before there are
    /// any.
    pub async fn claim_storage(&self) -> Result<(), MediaError> {
        self.0.files.claim(self.0.server.as_str()).await
    }

    /// The settings.
    pub fn config(&self) -> &MediaConfig {
        &self.0.config
    }

    /// This server.
    pub fn server(&self) -> &ServerName {
        &self.0.server
    }

    /// Whether these are this server's own.
    pub fn is_own(&self, server: &ServerName) -> bool {
        self.0.server == server
    }

    /// Media that are here. Those of an id that waits for its content are waited for so long.
    pub async fn find(&self, server: &ServerName, id: &str, patience: Duration) -> Result<Content, MediaError> {
        if !is_id(id) {
            return Err(MediaError::NotFound);
        }
        self.check_quarantine(server, id).await?;
        let watch = self.0.store.watch(&[uploaded(id)]);
        let deadline = self.0.clock.monotonic().saturating_add(patience.min(WAIT_MAX));
        loop {
            let row = self.row(server, id).await?.ok_or(MediaError::NotFound)?;
            let until_ms = match row.content {
                ContentRow::Kept { hash, bytes, content_type, filename } => {
                    return Ok(Content { bytes, content_type, filename, hash, files: self.0.files.clone() });
                }
                ContentRow::Awaited { until_ms } => until_ms,
            };
            if until_ms <= self.now_ms() {
                return Err(MediaError::NotFound);
            }
            if self.0.clock.monotonic() >= deadline {
                return Err(MediaError::NotYetUploaded);
            }
            tokio::select! {
                _ = watch.changed() => {}
                () = self.0.clock.sleep_until(deadline) => {}
            }
        }
    }

    pub(crate) async fn row(&self, server: &ServerName, id: &str) -> Result<Option<MediaRow>, MediaError> {
        Ok(self.0.store.get(&MEDIA, (server.as_str(), id)).await?)
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.0.clock.now().get().into()
    }

    pub(crate) fn new_id(&self) -> String {
        (&mut *self.0.ids.lock()).sample_iter(Alphanumeric).take(ID_LENGTH).map(char::from).collect()
    }
}

/// Checks that files can be kept in the bucket of the settings, without taking the place.
pub async fn check_bucket(
    config: &S3Config,
    server: &ServerName,
    outbound: &Outbound,
    seed: [u8; 32],
) -> Result<(), MediaError> {
    let bucket = Bucket::open(config, outbound.clone())?;
    bucket.check(server.as_str(), StdRng::from_seed(seed).random()).await
}

/// What is touched when an id gets its content.
pub(crate) fn uploaded(id: &str) -> Subject {
    Subject::other(format!("media/{id}"))
}

/// Whether this can be a media id (spec, "Security considerations" of the content repository).
pub(crate) fn is_id(id: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !id.is_empty() && id.len() <= ID_BYTES_MAX && id.bytes().all(fits)
}
