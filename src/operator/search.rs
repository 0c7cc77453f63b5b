//! The order about search.

use super::{Operator, Report};

impl Operator {
    pub(super) async fn rebuild_search(&self, report: &Report) -> anyhow::Result<()> {
        let count = self.search.rebuild().await?;
        report.say(format!("The search index is made anew: {count} messages, names and topics can be found."));
        Ok(())
    }
}
