//! Orders about cases.

use anyhow::Context;
use lyceum_institution::audit::Actor;
use lyceum_workers::moderation::{Case, Measure, Moderation, Said};
use ruma::OwnedEventId;
use serde::{Deserialize, Serialize};

use super::table::Table;
use super::{Operator, Report};

/// Cases read at once.
const PAGE: usize = 500;

/// One order about cases.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CaseOrder {
    List {
        all: bool,
        json: bool,
    },
    Show {
        case: u64,
        json: bool,
    },
    Context {
        case: u64,
        json: bool,
    },
    Original {
        case: u64,
        why: Option<String>,
    },
    Assign {
        case: u64,
        name: String,
    },
    Note {
        case: u64,
        text: String,
    },
    Delete {
        case: u64,
        why: Option<String>,
    },
    Warn {
        case: u64,
        text: String,
    },
    Block {
        case: u64,
        everywhere: bool,
        until: Option<String>,
        why: Option<String>,
    },
    Hold {
        case: u64,
        everywhere: bool,
        until: Option<String>,
        why: Option<String>,
    },
    /// A measure that needs no more than its name.
    Take {
        case: u64,
        measure: Plain,
        everywhere: bool,
        why: Option<String>,
    },
    Remove {
        case: u64,
        why: Option<String>,
    },
    Close {
        case: u64,
        dismissed: bool,
        why: Option<String>,
    },
    Held {
        json: bool,
    },
    Approve {
        post: String,
        why: Option<String>,
    },
    Refuse {
        post: String,
        why: Option<String>,
    },
    Read {
        room: String,
        limit: usize,
        why: Option<String>,
        json: bool,
    },
    Search {
        term: String,
        room: Option<String>,
        limit: usize,
        why: Option<String>,
        json: bool,
    },
}

/// Measures that need no more than their names.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Plain {
    Unblock,
    Unhold,
    Suspend,
    Unsuspend,
    Lock,
    Unlock,
}

impl Plain {
    fn measure(self, everywhere: bool) -> (Measure, &'static str) {
        match self {
            Self::Unblock => (Measure::Unblock { everywhere }, "its author is blocked no longer"),
            Self::Unhold => (Measure::Unhold { everywhere }, "its author's posts wait no longer"),
            Self::Suspend => (Measure::Suspend, "its author's account is suspended"),
            Self::Unsuspend => (Measure::Unsuspend, "its author's account is suspended no longer"),
            Self::Lock => (Measure::Lock, "its author's account is locked"),
            Self::Unlock => (Measure::Unlock, "its author's account is locked no longer"),
        }
    }
}

const BY: &Actor = &Actor::Operator;

impl Operator {
    pub(super) async fn cases(&self, order: CaseOrder, report: &Report) -> anyhow::Result<()> {
        use CaseOrder as C;
        let none = "no campus rules are in force, so there are no cases; set institution.enabled = true";
        let desk = self.moderation.as_ref().context(none)?;
        let (case, done) = match order {
            C::List { all, json } => return list_cases(desk, all, json, report).await,
            C::Show { case, json } => return self.show_case(&desk.read(BY, case).await?, json, report),
            C::Context { case, json } => {
                let context = desk.context(BY, case).await?;
                let around = [context.before, vec![context.event], context.edits, context.after].concat();
                return self.show_said(&around, json, report);
            }
            C::Original { case, why } => {
                report.say(serde_json::to_string(&desk.original(BY, case, why.as_deref()).await?)?);
                return Ok(());
            }
            C::Read { room, limit, why, json } => {
                let room = desk.room_named(&room).await?;
                let (said, _) = desk.look(BY, (&room, None), limit, why.as_deref()).await?;
                return self.show_said(&said, json, report);
            }
            C::Search { term, room, limit, why, json } => {
                let room = match room {
                    Some(room) => Some(desk.room_named(&room).await?),
                    None => None,
                };
                let found = desk.search(BY, (room.as_deref(), &term), limit, why.as_deref()).await?;
                return self.show_found(&found, json, report);
            }
            C::Held { json } => return self.list_held(desk, json, report).await,
            C::Approve { post, why } => {
                desk.approve(BY, &desk.waiting_named(&post).await?, why.as_deref()).await?;
                report.say(format!("The post {post} is let go: everybody in the room sees it."));
                return Ok(());
            }
            C::Refuse { post, why } => {
                desk.refuse(BY, &desk.waiting_named(&post).await?, why.as_deref()).await?;
                report.say(format!("The post {post} is refused, and its author is told."));
                return Ok(());
            }
            C::Assign { case, name } => {
                let user = self.user_id(&name)?;
                (desk.assign(BY, case, &user).await?, format!("{user} handles it"))
            }
            C::Note { case, text } => (desk.note(BY, case, &text).await?, "noted".to_owned()),
            C::Delete { case, why } => {
                let done = desk.measure(BY, case, &Measure::Delete, why.as_deref()).await?;
                (done, "the message is deleted; the original is in the sealed archive".to_owned())
            }
            C::Warn { case, text } => {
                (desk.measure(BY, case, &Measure::Warn, Some(&text)).await?, "its author is warned".to_owned())
            }
            C::Remove { case, why } => {
                let done = desk.measure(BY, case, &Measure::Remove, why.as_deref()).await?;
                (done, "its author is out of the room".to_owned())
            }
            C::Block { case, everywhere, until, why } => {
                let measure = Measure::Block {
                    until_ms: until.as_deref().map(|until| self.end_of(until)).transpose()?,
                    everywhere,
                };
                let place = if everywhere { "everywhere" } else { "in that room" };
                (desk.measure(BY, case, &measure, why.as_deref()).await?, format!("its author is blocked {place}"))
            }
            C::Hold { case, everywhere, until, why } => {
                let measure = Measure::Hold {
                    until_ms: until.as_deref().map(|until| self.end_of(until)).transpose()?,
                    everywhere,
                };
                let place = if everywhere { "everywhere" } else { "in that room" };
                (desk.measure(BY, case, &measure, why.as_deref()).await?, format!("its author's posts wait {place}"))
            }
            C::Take { case, measure, everywhere, why } => {
                let (measure, done) = measure.measure(everywhere);
                (desk.measure(BY, case, &measure, why.as_deref()).await?, done.to_owned())
            }
            C::Close { case, dismissed, why } => {
                let done = desk.close(BY, case, dismissed, why.as_deref()).await?;
                let how = if dismissed { "dismissed" } else { "closed" };
                (done, format!("{how}; those who reported it are told"))
            }
        };
        report.say(format!("Case {}: {done}.", case.number));
        Ok(())
    }

