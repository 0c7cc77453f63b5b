//! What is stored here.

use lyceum_storage::Table;

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
