//! The handle: who may handle cases, reading them, changing them. A change of a case and its audit row are one batch.

use lyceum_accounts::Accounts;
use lyceum_events::Clock;
use lyceum_institution::{
    Institution, InstitutionError,
    audit::{Actor, Entry},
};
use lyceum_rooms::{Report, Rooms};
use lyceum_storage::{Batch, Position, Store, Subject};
use ruma::{OwnedEventId, OwnedUserId, UserId};
use serde_json::json;
use std::sync::Arc;

use super::{
    Case, Notice, Outcome,
    case::subject_of,
    error::{ModerationError, Result},
    notices::tell,
    reading::Finds,
    words,
};
use crate::{
    campus::CampusRooms,
    notices::Notices,
    tables::{CASES, OPEN_CASES, PASSED, REPORTS_TAKEN},
};

/// How often a change is decided again after another one was quicker.
pub(super) const TRIES: usize = 5;
/// Cases listed at once.
const CASES_PAGE_MAX: usize = 500;
/// The rule's name in refusals.
pub(super) const RULE: &str = "moderation";

/// What the desk is built from.
pub struct ModerationParts {
    /// Where cases are kept.
    pub store: Store,
    /// People.
    pub accounts: Accounts,
    /// Rooms.
    pub rooms: Rooms,
    /// Roles, blocks, the audit chain.
    pub institution: Institution,
    /// Who makes the moderation room.
    pub keeper: CampusRooms,
    /// What tells people something.
    pub notices: Notices,
    /// What finds words in rooms.
    pub finds: Arc<dyn Finds>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Handles cases. Cheap to clone.
#[derive(Clone)]
pub struct Moderation(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) parts: ModerationParts,
    /// Reports are taken up one after another, notices told one after another.
    pub(super) working: tokio::sync::Mutex<()>,
}

impl Moderation {
    /// The desk.
    pub fn new(parts: ModerationParts) -> Self {
        Self(Arc::new(Inner { parts, working: Default::default() }))
    }

    pub(super) fn parts(&self) -> &ModerationParts {
        &self.0.parts
    }

    pub(super) fn store(&self) -> &Store {
        &self.0.parts.store
    }

    pub(super) fn account(&self) -> &UserId {
        self.0.parts.institution.account()
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.0.parts.clock.now().get().into()
    }

    /// Whether somebody may handle cases; those on the server's machine and programs with the right to may.
    pub(super) async fn may_moderate(&self, by: &Actor) -> Result<()> {
        self.must_be(by, "Only moderators and the Director of Studies handle cases", |moderates, oversees| {
            moderates || oversees
        })
        .await
    }

    /// Whether somebody may open sealed originals, and read and search any room.
    pub async fn may_oversee(&self, by: &Actor) -> Result<()> {
        self.must_be(by, "Only the Director of Studies may look into that", |_, oversees| oversees).await
    }

    async fn must_be(&self, by: &Actor, reason: &str, fits: impl Fn(bool, bool) -> bool) -> Result<()> {
        let Actor::Person(user) = by else { return Ok(()) };
        let institution = &self.parts().institution;
        let roster = institution.roster().await?;
        let facts = institution.facts(&roster);
        let is_local = user.server_name() == self.account().server_name();
        let role = facts.someone(user).role.filter(|_| is_local);
        match role.is_some_and(|role| fits(role.moderates, role.oversees)) {
            true => Ok(()),
            false => Err(InstitutionError::Refused { rule: RULE, reason: reason.to_owned() }.into()),
        }
    }

    /// The case of this number, unread: for acts that have their own audit rows.
    pub(super) async fn case(&self, number: u64) -> Result<Case> {
        let found = self.store().get(&CASES, number).await?;
        found.ok_or_else(|| ModerationError::NotFound(format!("there is no case {number}")))
    }

    /// Cases after a number, in order, as somebody may read them: the open ones, or all.
    pub async fn cases(&self, by: &Actor, all: bool, after: u64, limit: usize) -> Result<Vec<Case>> {
        self.may_moderate(by).await?;
        let entry = Entry { what: json!({ "after": after, "all": all }), ..Entry::new(by, "case.list") };
        self.parts().institution.audit().note(&entry).await?;
        let (limit, mut after, mut found) = (limit.clamp(1, CASES_PAGE_MAX), after, Vec::new());
        loop {
            let page = self.store().scan(&CASES, CASES.all().after(&CASES, after).limit(CASES_PAGE_MAX)).await?;
            let Some((last, _)) = page.last() else { return Ok(found) };
            after = *last;
            let wanted = page.into_iter().map(|(_, case)| case).filter(|case| all || case.is_open());
            found.extend(wanted.take(limit - found.len()));
            if found.len() == limit {
                return Ok(found);
            }
        }
    }

    /// One case, as somebody may read it.
    pub async fn read(&self, by: &Actor, number: u64) -> Result<Case> {
        self.may_moderate(by).await?;
        let case = self.case(number).await?;
        let entry = Entry { over: Some(format!("case {number}")), ..Entry::new(by, "case.read") };
        self.parts().institution.audit().note(&entry).await?;
        Ok(case)
    }

    /// Makes somebody responsible for a case.
    pub async fn assign(&self, by: &Actor, number: u64, to: &UserId) -> Result<Case> {
        self.may_moderate(&Actor::Person(to.to_owned())).await?;
        self.change_case((by, "case.assign"), number, None, |case, _| {
            case.must_be_open()?;
            case.assignee = Some(to.to_string());
            Ok(())
        })
        .await
    }

