//! Previews of links: a page is fetched under limits, what it says of itself is read and kept for a while, and its picture
//! becomes media of this server.

mod page;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Method, header};
use lyceum_outbound::{Outbound, OutboundError, Request, Response};
use lyceum_storage::Batch;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;
use tokio::sync::Semaphore;
use url::Url;
use wildmatch::WildMatch;

use crate::{
    Described, Media, MediaError,
    picture::{self, Limits},
    tables::{ContentRow, MEDIA, MediaRow, PREVIEWS, PreviewRow, USES},
};

/// The longest address that is looked at.
const URL_BYTES_MAX: usize = 2_048;
/// Of a page, so much is read: what it says of itself stands at its beginning.
const PAGE_BYTES_MAX: usize = 512 * 1024;
/// No more is taken from a site, whatever it sends at once.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Redirects that are followed.
const REDIRECTS_MAX: usize = 5;
/// How long fetching a page, and then its picture, may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// Previews made at the same time; others wait for their turn, and not for long.
const AT_ONCE: usize = 8;
const TURN_MAX: Duration = Duration::from_secs(20);
/// How long a preview is kept.
const KEPT_MS: u64 = 60 * 60 * 1000;
/// What the server calls itself.
const AGENT: HeaderValue = HeaderValue::from_static("Mozilla/5.0 (compatible; Lyceum link preview; bot)");

/// Previews of links. `[media.previews]` in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PreviewConfig {
    /// Whether previews are made.
    pub enabled: bool,
    /// Names of hosts that may be looked at, with * and ? as wildcards; all when left empty.
    pub allowed_hosts: Vec<String>,
    /// Names of hosts that are never looked at (stronger).
    pub denied_hosts: Vec<String>,
    /// The largest picture that is kept, in bytes.
    pub image_bytes_max: usize,
}

impl Default for PreviewConfig {
    fn default() -> Self {
        Self { enabled: true, allowed_hosts: Vec::new(), denied_hosts: Vec::new(), image_bytes_max: 4 * 1024 * 1024 }
    }
}

/// What makes previews.
pub(crate) struct Previewing {
    pub(crate) outbound: Outbound,
    turns: Semaphore,
}

impl Previewing {
    pub(crate) fn new(outbound: Outbound) -> Self {
        Self { outbound, turns: Semaphore::new(AT_ONCE) }
    }
}

/// A picture that was kept.
#[derive(Serialize)]
struct Kept {
    id: String,
    bytes: u64,
    content_type: &'static str,
    size: (u32, u32),
}

impl Media {
    /// A preview of a page: OpenGraph properties, as JSON.
    pub async fn preview(&self, address: &str) -> Result<String, MediaError> {
        let url = self.previewable(address)?;
        if let Some(kept) = self.kept_preview(&url).await? {
            return Ok(kept);
        }
        let turn = tokio::time::timeout(TURN_MAX, self.0.previewing.turns.acquire()).await;
        let _turn = turn.map_err(|_| MediaError::Busy)?.map_err(|_| MediaError::Busy)?;
        // Whoever waited may find what was waited for.
        if let Some(kept) = self.kept_preview(&url).await? {
            return Ok(kept);
        }
        let json = Value::Object(self.look_at(&url).await?).to_string();
        let mut batch = Batch::new();
        let until_ms = self.now_ms().saturating_add(KEPT_MS);
        batch.put(&PREVIEWS, url.as_str(), &PreviewRow { json: json.clone(), until_ms });
        self.0.store.commit(batch).await?;
        Ok(json)
    }

    async fn kept_preview(&self, url: &Url) -> Result<Option<String>, MediaError> {
        let row = self.0.store.get(&PREVIEWS, url.as_str()).await?;
        Ok(row.filter(|row| row.until_ms > self.now_ms()).map(|row| row.json))
    }

    /// The address, if the configuration lets it be looked at.
    fn previewable(&self, address: &str) -> Result<Url, MediaError> {
        let config = &self.0.config.previews;
        if !config.enabled {
            return Err(MediaError::NoPreviews);
        }
        let mut url = Url::parse(address).map_err(|_| MediaError::NoAddress)?;
        url.set_fragment(None);
        self.check_address(&url)?;
        Ok(url)
    }

    fn check_address(&self, url: &Url) -> Result<(), MediaError> {
        let host = url.host_str().unwrap_or_default();
        if !matches!(url.scheme(), "http" | "https") || host.is_empty() || url.as_str().len() > URL_BYTES_MAX {
            return Err(MediaError::NoAddress);
        }
        if !url.username().is_empty() || url.password().is_some() || !self.0.config.previews.allows(host) {
            return Err(MediaError::AddressRefused);
        }
        Ok(())
    }

