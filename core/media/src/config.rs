//! The settings of media.

mod s3;

pub use s3::{Addressing, S3Config};

use serde::Deserialize;

use crate::PreviewConfig;

/// Where files are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaStorage {
    /// In the data directory.
    #[default]
    Disk,
    /// In a bucket of an S3 service.
    S3,
}

/// Uploads, downloads and thumbnails. `[media]` in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MediaConfig {
    /// Where files are kept.
    pub storage: MediaStorage,
    /// The bucket they are kept in.
    pub s3: S3Config,
    /// The largest file that may be uploaded, in bytes.
    pub upload_bytes_max: u64,
    /// The largest file that is fetched from another server, in bytes.
    pub remote_bytes_max: u64,
    /// How many days a file of another server is kept once it was fetched. It is fetched again when somebody asks for it.
    pub remote_kept_days: u64,
    /// How much one person may upload in all, in bytes. No limit when left out.
    pub person_bytes_max: Option<u64>,
    /// How long an upload may take, in seconds.
    pub upload_timeout_secs: u64,
    /// How long a media id that was given out waits for its content, in seconds.
    pub unused_id_secs: u64,
    /// How many media ids without content one person may have.
    pub unused_ids_max: usize,
    /// The largest picture that is made smaller, in pixels. What is larger is served as it is, never as a thumbnail.
    pub thumbnail_pixels_max: u64,
    /// How many pictures are made smaller at the same time.
    pub thumbnails_at_once: usize,
    /// Whether anybody who knows the address of a file may download it without signing in, as before Matrix 1.11.
    pub allow_unauthenticated: bool,
    /// Previews of links.
    pub previews: PreviewConfig,
}

impl Default for MediaConfig {
    fn default() -> Self {
        Self {
            storage: MediaStorage::default(),
            s3: S3Config::default(),
            upload_bytes_max: 50 * 1024 * 1024,
            remote_bytes_max: 50 * 1024 * 1024,
            remote_kept_days: 90,
            person_bytes_max: None,
            upload_timeout_secs: 600,
            unused_id_secs: 24 * 60 * 60,
            unused_ids_max: 50,
            thumbnail_pixels_max: 40_000_000,
            thumbnails_at_once: 2,
            allow_unauthenticated: true,
            previews: PreviewConfig::default(),
        }
    }
}

impl MediaConfig {
    /// The bucket that files are kept in, if they are.
    pub fn bucket(&self) -> Option<&str> {
        self.s3.bucket.as_deref().filter(|_| self.storage == MediaStorage::S3)
    }

    /// What of it cannot be or does not belong together: each setting within `[media]`, and what is wrong with it.
    pub fn mistakes(&self) -> Vec<(&'static str, String)> {
        match (self.storage, &self.s3.bucket) {
            (MediaStorage::S3, _) => self.s3.mistakes(),
            (MediaStorage::Disk, Some(_)) => {
                let text = "a bucket is for storage = \"s3\"; with \"disk\" files are kept in server.data_dir";
                vec![("s3.bucket", text.to_owned())]
            }
            (MediaStorage::Disk, None) => Vec::new(),
        }
    }
}