    /// Notes something in a case.
    pub async fn note(&self, by: &Actor, number: u64, text: &str) -> Result<Case> {
        let now = self.now_ms();
        self.change_case((by, "case.note"), number, None, |case, _| case.note(&by.to_string(), now, text)).await
    }

    /// Closes a case. Those who reported it are told what was done.
    pub async fn close(&self, by: &Actor, number: u64, dismissed: bool, why: Option<&str>) -> Result<Case> {
        let now = self.now_ms();
        self.change_case((by, "case.close"), number, why, |case, told| {
            if dismissed && !case.taken.is_empty() {
                let text = format!("something was done in case {number} already: close it as done");
                return Err(ModerationError::Wrong(text));
            }
            case.close(Outcome { by: by.to_string(), at_ms: now, dismissed, why: why.map(str::to_owned) })?;
            let text = words::outcome(case, &self.parts().institution.settings().calendar);
            let reporters = case.reporters();
            let local = reporters.into_iter().filter_map(|user| OwnedUserId::try_from(user).ok());
            told.extend(local.map(|user| Notice::person(&user, &text)));
            Ok(())
        })
        .await
    }

    /// Changes a case, with its audit row and what people are told of it in one batch.
    pub(super) async fn change_case(
        &self,
        (by, act): (&Actor, &'static str),
        number: u64,
        why: Option<&str>,
        mut change: impl FnMut(&mut Case, &mut Vec<Notice>) -> Result<()>,
    ) -> Result<Case> {
        self.may_moderate(by).await?;
        for _ in 0..TRIES {
            let before = self.case(number).await?;
            let (mut after, mut told) = (before.clone(), Vec::new());
            change(&mut after, &mut told)?;
            let entry = entry(&after, (by, act), why);
            let mut held = self.parts().institution.audit().hold().await?;
            let mut batch = Batch::new();
            put_case(&mut batch, &before, &after);
            tell(&mut batch, told);
            held.add(&mut batch, &entry)?;
            match held.commit(batch).await {
                Err(InstitutionError::Busy) => {}
                done => return done.map(|_| after).map_err(Into::into),
            }
        }
        Err(ModerationError::Busy)
    }

    /// Makes cases of the reports that came since, each once.
    pub(super) async fn take_reports(&self) -> Result<()> {
        const PAGE: usize = 100;
        loop {
            let taken = self.store().get(&REPORTS_TAKEN, ()).await?;
            let since = Position(taken.unwrap_or_default());
            let page = self.parts().rooms.reports_since(since, PAGE).await?;
            if page.is_empty() {
                return Ok(());
            }
            let mut last = taken;
            for (at, report) in page {
                self.take_report((last, at), &report).await?;
                last = Some(at.0);
            }
        }
    }

    /// A report of what the support desk passed on is one of what was passed on: those who moderate learn who wrote it.
    async fn as_it_was_written(&self, report: &Report) -> Result<Report> {
        let Some(event) = &report.event_id else { return Ok(report.clone()) };
        let passed = self.store().get(&PASSED, event).await?.and_then(|passed| passed.other);
        let Some(other) = passed.and_then(|other| OwnedEventId::try_from(other).ok()) else {
            return Ok(report.clone());
        };
        let Some(known) = self.parts().rooms.known(&other).await? else { return Ok(report.clone()) };
        if self.parts().institution.is_own(known.event().sender()) {
            return Ok(report.clone());
        }
        let (room, sender) = (known.event().room().to_string(), known.event().sender().to_string());
        let (room_id, event_id, user_id) = (Some(room), Some(other.to_string()), Some(sender));
        Ok(Report { room_id, event_id, user_id, ..report.clone() })
    }

    async fn take_report(&self, (last, at): (Option<u64>, Position), report: &Report) -> Result<()> {
        let report = &self.as_it_was_written(report).await?;
        let mut batch = Batch::new();
        batch.expect(&REPORTS_TAKEN, (), last.as_ref()).put(&REPORTS_TAKEN, (), &at.0);
        let subject = subject_of(report);
        let (case, text) = match self.store().get(&OPEN_CASES, &subject).await? {
            Some(number) => {
                let before = self.case(number).await?;
                let mut after = before.clone();
                after.add_report(report);
                put_case(&mut batch, &before, &after);
                let text = words::reported_again(&after, report);
                (after, text)
            }
            None => {
                let newest = self.store().scan(&CASES, CASES.all().reversed().limit(1)).await?;
                let case = Case::open(newest.first().map_or(1, |(number, _)| number + 1), report);
                batch.expect(&CASES, case.number, None).put(&CASES, case.number, &case);
                batch.expect(&OPEN_CASES, &subject, None).put(&OPEN_CASES, &subject, &case.number);
                let text = words::opened(&case, report);
                (case, text)
            }
        };
        tracing::info!(case = case.number, "a report was taken up");
        tell(&mut batch, vec![Notice::moderators(&text)]);
        batch.touch(Subject::other("cases"));
        self.store().commit(batch).await?;
        Ok(())
    }
}

/// The audit row of an act on a case.
pub(super) fn entry<'a>(case: &Case, (by, act): (&'a Actor, &'static str), why: Option<&'a str>) -> Entry<'a> {
    let what = json!({ "event_id": case.event_id, "room_id": case.room_id, "user_id": case.user_id });
    Entry { over: Some(format!("case {}", case.number)), why, what, ..Entry::new(by, act) }
}

/// Puts a changed case into a batch.
pub(super) fn put_case(batch: &mut Batch, before: &Case, after: &Case) {
    batch.expect(&CASES, before.number, Some(before)).put(&CASES, after.number, after);
    if before.is_open() && !after.is_open() {
        batch.delete(&OPEN_CASES, &after.subject());
    }
    batch.touch(Subject::other("cases"));
}
