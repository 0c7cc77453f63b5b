//! Every table of this crate.

use lyceum_storage::Table;
use serde::{Deserialize, Serialize};

use crate::{Consent, RateOverride, registration_tokens::RegistrationToken, users::User};

/// Accounts.
pub(crate) const USERS: Table<String, User> = Table::new(
    "a.users",
    "one row per local account by user id; written by registration and administration; never removed",
);

/// The name of the server whose data these are.
pub(crate) const HOME: Table<(), String> =
    Table::new("a.home", "written at the first start, read at each and by commands that look at the data; one row");

/// What people agreed to.
pub(crate) const CONSENTS: Table<String, Consent> = Table::new(
    "a.consents",
    "by user id: the documents and versions somebody agreed to; written with the account; at most one row for each account",
);

/// How often single people may send.
pub(crate) const RATE_OVERRIDES: Table<String, RateOverride> = Table::new(
    "a.rates",
    "by user id; written by administrators, read when a session comes into memory; at most one row for each account",
);

/// A signed-in client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeviceRow {
    pub(crate) display_name: Option<String>,
    pub(crate) created_ms: u64,
}

/// Devices of a user.
pub(crate) const DEVICES: Table<(String, String), DeviceRow> =
    Table::new("a.devices", "(user, device); written at sign-in, removed at logout; at most DEVICES_MAX for each user");

/// What an access token stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenRow {
    pub(crate) user: String,
    pub(crate) device: Option<String>,
    pub(crate) expires_ms: Option<u64>,
    /// The refresh token and access token that this one's first use revokes.
    pub(crate) replaces: Option<(Vec<u8>, Vec<u8>)>,
}

/// Access tokens.
pub(crate) const TOKENS: Table<Vec<u8>, TokenRow> = Table::new(
    "a.tokens",
    "by SHA-256 of the token; written at sign-in, removed with its device; read by authentication",
);

/// What a refresh token stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RefreshRow {
    pub(crate) user: String,
    pub(crate) device: String,
    /// The access token given out with it.
    pub(crate) access: Vec<u8>,
    /// The tokens of its last use, until one of them is used: (access, refresh).
    pub(crate) successor: Option<(Vec<u8>, Vec<u8>)>,
    /// The refresh token and access token that this one's first use revokes.
    pub(crate) replaces: Option<(Vec<u8>, Vec<u8>)>,
}

/// Refresh tokens.
pub(crate) const REFRESH_TOKENS: Table<Vec<u8>, RefreshRow> = Table::new(
    "a.refresh",
    "by SHA-256 of the token; written at sign-in and refresh, removed when superseded or with its device",
);

/// The tokens of a device, so that they end with it. The flag tells refresh tokens from access tokens.
pub(crate) const DEVICE_TOKENS: Table<(String, String, bool, Vec<u8>), ()> =
    Table::new("a.device-tokens", "(user, device, refresh?, hash); written and removed with TOKENS and REFRESH_TOKENS");

/// Something that is forgotten after a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShortLivedRow {
    pub(crate) expires_ms: u64,
    pub(crate) content: String,
}

/// Nonces, interactive authentication, login tokens, OpenID tokens.
pub(crate) const SHORT_LIVED: Table<(String, Vec<u8>), ShortLivedRow> = Table::new(
    "a.short-lived",
    "(kind, key); written when one is given out or a transaction carried out; removed at use or by the sweep after it \
     expired; of other servers' transactions PEER_TRANSACTIONS_MAX",
);

/// When the rows of SHORT_LIVED expire.
pub(crate) const EXPIRIES: Table<(u64, String, Vec<u8>), ()> = Table::new(
    "a.expiries",
    "(expiry, kind, key) of SHORT_LIVED; read by the sweep; removed with its row or by the sweep",
);

/// Registration tokens.
pub(crate) const REGISTRATION_TOKENS: Table<String, RegistrationToken> = Table::new(
    "a.registration-tokens",
    "by token; made, changed and removed by administrators, counted by registration",
);

/// When and whence a device was last seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastSeenRow {
    pub(crate) at_ms: u64,
    pub(crate) ip: Option<String>,
    pub(crate) user_agent: Option<String>,
}

/// When devices were last seen.
pub(crate) const LAST_SEEN: Table<(String, String), LastSeenRow> =
    Table::new("a.last-seen", "(user, device); written now and then by authentication, removed with the device");

/// One type of account data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DatumRow {
    /// The JSON; none after it was deleted.
    pub(crate) content: Option<String>,
    /// When it last changed.
    pub(crate) position: u64,
}

/// Account data.
pub(crate) const ACCOUNT_DATA: Table<(String, String, String), DatumRow> = Table::new(
    "a.account-data",
    "(user, room or nothing, type); written by clients and what implies it; bounded per room",
);

/// Account data by when it changed.
pub(crate) const ACCOUNT_DATA_LOG: Table<(String, u64, String, String), ()> = Table::new(
    "a.account-data-log",
    "(user, position, room or nothing, type); one row for each row of ACCOUNT_DATA; read by sync",
);

/// A stored filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FilterRow {
    pub(crate) content: String,
    pub(crate) created_ms: u64,
}

/// Filters.
pub(crate) const FILTERS: Table<(String, String), FilterRow> =
    Table::new("a.filters", "(user, id); written by clients, read by sync; the oldest goes when there are too many");

/// Profile fields as JSON.
pub(crate) const PROFILES: Table<(String, String), String> =
    Table::new("a.profiles", "(user, field) of local people; written by their owners; 64 KiB for each person");

/// When a person's devices, keys or signatures last changed.
pub(crate) const DEVICE_LISTS: Table<String, u64> =
    Table::new("a.device-lists", "by user, local or remote: the position of the last change; one row for each user");

