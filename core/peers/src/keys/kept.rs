//! All keys that are kept of some servers, for looking through what is stored: nobody is asked.

use lyceum_events::PublicKeys;
use lyceum_storage::StorageError;
use ruma::{MilliSecondsSinceUnixEpoch, OwnedServerName, UInt};
use std::collections::BTreeSet;

use super::document::encoded;
use crate::Peers;

impl Peers {
    /// Every key that these servers are known to have had. Whether it held when something was signed was judged on arrival.
    pub async fn kept_keys(&self, servers: &BTreeSet<OwnedServerName>) -> Result<PublicKeys, StorageError> {
        let always = MilliSecondsSinceUnixEpoch(UInt::MAX);
        let mut kept = PublicKeys::default();
        for server in servers {
            if server == self.server() {
                for (id, key) in self.shared.own.all() {
                    kept.add(server, &id, &encoded(&key), always);
                }
                continue;
            }
            for (id, key) in &self.shared.ring.known(server).await?.keys {
                kept.add(server, id, &encoded(&key.public), always);
            }
        }
        Ok(kept)
    }
}
