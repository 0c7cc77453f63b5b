//! Rows about the store itself: how it is laid out and how far it has come.

use crate::Table;

/// The schema version of everything stored.
pub(crate) const SCHEMA: Table<(), u32> =
    Table::new("_schema", "Written when the store is made or migrated, read when it is opened. One row.");

/// The last position given.
pub(crate) const LAST_POSITION: Table<(), u64> =
    Table::new("_position", "Written by every group of commits, read when the store is opened. One row.");
