//! The order that fills a trial server with a made-up college.

use lyceum_accounts::NewPerson;
use lyceum_institution::{Order, audit::Actor, sample::Sample};

use super::{Operator, Report};

/// Whose word the made-up college is.
const SOURCE: &str = "sample";

impl Operator {
    /// Makes the people of a college that chance makes of a seed, and enters its units, roles and enrolments. A second time
    /// it changes only what is not so any more.
    pub(super) async fn make_sample(&self, seed: u64, report: &Report) -> anyhow::Result<()> {
        let sample = Sample::of(seed, self.accounts.server_name());
        let mut made = 0_u32;
        for user in &sample.people {
            if self.accounts.user(user).await?.is_none() {
                let person = NewPerson { localpart: Some(user.localpart().to_owned()), ..NewPerson::default() };
                self.accounts.register(person, None).await?;
                made += 1;
            }
        }
        let order = Order { by: &Actor::Operator, source: SOURCE, why: None, changes: sample.changes };
        let changed = self.institution.change(&order).await?;
        report.say(format!("{made} accounts made, {changed} changes to people, units and enrolments."));
        report.say("`lyceum user password NAME` lets one of them sign in: staff1 is the Director of Studies.");
        Ok(())
    }
}
