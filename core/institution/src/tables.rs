//! What the institution stores: what each source says, and the audit chain. What is, is computed from it in memory.

use lyceum_storage::Table;
use serde::{Deserialize, Serialize};

use crate::{Block, Enrolment, Exam, Person, Token, Unit};

/// `(person, source)`.
pub(crate) const PERSONS: Table<(String, String), Option<Person>> = Table::new(
    "i.person",
    "what each source says a person is; written by change, read into the roster; one row for each person and source",
);

/// `(code, source)`.
pub(crate) const UNITS: Table<(String, String), Option<Unit>> = Table::new(
    "i.unit",
    "what each source says a unit is; written by change, read into the roster; one row for each unit and source",
);

/// `(person, unit, source)`.
pub(crate) const ENROLMENTS: Table<(String, String, String), Option<Enrolment>> = Table::new(
    "i.enrolment",
    "where each source says a person is enrolled; written by change, read into the roster; one row for each enrolment and \
     source, those that have ended included",
);

/// By unit.
pub(crate) const EXAMS: Table<String, Exam> = Table::new(
    "i.exam",
    "the exam each unit sits or sat last; written by change, read into the roster; one row for each unit",
);

/// `(person, room)`; an empty room means everywhere.
pub(crate) const BLOCKS: Table<(String, String), Block> =
    Table::new("i.block", "who was blocked where; written by change, read into the roster; gone when it is taken back");

/// `(person, room)`; an empty room means everywhere.
pub(crate) const HOLDS: Table<(String, String), Block> = Table::new(
    "i.hold",
    "whose posts wait where, by a measure; written by change, read into the roster; gone when it is taken back",
);

/// `(person, room)`.
pub(crate) const APPROVED: Table<(String, String), ()> = Table::new(
    "i.approved",
    "of whom a post was approved in which room, so that it was not their first; written when a post is let go; one row for \
     each person and room",
);

/// By the hash of the secret.
pub(crate) const TOKENS: Table<String, Token> = Table::new(
    "i.token",
    "the programs that may use the HTTP API; written and deleted by command, read by every request of theirs; a bounded number",
);

/// By number, from 1: the rows of the audit chain as the JSON that is exported.
pub(crate) const AUDIT: Table<u64, String> = Table::new(
    "i.audit",
    "every privileged read and change, each row naming the hash of the one before; written in the batch of the act, read \
     by verify and export; grows with privileged acts and is never shortened",
);

/// The end of the audit chain.
pub(crate) const AUDIT_END: Table<(), StoredEnd> = Table::new(
    "i.auditend",
    "the last row of i.audit; rewritten and expected by every row, so that none forks; one row",
);

/// The public halves of the keys that signed audit rows, by key id.
pub(crate) const AUDIT_KEYS: Table<String, [u8; 32]> = Table::new(
    "i.auditkey",
    "the public key of every key that signed an audit row, written with its first row; one row for each key this server had",
);

/// The end of the audit chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredEnd {
    /// The number of the last row; 0 when there is none.
    pub(crate) number: u64,
    /// Its hash.
    pub(crate) hash: String,
    /// The key that signed it.
    pub(crate) key: String,
}
