//! What can go wrong with media.

use lyceum_storage::{CommitError, StorageError};
use std::time::Duration;

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// There are none of this name.
    #[error("There are no such media")]
    NotFound,
    /// An administrator keeps them from everybody.
    #[error("These media were withdrawn by the administration")]
    Quarantined,
    /// The id was given out, its content is not there yet.
    #[error("The media have not been uploaded yet")]
    NotYetUploaded,
    /// The id has its content.
    #[error("The media have been uploaded already")]
    CannotOverwrite,
    /// The id was given to somebody else.
    #[error("This media id was given to somebody else")]
    NotYours,
    /// The person has uploaded what they may.
    #[error("You have uploaded as much as you may, {0} bytes in all")]
    QuotaReached(u64),
    /// The person has too many ids without content.
    #[error("You have {0} media ids that wait for their content")]
    TooManyUnused(usize, Duration),
    /// The file is larger than allowed.
    #[error("The file is larger than {0} bytes")]
    TooLarge(u64),
    /// The picture is larger than allowed.
    #[error("The picture is too large for a thumbnail")]
    TooManyPixels,
    /// No thumbnail can be made of this.
    #[error("No thumbnail can be made of this: {0}")]
    NoPicture(String),
    /// The body took too long.
    #[error("The upload took too long")]
    TooSlow,
    /// Previews are switched off.
    #[error("There are no previews of links on this server")]
    NoPreviews,
    /// This is no address of a page.
    #[error("This is no address of a web page")]
    NoAddress,
    /// The address must not be looked at.
    #[error("This address is not looked at")]
    AddressRefused,
    /// Nothing could be fetched from there.
    #[error("The page could not be fetched: {0}")]
    Unreachable(String),
    /// Too much at once.
    #[error("Too much is being made at once; try again")]
    Busy,
    /// Files cannot be kept in the bucket.
    #[error("the bucket of media {0}")]
    Bucket(String),
    /// A file could not be read or written.
    #[error("media file: {0}")]
    File(#[from] std::io::Error),
    /// The store could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The store could not be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
}
