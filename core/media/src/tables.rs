//! Every table of this crate.

use lyceum_storage::Table;
use serde::{Deserialize, Serialize};

/// What a media id stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MediaRow {
    /// Who uploaded it or asked for the id; nobody here when it is another server's.
    pub(crate) owner: Option<String>,
    pub(crate) created_ms: u64,
    pub(crate) content: ContentRow,
}

/// What is behind a media id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ContentRow {
    /// Nothing until then.
    Awaited { until_ms: u64 },
    /// A file.
    Kept { hash: Vec<u8>, bytes: u64, content_type: Option<String>, filename: Option<String> },
}

/// All media, by the server they come from and their id there.
pub(crate) const MEDIA: Table<(String, String), MediaRow> = Table::new(
    "m.media",
    "(server, id): written by uploads and when another server's media are kept; what waits in vain is removed by the sweep",
);

/// What a file is kept for.
pub(crate) const USES: Table<(Vec<u8>, String, String), ()> =
    Table::new("m.uses", "(hash, server, id): one row for each row of MEDIA with content");

/// Ids that wait for their content.
pub(crate) const AWAITED: Table<(String, String), u64> = Table::new(
    "m.awaited",
    "(person, id): until when; written with the id, removed with its upload or when it expired; bounded by unused_ids_max",
);

/// What a person has uploaded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UsageRow {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

/// What people have uploaded.
pub(crate) const USAGE: Table<String, UsageRow> =
    Table::new("m.usage", "by person: counted by uploads, read by the limit on them; one row for each person");

/// A preview of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PreviewRow {
    pub(crate) json: String,
    pub(crate) until_ms: u64,
}

/// Previews of pages.
pub(crate) const PREVIEWS: Table<String, PreviewRow> = Table::new(
    "m.previews",
    "by address: written when somebody asks for one, read by whoever asks again, removed by the sweep when its time is over",
);

/// Media that nobody is shown.
pub(crate) const QUARANTINED: Table<(String, String), String> = Table::new(
    "m.quarantined",
    "(server, id): who said so; written and removed by administrators, read by whoever looks for media; as many as they decide",
);
