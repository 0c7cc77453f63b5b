//! A case: what was reported, by whom, who handles it, what was noted and done, how it ended. Plain data and how it changes.

use lyceum_rooms::Report;
use serde::{Deserialize, Serialize};

use super::error::{ModerationError, Result};

/// Reports that one case holds; further ones are counted.
const REPORTS_MAX: usize = 200;
/// Notes and measures of one case.
const ENTRIES_MAX: usize = 500;
/// The bytes of a note.
const NOTE_BYTES_MAX: usize = 4_000;

/// A case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Its number.
    pub number: u64,
    /// When it was opened.
    pub opened_ms: u64,
    /// The room it is about.
    pub room_id: Option<String>,
    /// The event it is about.
    pub event_id: Option<String>,
    /// The person it is about: the author of the event.
    pub user_id: Option<String>,
    /// Who reported it.
    pub reports: Vec<Reported>,
    /// Reports beyond those.
    pub further_reports: u64,
    /// Who handles it.
    pub assignee: Option<String>,
    /// What those who handle it noted.
    pub notes: Vec<Note>,
    /// What was done.
    pub taken: Vec<Taken>,
    /// How it ended; nothing while it is open.
    pub outcome: Option<Outcome>,
}

/// A report that is part of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// By whom.
    pub by: String,
    /// What they said.
    pub reason: String,
    /// When.
    pub at_ms: u64,
}

/// A note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Whose.
    pub by: String,
    /// When.
    pub at_ms: u64,
    /// What.
    pub text: String,
}

/// A measure that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// By whom.
    pub by: String,
    /// When.
    pub at_ms: u64,
    /// Its name: delete, warn, block, remove.
    pub measure: String,
    /// Why.
    pub why: Option<String>,
}

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Who closed it.
    pub by: String,
    /// When.
    pub at_ms: u64,
    /// Whether there was nothing to be done.
    pub dismissed: bool,
    /// What they said to it.
    pub why: Option<String>,
}

/// What a report is about, as one word.
pub(super) fn subject_of(report: &Report) -> String {
    match (&report.event_id, &report.room_id, &report.user_id) {
        (Some(event), ..) => format!("event/{event}"),
        (None, Some(room), _) => format!("room/{room}"),
        (None, None, user) => format!("user/{}", user.as_deref().unwrap_or_default()),
    }
}

impl Case {
    /// The case that a first report opens.
    pub(super) fn open(number: u64, report: &Report) -> Self {
        let Report { room_id, event_id, user_id, at_ms, .. } = report.clone();
        let mut case = Self {
            number,
            opened_ms: at_ms,
            room_id,
            event_id,
            user_id,
            reports: Vec::new(),
            further_reports: 0,
            assignee: None,
            notes: Vec::new(),
            taken: Vec::new(),
            outcome: None,
        };
        case.add_report(report);
        case
    }

    /// Takes up a further report of the same.
    pub(super) fn add_report(&mut self, report: &Report) {
        if self.reports.len() >= REPORTS_MAX {
            self.further_reports = self.further_reports.saturating_add(1);
            return;
        }
        let Report { reporter: by, reason, at_ms, .. } = report.clone();
        self.reports.push(Reported { by, reason, at_ms });
    }

    /// What it is about, as one word.
    pub(super) fn subject(&self) -> String {
        match (&self.event_id, &self.room_id, &self.user_id) {
            (Some(event), ..) => format!("event/{event}"),
            (None, Some(room), _) => format!("room/{room}"),
            (None, None, user) => format!("user/{}", user.as_deref().unwrap_or_default()),
        }
    }

    /// Whether somebody still has to see to it.
    pub fn is_open(&self) -> bool {
        self.outcome.is_none()
    }

    /// Who reported it, each once.
    pub fn reporters(&self) -> Vec<&str> {
        let mut reporters: Vec<_> = self.reports.iter().map(|report| report.by.as_str()).collect();
        reporters.sort_unstable();
        reporters.dedup();
        reporters
    }

    pub(super) fn must_be_open(&self) -> Result<()> {
        match self.is_open() {
            true => Ok(()),
            false => Err(ModerationError::Wrong(format!("case {} is closed", self.number))),
        }
    }

    pub(super) fn note(&mut self, by: &str, at_ms: u64, text: &str) -> Result<()> {
        if text.is_empty() || text.len() > NOTE_BYTES_MAX {
            return Err(ModerationError::Wrong(format!("a note has between 1 and {NOTE_BYTES_MAX} bytes")));
        }
        if self.notes.len() >= ENTRIES_MAX {
            return Err(ModerationError::Wrong(format!("a case has at most {ENTRIES_MAX} notes")));
        }
        self.notes.push(Note { by: by.to_owned(), at_ms, text: text.to_owned() });
        Ok(())
    }

    pub(super) fn take(&mut self, taken: Taken) -> Result<()> {
        self.must_be_open()?;
        if self.taken.len() >= ENTRIES_MAX {
            return Err(ModerationError::Wrong(format!("a case has at most {ENTRIES_MAX} measures")));
        }
        self.taken.push(taken);
        Ok(())
    }

    pub(super) fn close(&mut self, outcome: Outcome) -> Result<()> {
        self.must_be_open()?;
        self.outcome = Some(outcome);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(reporter: &str, event: Option<&str>) -> Report {
        Report {
            reporter: reporter.to_owned(),
            room_id: Some("!r:a.b".to_owned()),
            event_id: event.map(str::to_owned),
            user_id: Some("@ben:a.b".to_owned()),
            reason: "rude".to_owned(),
            at_ms: 7,
        }
    }

    #[test]
    fn reports_of_the_same_thing_are_one_case_and_those_of_others_are_not() {
        let (of_event, of_room) = (report("@ann:a.b", Some("$e")), report("@ann:a.b", None));
        assert_ne!(subject_of(&of_event), subject_of(&of_room));
        let mut case = Case::open(1, &of_event);
        assert_eq!(case.subject(), subject_of(&of_event));
        case.add_report(&report("@amy:a.b", Some("$e")));
        case.add_report(&of_event);
        assert_eq!(case.reporters(), ["@amy:a.b", "@ann:a.b"]);
        for _ in 0..REPORTS_MAX {
            case.add_report(&of_event);
        }
        assert_eq!((case.reports.len(), case.further_reports), (REPORTS_MAX, 3));
    }

    #[test]
    fn what_is_closed_stays_as_it_is_but_for_notes() {
        let mut case = Case::open(1, &report("@ann:a.b", None));
        let taken = Taken { by: "operator".into(), at_ms: 8, measure: "warn".into(), why: None };
        case.take(taken.clone()).unwrap();
        let outcome = Outcome { by: "operator".into(), at_ms: 9, dismissed: false, why: None };
        case.close(outcome.clone()).unwrap();
        assert!(case.take(taken).is_err() && case.close(outcome).is_err());
        case.note("operator", 10, "the parents called").unwrap();
        assert!(case.note("operator", 10, "").is_err());
        assert_eq!(case.taken.len(), 1);
    }
}
