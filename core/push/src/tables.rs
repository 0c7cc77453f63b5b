//! Every table of this crate.

use lyceum_storage::Table;

use crate::{notifier::StoredLine, pushers::StoredPusher, services::StoredFeed};

/// `(user, app id, pushkey)`.
pub(crate) const PUSHERS: Table<(String, String, String), StoredPusher> = Table::new(
    "n.pusher",
    "where a person wants to be notified; written by clients, removed with the device or when its gateway refuses it; at \
     most PUSHERS_MAX for each person",
);

/// `(app id, pushkey, user)`.
pub(crate) const PUSHKEYS: Table<(String, String, String), ()> = Table::new(
    "n.pushkey",
    "whose pushers have a pushkey, so that an app that changes hands leaves its former owner; one row for each pusher",
);

/// `(user, app id, pushkey)`: what a gateway has not taken yet.
pub(crate) const UNDELIVERED: Table<(String, String, String), StoredLine> = Table::new(
    "n.undelivered",
    "what a gateway has not taken for a second or more; written with the notifier's place, read at its start; one row for \
     each such pusher, of at most WAITING_MAX notices",
);

/// By application service.
pub(crate) const FEEDS: Table<String, StoredFeed> = Table::new(
    "n.feed",
    "the transaction that a service was sent last, so that it comes again under the same id after a crash; written before \
     each transaction; one row for each service",
);
