//! What can go wrong with search.

use lyceum_rooms::RoomError;
use lyceum_storage::StorageError;

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// Search is switched off.
    #[error("search is switched off on this server")]
    Off,
    /// The index failed.
    #[error("search index: {0}")]
    Index(String),
    /// Rooms could not be read.
    #[error(transparent)]
    Rooms(#[from] RoomError),
    /// The store could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<tantivy::TantivyError> for SearchError {
    fn from(error: tantivy::TantivyError) -> Self {
        Self::Index(error.to_string())
    }
}

impl From<std::io::Error> for SearchError {
    fn from(error: std::io::Error) -> Self {
        Self::Index(error.to_string())
    }
}

/// The crate's result.
pub(crate) type Result<T, E = SearchError> = std::result::Result<T, E>;
