//! How many transactions of one server are worked on at once: it should send one after the other, and one that does not must
//! not take the places of others.

use parking_lot::Mutex;
use ruma::{OwnedServerName, ServerName};
use std::{collections::HashMap, sync::Arc};

/// Transactions of one server that are worked on at once: a few more than one, for those that a server began and gave up.
const AT_ONCE_MAX: usize = 4;

/// The transactions that are being worked on, counted by their senders.
#[derive(Clone, Default)]
pub(super) struct Flights(Arc<Mutex<HashMap<OwnedServerName, usize>>>);

/// A place among them, until it is dropped.
pub(super) struct Flight {
    flights: Flights,
    server: OwnedServerName,
}

impl Flights {
    /// A place for a transaction of a server, if there is one left.
    pub(super) fn begin(&self, server: &ServerName) -> Option<Flight> {
        let mut counts = self.0.lock();
        let count = counts.entry(server.to_owned()).or_default();
        if *count >= AT_ONCE_MAX {
            return None;
        }
        *count += 1;
        Some(Flight { flights: self.clone(), server: server.to_owned() })
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut counts = self.flights.0.lock();
        if let Some(count) = counts.get_mut(&self.server) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.server);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::server_name;

    #[test]
    fn a_server_has_so_many_places_and_leaves_those_of_others_alone() {
        let (flights, beta) = (Flights::default(), server_name!("beta.example"));
        let mut taken: Vec<_> = (0..AT_ONCE_MAX).map(|_| flights.begin(beta).expect("a place")).collect();
        assert!(flights.begin(beta).is_none() && flights.begin(server_name!("gamma.example")).is_some());
        taken.pop();
        taken.push(flights.begin(beta).expect("the place that became free"));
        assert!(flights.begin(beta).is_none());
        drop(taken);
        assert!(flights.0.lock().is_empty(), "what is over is forgotten");
    }
}
