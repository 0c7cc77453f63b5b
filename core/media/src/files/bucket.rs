//! Files in a bucket of an S3 service, under the same names as on disk.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream::BoxStream};
use lyceum_outbound::Outbound;
use object_store::{
    Error, GetOptions, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, RetryConfig,
    aws::AmazonS3Builder, path::Path as Name, prefix::PrefixStore,
};
use std::{io, ops::Range, path::Path, sync::Arc, time::Duration};
use tokio::{fs, io::AsyncReadExt};

use super::carrier::Carrier;
use crate::{MediaError, Piece, S3Config};

/// Files up to this size are sent at once, larger ones in parts of it: so much memory each upload takes at most.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// How often a request is tried again when the service does not answer or says that it is busy, and for how long.
const RETRIES_MAX: usize = 3;
const RETRY_TIME_MAX: Duration = Duration::from_secs(30);

/// Says in a bucket whose it is: two servers in one place would remove each other's files.
const OWNER: &str = "server";

/// What is put into a bucket and taken out again to see whether that works.
const PROBE: &[u8] = b"Lyceum looks whether it can keep files here. This one can be removed.";

/// A bucket, or what lies under a prefix in one. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Bucket {
    store: Arc<dyn ObjectStore>,
}

impl Bucket {
    /// The bucket of the settings, which are whole.
    pub(crate) fn open(config: &S3Config, outbound: Outbound) -> Result<Self, MediaError> {
        let retry = RetryConfig { max_retries: RETRIES_MAX, retry_timeout: RETRY_TIME_MAX, ..RetryConfig::default() };
        let mut builder = AmazonS3Builder::new()
            .with_http_connector(Carrier(outbound))
            .with_retry(retry)
            // Not every service knows the request that removes many at once.
            .with_disable_bulk_delete(true)
            .with_virtual_hosted_style_request(config.is_virtual_hosted())
            .with_bucket_name(config.bucket.as_deref().unwrap_or_default())
            .with_region(&config.region)
            .with_access_key_id(config.access_key_id.as_deref().unwrap_or_default())
            .with_secret_access_key(config.secret_access_key.as_deref().unwrap_or_default());
        if let Some(endpoint) = config.address() {
            builder = builder.with_endpoint(endpoint);
        }
        let s3 = builder.build().map_err(|error| MediaError::Bucket(in_words(&error)))?;
        Ok(Self::of(PrefixStore::new(s3, Name::from(config.prefix.as_str()))))
    }

    /// Any store of objects.
    pub(crate) fn of(store: impl ObjectStore) -> Self {
        Self { store: Arc::new(store) }
    }