/// The same by position.
pub(crate) const DEVICE_LIST_LOG: Table<(u64, String), ()> = Table::new(
    "a.device-list-log",
    "(position, user): one row for each row of DEVICE_LISTS; read by sync and federation",
);

/// One change of a local person's devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeviceChangeRow {
    /// The change of devices before it.
    pub(crate) before: Option<u64>,
    /// Whether it is one of the cross-signing keys instead.
    pub(crate) signing_keys: bool,
}

/// What changed of the devices of local people.
pub(crate) const DEVICE_CHANGES: Table<(String, u64, String), DeviceChangeRow> = Table::new(
    "a.device-changes",
    "(user, position, device; empty for signing keys); written with the change, read by federation; the last few of each \
     person",
);

/// Identity keys of devices as JSON.
pub(crate) const DEVICE_KEYS: Table<(String, String), String> = Table::new(
    "a.device-keys",
    "(user, device); uploaded by devices, told by other servers for theirs; removed with the device",
);

/// One-time keys as JSON, in the order of upload.
pub(crate) const ONE_TIME_KEYS: Table<(String, String, String, u64, String), String> = Table::new(
    "a.one-time-keys",
    "(user, device, algorithm, position, name); uploaded by devices, removed when claimed",
);

/// What is remembered of a one-time key's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyNameRow {
    pub(crate) digest: Vec<u8>,
}

/// Names of one-time keys, those given out included.
pub(crate) const KEY_NAMES: Table<(String, String, String), KeyNameRow> = Table::new(
    "a.key-names",
    "(user, device, name); written at upload, kept until the device goes so that no key is given twice",
);

/// A fallback key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FallbackRow {
    pub(crate) name: String,
    pub(crate) json: String,
    pub(crate) used: bool,
}

/// Fallback keys.
pub(crate) const FALLBACK_KEYS: Table<(String, String, String), FallbackRow> = Table::new(
    "a.fallback-keys",
    "(user, device, algorithm); uploaded by devices, marked when given out, removed with the device",
);

/// Cross-signing keys as JSON.
pub(crate) const CROSS_SIGNING_KEYS: Table<(String, String), String> = Table::new(
    "a.cross-signing",
    "(user, usage); uploaded by people, told by other servers for theirs; three for each user",
);

/// Signatures that were added to keys.
pub(crate) const SIGNATURES: Table<(String, String, String, String), String> = Table::new(
    "a.signatures",
    "(owner, key or device, signer, signing key); uploaded by signers; removed with the owner's device",
);

/// Whom somebody signed, by when.
pub(crate) const SIGNED_LOG: Table<(String, u64, String), ()> = Table::new(
    "a.signed-log",
    "(signer, position, owner); one row for each new signature of somebody else; read by sync",
);

/// What is known of a remote person's devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RemoteListRow {
    pub(crate) stream_id: u64,
    pub(crate) stale: bool,
    /// The position at which the whole list was told; 0 until it is.
    pub(crate) told_at: u64,
}

/// Remote people whose devices are kept.
pub(crate) const REMOTE_LISTS: Table<String, RemoteListRow> = Table::new(
    "a.remote-lists",
    "by remote user; written from federation, read when keys are asked for; at most one row for each person of another \
     server with whom somebody here shared a room",
);

/// Which changes of a remote person's devices have been heard of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeardChangesRow {
    /// The whole list was told when all up to this one had happened.
    pub(crate) told: u64,
    /// Those that came one by one since then, oldest first.
    pub(crate) since: Vec<u64>,
}

/// Changes of remote people's devices.
pub(crate) const HEARD_CHANGES: Table<String, HeardChangesRow> = Table::new(
    "a.heard-changes",
    "by remote user; written when a change comes, removed when the whole list is told; at most one row for each row of \
     REMOTE_LISTS, with the last HEARD_MAX changes",
);

/// A message to a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ToDeviceRow {
    pub(crate) kind: String,
    pub(crate) sender: String,
    pub(crate) content: String,
}

/// Messages to devices.
pub(crate) const INBOX: Table<(String, String, u64, u64), ToDeviceRow> = Table::new(
    "a.inbox",
    "(user, device, position, index); written by senders, removed when the device has it; INBOX_MAX each",
);

/// Where answers stopped that could not carry everything: the last message they carried.
pub(crate) const INBOX_CUTS: Table<(String, String, u64), u64> = Table::new(
    "a.inbox-cuts",
    "(user, device, position of the token); written by sync, removed when a later token is shown",
);

/// A device that waits for its owner's next sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DehydratedRow {
    pub(crate) device: String,
    pub(crate) data: String,
}

/// Dehydrated devices.
pub(crate) const DEHYDRATED: Table<String, DehydratedRow> =
    Table::new("a.dehydrated", "by user; written and removed by clients; one for each user");

/// A key backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BackupRow {
    pub(crate) algorithm: String,
    pub(crate) auth_data: String,
    pub(crate) etag: u64,
    pub(crate) count: u64,
    pub(crate) deleted: bool,
}

/// Key backups by version.
pub(crate) const BACKUPS: Table<(String, u64), BackupRow> = Table::new(
    "a.backups",
    "(user, version); written by clients; a deleted one leaves its row so that no version comes twice",
);

/// A room key in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BackupKeyRow {
    pub(crate) first_message_index: u64,
    pub(crate) forwarded_count: u64,
    pub(crate) is_verified: bool,
    pub(crate) session_data: String,
}

/// Room keys in backups.
pub(crate) const BACKUP_KEYS: Table<(String, u64, String, String), BackupKeyRow> = Table::new(
    "a.backup-keys",
    "(user, version, room, session); written and removed by clients; BACKUP_KEYS_MAX in a version",
);
