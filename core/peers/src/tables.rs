//! Every table of this crate.

use lyceum_storage::Table;

use crate::{
    keys::{OwnKey, RemoteKeys},
    sender::OutboxRow,
};

/// The keys of other servers.
pub(crate) const REMOTE_KEYS: Table<String, RemoteKeys> = Table::new(
    "p.keys",
    "what is known of another server's signing keys; written when they are fetched, read to check signatures and to answer \
     as a notary; one row for each server ever met, bounded in size by KEYS_OF_SERVER_MAX",
);

/// This server's own keys by their names.
pub(crate) const OWN_KEYS: Table<String, OwnKey> = Table::new(
    "p.own-keys",
    "the public half of every signing key this server ever had; written at the first start with a new key, read to publish \
     them; one row for each rotation",
);

/// `(server, what)`: the position of the first that the server missed of it.
pub(crate) const BEHIND: Table<(String, String), u64> = Table::new(
    "p.behind",
    "what other servers have not been sent up to the sender's place in the stream; written by the sender with that place, \
     read when it starts; one row for each failing server and room (or device list) it missed something of",
);

/// `(server, position, number)`: a unit for that server.
pub(crate) const OUTBOX: Table<(String, u64, u64), OutboxRow> = Table::new(
    "p.outbox",
    "units for other servers that have no place in a room; written in the batch of the act that makes them, removed when \
     delivered; grows while a server is away, up to UNITS_MAX of KEPT_DAYS for each, of which the oldest go first",
);

/// By the day since 1970: where the stream was when it began.
pub(crate) const DAYS: Table<u64, u64> = Table::new(
    "p.days",
    "how old a position is; written by the sender once a day, read to find what is too old in the outboxes; one row for each \
     of KEPT_DAYS",
);

/// How often the sender was started.
pub(crate) const SENDER_STARTS: Table<(), u64> =
    Table::new("p.starts", "counts starts of the sender, so that no two give out one transaction id; one row");
