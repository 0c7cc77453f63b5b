//! How cases read: to moderators, and to those who reported.

use lyceum_institution::Calendar;
use lyceum_rooms::{Held, Report};

use super::{Case, Context, Measure, Said, Waiting, waiting::ID_LETTERS};

/// The letters of a message shown in a line.
const LINE_LETTERS_MAX: usize = 300;

/// What a case is about.
fn subject(case: &Case) -> String {
    let whose = case.user_id.as_deref().unwrap_or("somebody");
    match (&case.event_id, &case.room_id) {
        (Some(_), Some(room)) => format!("a message of {whose} in {room}"),
        (Some(_), None) => format!("a message of {whose}"),
        (None, Some(room)) => format!("the room {room}"),
        (None, None) => whose.to_owned(),
    }
}

fn said(reason: &str) -> String {
    if reason.is_empty() { ", without saying why".to_owned() } else { format!(": {}", line_of(reason)) }
}

pub(super) fn opened(case: &Case, report: &Report) -> String {
    let number = case.number;
    format!(
        "Case {number} is new. {} reported {}{}\n!context {number} shows what was said; !help tells what can be done.",
        report.reporter,
        subject(case),
        said(&report.reason)
    )
}

pub(super) fn reported_again(case: &Case, report: &Report) -> String {
    let times = case.reports.len() as u64 + case.further_reports;
    format!("Case {}, {times} reports now. {} reported it too{}", case.number, report.reporter, said(&report.reason))
}

/// What those who reported are told when a case is closed.
pub(super) fn outcome(case: &Case, calendar: &Calendar) -> String {
    let when = calendar.show(case.opened_ms);
    let about = match (&case.event_id, &case.room_id) {
        (Some(_), _) => "a message",
        (None, Some(_)) => "a room",
        (None, None) => "a person",
    };
    let measures: Vec<_> = case.taken.iter().map(|taken| measure(&taken.measure)).collect();
    let done = match measures.is_empty() {
        true if case.outcome.as_ref().is_some_and(|outcome| outcome.dismissed) => "nothing had to be done".to_owned(),
        true => "it was dealt with".to_owned(),
        false => measures.join(", "),
    };
    format!("Your report of {about} ({when}) was looked at: {done}. Thank you for telling us.")
}

fn measure(name: &str) -> &str {
    match name {
        "delete" => "the message was deleted",
        "warn" => "its author was warned",
        "block" => "its author was blocked",
        "hold" => "what its author writes is looked at before others see it",
        "suspend" => "its author's account was suspended",
        "lock" => "its author's account was locked",
        "unblock" | "unhold" | "unsuspend" | "unlock" => "a measure against its author was taken back",
        "remove" => "its author was sent out of the room",
        other => other,
    }
}

/// What was done to the author of what was reported.
pub(super) fn restrained(measure: &Measure, calendar: &Calendar) -> String {
    let place = |everywhere: &bool| if *everywhere { "everywhere" } else { "in that room" };
    let until = |at: &Option<u64>| at.map(|at| format!(" until {}", calendar.show(at))).unwrap_or_default();
    match measure {
        Measure::Block { until_ms, everywhere } => {
            format!("its author is blocked {}{}", place(everywhere), until(until_ms))
        }
        Measure::Unblock { everywhere } => format!("its author is not blocked {} any more", place(everywhere)),
        Measure::Hold { until_ms, everywhere } => {
            format!("its author's posts wait {}{}", place(everywhere), until(until_ms))
        }
        Measure::Unhold { everywhere } => format!("its author's posts do not wait {} any more", place(everywhere)),
        Measure::Suspend => "its author's account is suspended".to_owned(),
        Measure::Unsuspend => "its author's account is not suspended any more".to_owned(),
        Measure::Lock => "its author's account is locked".to_owned(),
        Measure::Unlock => "its author's account is not locked any more".to_owned(),
        Measure::Delete | Measure::Warn | Measure::Remove => measure.name().to_owned(),
    }
}

