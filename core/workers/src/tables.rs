//! What is stored here.

use lyceum_storage::Table;

use crate::{deletions::Deletion, past_purges::PastPurge, redactions::JobRow};

use crate::{
    moderation::{Case, Notice},
    support::{Passed, Request},
};

/// By what a room is for, such as `unit/MATH-1/room`.
pub(crate) const CAMPUS_ROOMS: Table<String, String> = Table::new(
    "w.room",
    "the rooms that are kept for units and for everybody; written with the room itself, read when rosters and rooms are \
     brought into step; at most two rows for each unit, and one for each default room",
);

/// By the person who is told.
pub(crate) const NOTICE_ROOMS: Table<String, String> = Table::new(
    "w.notices",
    "the room in which the server tells a person something; written with the room itself, read when something is told and \
     when an invite is refused; at most one row for each person",
);

/// By number, from 1: what people reported, and what became of it.
pub(crate) const CASES: Table<u64, Case> = Table::new(
    "w.case",
    "the cases; opened by a report, rewritten by every act on them, read by whoever handles them; one row for each thing \
     that was reported while no case about it was open",
);

/// By what it is about: the open case.
pub(crate) const OPEN_CASES: Table<String, u64> =
    Table::new("w.caseopen", "the open case about an event, a room or a person; gone when that is closed");

/// The last report that became part of a case.
pub(crate) const REPORTS_TAKEN: Table<(), u64> = Table::new(
    "w.reporttaken",
    "how far reports were taken up; written with the case that each becomes part of; one row",
);

/// By position, and the number in it: what people are still to be told.
pub(crate) const UNTOLD: Table<(u64, u64), Notice> = Table::new(
    "w.untold",
    "what the server's own account is still to tell people; written with the act that it tells of, gone once it is told",
);

/// By number, from 1: what people asked the support desk.
pub(crate) const REQUESTS: Table<u64, Request> = Table::new(
    "w.request",
    "what people asked the support desk; opened by the first message of a chat, closed by those who support; one row for \
     each time somebody asked",
);

/// By chat: the open request.
pub(crate) const OPEN_REQUESTS: Table<String, u64> =
    Table::new("w.requestopen", "the open request of a chat with the support desk; gone when that is closed");

/// By event, in either room.
pub(crate) const PASSED: Table<String, Passed> = Table::new(
    "w.passed",
    "what was passed on between those who ask and those who support, each as what; written once it was, read when it is \
     answered, rewritten, taken back or reported; two rows for each message",
);

/// By id, which is the position it was taken on at.
pub(crate) const REDACTIONS: Table<u64, JobRow> = Table::new(
    "w.redactions",
    "whose events administrators want redacted and how far that is; written by their requests and by what does it, read by \
     both; the oldest that are done go where there would be too many",
);

/// By id, which is the position it was taken on at.
pub(crate) const DELETIONS: Table<u64, Deletion> = Table::new(
    "w.deletions",
    "which rooms administrators want taken away and how far that is; written by their requests and by what does it, read by \
     both; what ended a day ago goes when the next one comes",
);

/// By id, which is the position it was taken on at.
pub(crate) const PAST_PURGES: Table<u64, PastPurge> = Table::new(
    "w.pastpurge",
    "how much of rooms' pasts administrators want forgotten and how far that is; written by their requests and by what does it, \
     read by both; what ended a day ago goes when the next one comes",
);
