//! Looking through everything that is stored.

use std::collections::BTreeSet;

use anyhow::bail;
use async_trait::async_trait;
use lyceum_events::PublicKeys;
use lyceum_peers::Peers;
use lyceum_rooms::{Checked, KeptKeys};
use lyceum_storage::StorageError;
use ruma::OwnedServerName;

use super::{Operator, Report};

/// The keys that peers keep, as rooms ask for them.
struct Kept<'a>(&'a Peers);

#[async_trait]
impl KeptKeys for Kept<'_> {
    async fn kept_keys(&self, servers: &BTreeSet<OwnedServerName>) -> Result<PublicKeys, StorageError> {
        self.0.kept_keys(servers).await
    }
}

impl Operator {
    /// Looks at every event and index of rooms.
    pub(crate) async fn examine(&self) -> anyhow::Result<Checked> {
        Ok(self.rooms.check(&Kept(&self.peers)).await?)
    }

    /// Reads every row, then looks at every event and index of rooms. Changes nothing.
    pub(super) async fn check(&self, report: &Report) -> anyhow::Result<()> {
        let tables = self.store.survey().await?;
        let (rows, bytes) = tables.iter().fold((0, 0), |(rows, bytes), table| (rows + table.rows, bytes + table.bytes));
        report.say(format!("{rows} rows in {} tables, {} MiB before compression", tables.len(), bytes / (1024 * 1024)));
        let mut largest = tables;
        largest.sort_by_key(|table| std::cmp::Reverse(table.bytes));
        for table in largest.iter().take(5) {
            report.say(format!("    {:<20} {:>10} rows, {:>8} KiB", table.name, table.rows, table.bytes / 1024));
        }
        let checked = self.examine().await?;
        report.say(format!("{} rooms with {} events looked at", checked.rooms, checked.events));
        for finding in &checked.findings {
            report.say(format!("WRONG  {finding}"));
        }
        match checked.wrong {
            0 => report.say("Everything is as it should be."),
            wrong => bail!(
                "{wrong} things are wrong; a server that is being used while it is checked may show a few that \
                            are only changing: stop it and check again"
            ),
        }
        Ok(())
    }
}