/// A case in a line of a list.
pub(super) fn line(case: &Case) -> String {
    let state = match (&case.outcome, &case.assignee) {
        (Some(outcome), _) if outcome.dismissed => "dismissed".to_owned(),
        (Some(_), _) => "done".to_owned(),
        (None, Some(who)) => format!("handled by {who}"),
        (None, None) => "open".to_owned(),
    };
    format!("{}: {}, {} reports, {state}", case.number, subject(case), case.reports.len() as u64 + case.further_reports)
}

/// All of a case.
pub(super) fn whole(case: &Case, calendar: &Calendar) -> String {
    let mut lines = vec![format!("Case {}", line(case))];
    let show = |at| calendar.show(at);
    for report in &case.reports {
        lines.push(format!("{} reported by {}{}", show(report.at_ms), report.by, said(&report.reason)));
    }
    for note in &case.notes {
        lines.push(format!("{} {} notes: {}", show(note.at_ms), note.by, note.text));
    }
    for taken in &case.taken {
        let why = taken.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        lines.push(format!("{} {} took the measure {}{why}", show(taken.at_ms), taken.by, taken.measure));
    }
    if let Some(outcome) = &case.outcome {
        let how = if outcome.dismissed { "dismissed" } else { "closed" };
        let why = outcome.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        lines.push(format!("{} {how} by {}{why}", show(outcome.at_ms), outcome.by));
    }
    lines.join("\n")
}

/// What was said around what a case is about.
pub(super) fn context(context: &Context, calendar: &Calendar) -> String {
    let mut lines: Vec<_> = context.before.iter().map(|one| spoken(one, calendar)).collect();
    lines.push(format!("→ {}", spoken(&context.event, calendar)));
    lines.extend(context.edits.iter().map(|edit| format!("→ edited: {}", spoken(edit, calendar))));
    lines.extend(context.after.iter().map(|one| spoken(one, calendar)));
    lines.join("\n")
}

/// One thing that was said.
pub(super) fn spoken(said: &Said, calendar: &Calendar) -> String {
    let newer = said.content["m.new_content"]["body"].as_str();
    let what = match newer.or_else(|| said.content["body"].as_str()) {
        Some(body) => line_of(body),
        None if said.is_redacted => "(deleted)".to_owned(),
        None if said.kind == "m.room.encrypted" => "(encrypted: only those in the room can read it)".to_owned(),
        None => format!("({})", said.kind),
    };
    format!("{} {}: {what}", calendar.show(said.at_ms), said.sender)
}

/// A post that waits.
pub(super) fn waits(post: &Waiting) -> String {
    let short: String = post.event_id.chars().take(ID_LETTERS).collect();
    let what = post.content["body"].as_str().map_or_else(|| format!("({})", post.kind), line_of);
    format!("{} waits in {}: {what}\n!approve {short} or !refuse {short} why", post.sender, post.room_id)
}

/// What the author of a post that waits is told.
pub(super) fn told_author(held: &Held) -> String {
    let content = held.content();
    let what = content["body"].as_str().map(|body| format!(" «{}»", line_of(body))).unwrap_or_default();
    format!("Your message{what} in {} waits until somebody has looked at it", held.room_id)
}

/// What the author of a refused post is told.
pub(super) fn refused(held: &Held, why: Option<&str>) -> String {
    let content = held.content();
    let what = content["body"].as_str().map(|body| format!(" «{}»", line_of(body))).unwrap_or_default();
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    format!("Your message{what} in {} was looked at and is not shown to others{why}", held.room_id)
}

fn line_of(text: &str) -> String {
    let mut line: String = text.chars().take(LINE_LETTERS_MAX).map(|c| if c == '\n' { ' ' } else { c }).collect();
    if text.chars().nth(LINE_LETTERS_MAX).is_some() {
        line.push('…');
    }
    line
}