    async fn look_at(&self, url: &Url) -> Result<Map<String, Value>, MediaError> {
        let (response, found) = self.fetch(url, BODY_BYTES_MAX).await?;
        let kind = kind_of(&response);
        if matches!(kind.as_str(), "text/html" | "application/xhtml+xml") {
            let html = beginning(response).await?;
            let page = page::read(&String::from_utf8_lossy(&html), &found);
            let mut told: Map<String, Value> =
                page.properties.into_iter().map(|(name, text)| (name, text.into())).collect();
            if let Some(image) = page.image {
                // A page without its picture is a preview all the same.
                match self.keep_picture(&image).await {
                    Ok(kept) => tell_picture(&mut told, &self.0.server, &kept),
                    Err(error) => tracing::debug!(%error, "the picture of a page is left out of its preview"),
                }
            }
            return Ok(told);
        }
        let mut told = Map::new();
        if kind.starts_with("image/") {
            tell_picture(&mut told, &self.0.server, &self.keep_picture(&found).await?);
        }
        let name = found.path_segments().and_then(|mut parts| parts.next_back()).filter(|name| !name.is_empty());
        told.insert("og:title".to_owned(), name.unwrap_or(found.as_str()).into());
        Ok(told)
    }

    /// Fetches what is at an address. Each redirect is looked at like the first address.
    async fn fetch(&self, url: &Url, bytes_max: usize) -> Result<(Response, Url), MediaError> {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let request = Request::new(Method::GET, url.as_str())
                .map_err(|_| MediaError::NoAddress)?
                .header(header::USER_AGENT, AGENT)
                .header(header::ACCEPT, HeaderValue::from_static("text/html, image/*;q=0.9, */*;q=0.1"))
                .timeout(FETCH_TIMEOUT)
                .body_bytes_max(bytes_max);
            let response = self.0.previewing.outbound.send(request).await.map_err(unreachable)?;
            let status = response.status();
            if status.is_success() {
                return Ok((response, url));
            }
            let elsewhere = response.headers().get(header::LOCATION).filter(|_| status.is_redirection());
            let elsewhere = elsewhere.and_then(|location| url.join(location.to_str().ok()?).ok());
            let Some(elsewhere) = elsewhere else {
                return Err(MediaError::Unreachable(format!("it answered {}", status.as_u16())));
            };
            self.check_address(&elsewhere)?;
            url = elsewhere;
        }
        Err(MediaError::Unreachable("it redirects too often".to_owned()))
    }

    /// Fetches a picture and makes it media of this server, which belong to nobody.
    async fn keep_picture(&self, url: &Url) -> Result<Kept, MediaError> {
        let config = &self.0.config;
        self.check_address(url)?;
        let (response, _) = self.fetch(url, config.previews.image_bytes_max).await?;
        let bytes = response.bytes().await.map_err(unreachable)?;
        let arriving = stream::iter([Ok::<Bytes, MediaError>(bytes)]);
        let blob = self.take_in(arriving, config.previews.image_bytes_max as u64).await?;
        let limits = Limits { pixels_max: config.thumbnail_pixels_max };
        let local = self.0.files.local(&blob.hash, blob.bytes).await?;
        let looked = tokio::task::spawn_blocking(move || picture::describe(local.path(), &limits)).await;
        let (content_type, size) = looked.map_err(|_| MediaError::NoPicture("its decoder gave up".to_owned()))??;
        let described = Described { content_type: Some(content_type.to_owned()), filename: None };
        let content: ContentRow = described.of(&blob);
        let (server, id) = (self.0.server.as_str(), self.new_id());
        let row = MediaRow { owner: None, created_ms: self.now_ms(), content };
        let mut batch = Batch::new();
        batch.put(&MEDIA, (server, &id), &row).put(&USES, (&blob.hash[..], server, &id), &());
        self.0.store.commit(batch).await?;
        Ok(Kept { id, bytes: blob.bytes, content_type, size })
    }
}

impl PreviewConfig {
    fn allows(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let named =
            |names: &[String]| names.iter().any(|name| WildMatch::new(&name.to_ascii_lowercase()).matches(&host));
        !named(&self.denied_hosts) && (self.allowed_hosts.is_empty() || named(&self.allowed_hosts))
    }
}

fn kind_of(response: &Response) -> String {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The beginning of a page, however long it goes on.
async fn beginning(mut response: Response) -> Result<Vec<u8>, MediaError> {
    let mut html = Vec::new();
    while html.len() < PAGE_BYTES_MAX {
        match response.chunk().await {
            Ok(Some(piece)) => html.extend_from_slice(&piece),
            Ok(None) | Err(OutboundError::TooLarge(_)) => return Ok(html),
            Err(error) => return Err(unreachable(error)),
        }
    }
    html.truncate(PAGE_BYTES_MAX);
    Ok(html)
}

fn unreachable(error: OutboundError) -> MediaError {
    match error {
        OutboundError::AddressRefused(_) | OutboundError::RedirectRefused(_) => MediaError::AddressRefused,
        error => MediaError::Unreachable(error.to_string()),
    }
}

fn tell_picture(told: &mut Map<String, Value>, server: &ruma::ServerName, kept: &Kept) {
    told.insert("og:image".to_owned(), format!("mxc://{server}/{}", kept.id).into());
    told.insert("og:image:type".to_owned(), kept.content_type.into());
    told.insert("og:image:width".to_owned(), kept.size.0.into());
    told.insert("og:image:height".to_owned(), kept.size.1.into());
    told.insert("matrix:image:size".to_owned(), kept.bytes.into());
}
