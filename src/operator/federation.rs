//! Orders about other servers.

use std::time::Duration;

use anyhow::Context;
use lyceum_peers::sender::{DestinationStatus, Sender};
use ruma::ServerName;

use super::{Operator, Report};

impl Operator {
    pub(super) fn federation_status(&self, report: &Report) -> anyhow::Result<()> {
        let status = self.sending()?.status();
        if status.is_empty() {
            report.say("Nothing was sent to any server yet.");
        }
        for one in &status {
            report.say(line(one));
        }
        Ok(())
    }

    pub(super) fn federation_retry(&self, server: &str, report: &Report) -> anyhow::Result<()> {
        let name = ServerName::parse(server).with_context(|| format!("{server:?} is not a server's name"))?;
        report.say(match self.sending()?.retry(&name) {
            true => format!("{name} is tried again now; `lyceum federation status` says how it went."),
            false => format!("Nothing waits for {name}."),
        });
        Ok(())
    }

    fn sending(&self) -> anyhow::Result<&Sender> {
        self.sender.as_ref().context("only the running server knows; it does not run, or does not federate")
    }
}

fn line(one: &DestinationStatus) -> String {
    let DestinationStatus { server, queued, behind, failing_secs, retry_in_secs, error, sent_pdus, sent_edus } = one;
    let waits = match (queued, behind) {
        (0, 0) => "nothing waits".to_owned(),
        (queued, 0) => format!("{queued} wait"),
        (queued, behind) => format!("{queued} wait, {behind} rooms to catch up on"),
    };
    let mut line = format!("{server}: {waits}; delivered {sent_pdus} events and {sent_edus} other units");
    if let Some(failing) = failing_secs {
        let (failing, retry) = (spell(*failing), spell(retry_in_secs.unwrap_or_default()));
        let why = error.as_deref().unwrap_or("no reason known");
        line.push_str(&format!("\n    failing for {failing}, tried again in {retry}: {why}"));
    }
    line
}

/// A time in the unit one would say it in.
fn spell(seconds: u64) -> String {
    let time = Duration::from_secs(seconds);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", time.as_secs() / 60),
        7_200..172_800 => format!("{} h", time.as_secs() / 3_600),
        _ => format!("{} days", time.as_secs() / 86_400),
    }
}
