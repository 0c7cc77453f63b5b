//! Restraining the author of what was reported: blocked, their posts held, their account suspended or locked; and letting them
//! go again.

use lyceum_accounts::Restriction;
use lyceum_institution::{Block, Change, HAND, Institution, InstitutionError, Order, audit::Actor};
use lyceum_storage::Batch;
use ruma::UserId;

use super::{
    Case, Measure, Moderation,
    desk::{RULE, entry, put_case},
    error::{ModerationError, Result},
    measures::{author_of, room_of, write_down},
};

impl Moderation {
    /// Takes from somebody what they may say, or gives it back.
    pub(super) async fn restrain(
        &self,
        by: &Actor,
        (before, after): (&Case, &Case),
        measure: &Measure,
        why: Option<&str>,
    ) -> Result<()> {
        let user = author_of(before)?;
        self.may_restrain(by, &user).await?;
        let place = |everywhere: &bool| if *everywhere { Ok(None) } else { room_of(before).map(Some) };
        let block = |until_ms: &Option<u64>| Some(Block { until_ms: *until_ms });
        let change = match measure {
            Measure::Block { until_ms, everywhere } => {
                Change::Block { user, room: place(everywhere)?, block: block(until_ms) }
            }
            Measure::Unblock { everywhere } => Change::Block { user, room: place(everywhere)?, block: None },
            Measure::Hold { until_ms, everywhere } => {
                Change::Hold { user, room: place(everywhere)?, hold: block(until_ms) }
            }
            Measure::Unhold { everywhere } => Change::Hold { user, room: place(everywhere)?, hold: None },
            _ => return Ok(()),
        };
        let number = before.number;
        let why = why.map_or_else(|| format!("case {number}"), |why| format!("case {number}: {why}"));
        let order = Order { by, source: HAND, why: Some(&why), changes: vec![change] };
        self.parts().institution.change_noted(&order, &|batch| put_case(batch, before, after)).await?;
        Ok(())
    }

    /// Suspends or locks somebody's account, or no longer.
    pub(super) async fn restrict(
        &self,
        by: &Actor,
        (before, after): (&Case, &Case),
        measure: &Measure,
        why: Option<&str>,
    ) -> Result<()> {
        let user = author_of(before)?;
        if user.server_name() != self.account().server_name() {
            return Err(ModerationError::Wrong(format!("{user} has their account at another server")));
        }
        self.may_restrain(by, &user).await?;
        let (act, restriction, on) = match measure {
            Measure::Suspend => ("case.suspend", Restriction::Suspension, true),
            Measure::Unsuspend => ("case.unsuspend", Restriction::Suspension, false),
            Measure::Lock => ("case.lock", Restriction::Lock, true),
            _ => ("case.unlock", Restriction::Lock, false),
        };
        let entry = entry(after, (by, act), why);
        let (mut held, mut batch) = (self.parts().institution.audit().hold().await?, Batch::new());
        write_down(&mut batch, (before, after), &mut held, &entry)?;
        let done = self.parts().accounts.restrict_in(batch, &user, restriction, on).await;
        held.done(done.is_ok());
        Ok(done?)
    }

    /// Nobody restrains the institution's own accounts, and only those who oversee restrain those who handle cases.
    async fn may_restrain(&self, by: &Actor, user: &UserId) -> Result<()> {
        let institution: &Institution = &self.parts().institution;
        if institution.is_own(user) {
            return Err(ModerationError::Wrong(format!("{user} is an account of the institution itself")));
        }
        let roster = institution.roster().await?;
        if !institution.facts(&roster).someone(user).watches() || self.may_oversee(by).await.is_ok() {
            return Ok(());
        }
        let reason = format!("{user} handles cases too: only the Director of Studies may do that");
        Err(InstitutionError::Refused { rule: RULE, reason }.into())
    }
}