    fn show_found(&self, found: &[(String, Said)], json: bool, report: &Report) -> anyhow::Result<()> {
        let mut table = Table::new(["when", "room", "who", "what", "event"]);
        for (room, one) in found {
            if json {
                report.say(serde_json::json!({ "room_id": room, "event": one }).to_string());
                continue;
            }
            let when = self.institution.settings().calendar.show(one.at_ms);
            let what = one.content["body"].as_str().unwrap_or(&one.kind).replace('\n', " ");
            table.row([when, room.clone(), one.sender.clone(), what, one.event_id.clone()]);
        }
        table.say(report, json);
        Ok(())
    }

    fn show_case(&self, case: &Case, json: bool, report: &Report) -> anyhow::Result<()> {
        if json {
            report.say(serde_json::to_string(case)?);
            return Ok(());
        }
        let show = |at| self.institution.settings().calendar.show(at);
        report.say(format!("Case {}, opened {}: {}", case.number, show(case.opened_ms), about(case)));
        for one in &case.reports {
            report.say(format!("{}  reported by {}: {}", show(one.at_ms), one.by, one.reason));
        }
        for note in &case.notes {
            report.say(format!("{}  note by {}: {}", show(note.at_ms), note.by, note.text));
        }
        for taken in &case.taken {
            let why = taken.why.as_deref().unwrap_or_default();
            report.say(format!("{}  {} by {}: {why}", show(taken.at_ms), taken.measure, taken.by));
        }
        if let Some(outcome) = &case.outcome {
            let how = if outcome.dismissed { "dismissed" } else { "closed" };
            let why = outcome.why.as_deref().unwrap_or_default();
            report.say(format!("{}  {how} by {}: {why}", show(outcome.at_ms), outcome.by));
        }
        Ok(())
    }

    async fn list_held(&self, desk: &Moderation, json: bool, report: &Report) -> anyhow::Result<()> {
        let mut table = Table::new(["post", "when", "who", "room", "what"]);
        let mut after: Option<OwnedEventId> = None;
        loop {
            let page = desk.waiting(BY, after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.event_id.as_str().try_into()?);
            for post in page {
                if json {
                    report.say(serde_json::to_string(&post)?);
                    continue;
                }
                let when = self.institution.settings().calendar.show(post.at_ms);
                let what = post.content["body"].as_str().unwrap_or(&post.kind).replace('\n', " ");
                table.row([post.event_id, when, post.sender, post.room_id, what]);
            }
        }
        table.say(report, json);
        Ok(())
    }

    fn show_said(&self, said: &[Said], json: bool, report: &Report) -> anyhow::Result<()> {
        let mut table = Table::new(["when", "who", "what", "event"]);
        for one in said {
            if json {
                report.say(serde_json::to_string(one)?);
                continue;
            }
            let when = self.institution.settings().calendar.show(one.at_ms);
            let body = one.content["body"].as_str().map(|body| body.replace('\n', " "));
            let what = body.unwrap_or_else(|| format!("({})", one.kind));
            table.row([when, one.sender.clone(), what, one.event_id.clone()]);
        }
        table.say(report, json);
        Ok(())
    }
}

async fn list_cases(desk: &Moderation, all: bool, json: bool, report: &Report) -> anyhow::Result<()> {
    let mut table = Table::new(["case", "about", "reports", "handled by", "state"]);
    let mut after = 0;
    loop {
        let page = desk.cases(BY, all, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.number;
        for case in page {
            if json {
                report.say(serde_json::to_string(&case)?);
                continue;
            }
            let state = match &case.outcome {
                None => "open",
                Some(outcome) if outcome.dismissed => "dismissed",
                Some(_) => "closed",
            };
            let reports = case.reports.len() as u64 + case.further_reports;
            let (number, about) = (case.number.to_string(), about(&case));
            table.row([number, about, reports.to_string(), case.assignee.unwrap_or_default(), state.to_owned()]);
        }
    }
    table.say(report, json);
    Ok(())
}

fn about(case: &Case) -> String {
    let parts = [&case.event_id, &case.user_id, &case.room_id].into_iter().flatten();
    parts.map(String::as_str).collect::<Vec<_>>().join(" ")
}