    /// Sends a file unless it is there already.
    pub(crate) async fn ensure(&self, name: &str, file: &Path, bytes: u64) -> io::Result<()> {
        match self.store.head(&Name::from(name)).await {
            Ok(_) => Ok(()),
            Err(Error::NotFound { .. }) if bytes <= PART_BYTES as u64 => self.put(name, fs::read(file).await?).await,
            Err(Error::NotFound { .. }) => self.put_in_parts(name, file).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Puts something small.
    pub(crate) async fn put(&self, name: &str, bytes: impl Into<Bytes>) -> io::Result<()> {
        let payload = PutPayload::from(bytes.into());
        self.store.put_opts(&Name::from(name), payload, PutOptions::default()).await?;
        Ok(())
    }

    async fn put_in_parts(&self, name: &str, file: &Path) -> io::Result<()> {
        let mut file = fs::File::open(file).await?;
        let mut upload = self.store.put_multipart_opts(&Name::from(name), PutMultipartOptions::default()).await?;
        let sent = async {
            loop {
                let mut part = Vec::with_capacity(PART_BYTES);
                (&mut file).take(PART_BYTES as u64).read_to_end(&mut part).await?;
                if part.is_empty() {
                    upload.complete().await?;
                    return Ok(());
                }
                upload.put_part(part.into()).await?;
            }
        }
        .await;
        if sent.is_err() {
            // Parts of what never becomes a file would stay and cost. What failed is told, not that this failed too.
            let _ = upload.abort().await;
        }
        sent
    }

    /// Something small, whole.
    pub(crate) async fn get(&self, name: &str) -> io::Result<Bytes> {
        Ok(self.store.get_opts(&Name::from(name), GetOptions::default()).await?.bytes().await?)
    }

    /// A part of a file, piece by piece.
    pub(crate) async fn read(&self, name: &str, part: Range<u64>) -> io::Result<BoxStream<'static, Piece>> {
        if part.is_empty() {
            return Ok(futures_util::stream::empty().boxed());
        }
        let options = GetOptions::new().with_range(Some(part));
        let found = self.store.get_opts(&Name::from(name), options).await?;
        Ok(found.into_stream().map_err(io::Error::from).boxed())
    }

    /// Removes a file. There need be none.
    pub(crate) async fn remove(&self, name: &str) -> io::Result<()> {
        match self.store.delete(&Name::from(name)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The names of what lies below a name, and when each was put there.
    pub(crate) async fn below(&self, name: &str) -> io::Result<Vec<(String, u64)>> {
        let aged = |object: object_store::ObjectMeta| {
            let put_ms = u64::try_from(object.last_modified.timestamp_millis()).unwrap_or_default();
            (object.location.to_string(), put_ms)
        };
        Ok(self.store.list(Some(&Name::from(name))).map_ok(aged).try_collect().await?)
    }

    /// The next steps from a name, as a directory's directories.
    pub(crate) async fn steps(&self, name: &str) -> io::Result<Vec<String>> {
        let listed = self.store.list_with_delimiter(Some(&Name::from(name))).await?;
        let last = |name: Name| name.parts().next_back().map(|part| part.as_ref().to_owned());
        Ok(listed.common_prefixes.into_iter().filter_map(last).collect())
    }

    /// Checks that files can be put, read and removed here, and that the place is no other server's.
    pub(crate) async fn check(&self, server: &str, chance: u128) -> Result<(), MediaError> {
        let wrong =
            |what: &'static str| move |error: Error| MediaError::Bucket(format!("{what}: {}", in_words(&error)));
        let probe = Name::from(format!("incoming/{chance:032x}"));
        let put = self.store.put_opts(&probe, Bytes::from_static(PROBE).into(), PutOptions::default()).await;
        put.map_err(wrong("cannot be written"))?;
        let found = async { self.store.get_opts(&probe, GetOptions::default()).await?.bytes().await }.await;
        let removed = self.store.delete(&probe).await;
        if found.map_err(wrong("cannot be read"))? != PROBE {
            return Err(MediaError::Bucket("gives back something else than was put there".to_owned()));
        }
        removed.map_err(wrong("nothing can be removed from it"))?;
        match self.owner().await.map_err(wrong("cannot be read"))? {
            Some(owner) if owner != server => Err(MediaError::Bucket(format!(
                "holds the files of {owner}; two servers would remove each other's: set another bucket or prefix"
            ))),
            _ => Ok(()),
        }
    }

    /// Writes down whose this place is.
    pub(crate) async fn claim(&self, server: &str) -> io::Result<()> {
        match self.owner().await? {
            Some(_) => Ok(()),
            None => self.put(OWNER, server.to_owned()).await,
        }
    }

    /// Whose this place is, if it is anybody's.
    async fn owner(&self) -> Result<Option<String>, Error> {
        match self.store.get_opts(&Name::from(OWNER), GetOptions::default()).await {
            Ok(found) => Ok(Some(String::from_utf8_lossy(&found.bytes().await?).into_owned())),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What a service says, for the person who wrote the settings.
fn in_words(error: &Error) -> String {
    let said = error.to_string();
    // Services say what is wrong by a code in a document of XML.
    let code = said.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code);
    match (error, code) {
        (_, Some("NoSuchBucket")) => "there is no such bucket".to_owned(),
        (Error::PermissionDenied { .. } | Error::Unauthenticated { .. }, code) => {
            format!("the service does not allow it with this access key ({})", code.unwrap_or("no reason given"))
        }
        (_, Some(code)) => format!("the service says {code}"),
        _ => innermost(error),
    }
}

/// The cause at the bottom: everything above repeats it.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
