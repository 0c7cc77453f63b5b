//! `/keys`: what devices publish, look up, claim and sign for end-to-end encryption.

pub(crate) mod claim_keys;
pub(crate) mod get_key_changes;
pub(crate) mod get_keys;
pub(crate) mod upload_keys;
pub(crate) mod upload_signatures;
pub(crate) mod upload_signing_keys;

use ruma::{OwnedServerName, OwnedUserId};
use std::collections::BTreeMap;

/// People named in one request at most.
const PEOPLE_MAX: usize = 10_000;

/// Something asked of people, by their servers.
fn by_server<T>(asked: BTreeMap<OwnedUserId, T>) -> BTreeMap<OwnedServerName, BTreeMap<OwnedUserId, T>> {
    let mut by_server: BTreeMap<OwnedServerName, BTreeMap<OwnedUserId, T>> = BTreeMap::new();
    for (user, what) in asked {
        by_server.entry(user.server_name().to_owned()).or_default().insert(user, what);
    }
    by_server
}
