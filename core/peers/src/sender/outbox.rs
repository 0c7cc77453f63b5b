//! The outbox: units for one server that have no place in a room and must arrive, such as messages to devices. They are
//! written in the batch of the act that makes them, and removed when they were delivered.

use lyceum_storage::{Batch, CommitError, StorageError, Store, Subject};
use ruma::{OwnedServerName, ServerName};
use serde::{Deserialize, Serialize};

use super::Edu;
use crate::{Peers, tables::OUTBOX};

/// Units looked through at once: each may be as large as a request of a client.
const PAGE_ROWS: usize = 50;

/// How a commit says that it put something into a server's outbox.
const SUBJECT: &str = "outbox:";

/// A unit in the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OutboxRow {
    kind: String,
    content: String,
}

/// The place of a unit in the outbox of a server.
pub(crate) type Place = (u64, u64);

impl Peers {
    /// Adds units for another server to the batch of an act: they will arrive, once, in order.
    pub fn add_to_outbox(batch: &mut Batch, server: &ServerName, units: Vec<Edu>) {
        batch.touch(Subject::other(format!("{SUBJECT}{server}")));
        let server = server.to_string();
        batch.at_position(move |position, writes| {
            for (number, edu) in (0_u64..).zip(&units) {
                let row = OutboxRow { kind: edu.kind.clone(), content: edu.content.to_string() };
                writes.put(&OUTBOX, (server.as_str(), position.0, number), &row);
            }
        });
    }
}

/// The server whose outbox a commit put something into.
pub(crate) fn server_of(subject: &Subject) -> Option<&ServerName> {
    match subject {
        Subject::Other(name) => <&ServerName>::try_from(name.strip_prefix(SUBJECT)?).ok(),
        _ => None,
    }
}

/// The units in a server's outbox after a place, or the first, at most so many.
pub(crate) async fn next(
    store: &Store,
    server: &ServerName,
    after: Option<Place>,
    most: usize,
) -> Result<Vec<(Place, Edu)>, StorageError> {
    let mut scan = OUTBOX.prefix((server.as_str(),)).limit(most);
    if let Some((position, number)) = after {
        scan = scan.after(&OUTBOX, (server.as_str(), position, number));
    }
    let rows = store.scan(&OUTBOX, scan).await?;
    let unit = |row: OutboxRow| Edu { content: serde_json::from_str(&row.content).unwrap_or_default(), kind: row.kind };
    Ok(rows.into_iter().map(|((_, position, number), row)| ((position, number), unit(row))).collect())
}

/// Removes delivered units.
pub(crate) fn remove(batch: &mut Batch, server: &ServerName, places: &[Place]) {
    for (position, number) in places {
        batch.delete(&OUTBOX, (server.as_str(), *position, *number));
    }
}

/// Removes what stands before a position, and the oldest of more than so many units. Answers how many went.
pub(crate) async fn trim(store: &Store, server: &ServerName, oldest: u64, most: usize) -> Result<usize, CommitError> {
    let places = places(store, server).await?;
    let too_old = places.partition_point(|(position, _)| *position < oldest);
    let gone = &places[..too_old.max(places.len().saturating_sub(most))];
    if !gone.is_empty() {
        let mut batch = Batch::new();
        remove(&mut batch, server, gone);
        store.commit(batch).await?;
    }
    Ok(gone.len())
}

/// Where the units of a server stand, oldest first.
async fn places(store: &Store, server: &ServerName) -> Result<Vec<Place>, StorageError> {
    let mut places = Vec::new();
    loop {
        let page = next(store, server, places.last().copied(), PAGE_ROWS).await?;
        if page.is_empty() {
            return Ok(places);
        }
        places.extend(page.into_iter().map(|(place, _)| place));
    }
}

/// The servers with anything in their outboxes.
pub(crate) async fn servers(store: &Store) -> Result<Vec<OwnedServerName>, StorageError> {
    let mut servers = Vec::new();
    let mut next = OUTBOX.all().limit(1);
    while let Some(((server, ..), _)) = store.scan(&OUTBOX, next).await?.pop() {
        next = OUTBOX.all().after(&OUTBOX, (server.as_str(), u64::MAX, u64::MAX)).limit(1);
        servers.extend(OwnedServerName::try_from(server));
    }
    Ok(servers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::server_name;

    #[tokio::test]
    async fn of_an_outbox_the_oldest_goes_first() {
        let (store, beta) = (Store::memory().await.expect("a store"), server_name!("beta"));
        for n in 0..60 {
            let mut batch = Batch::new();
            Peers::add_to_outbox(&mut batch, beta, vec![Edu::new("m.test", n.into()), Edu::new("m.test", n.into())]);
            Peers::add_to_outbox(&mut batch, server_name!("gamma"), vec![Edu::new("m.test", n.into())]);
            store.commit(batch).await.expect("committed");
        }
        let left = async || places(&store, beta).await.expect("the store answers");
        let all = left().await;
        assert_eq!(all.len(), 120);
        assert_eq!(trim(&store, beta, 0, 200).await.expect("trimmed"), 0);
        assert_eq!(trim(&store, beta, 0, 100).await.expect("trimmed"), 20);
        assert_eq!(left().await, all[20..]);
        let (position, _) = all[60];
        assert_eq!(trim(&store, beta, position, 100).await.expect("trimmed"), 40);
        assert_eq!(left().await, all[60..], "what is from before that position is gone");
        let others = places(&store, server_name!("gamma")).await.expect("the store answers");
        assert_eq!(others.len(), 60, "another server's is as it was");
    }
}
