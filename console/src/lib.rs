//! The institution's own door: `/_lyceum/v1`, for the programs of a school. Routes and translation, nothing else.
//!
//! In reading order: `api` (the handlers' state), `asked` (who is asking, and with which scopes), `pages`, then a file for each
//! family: `people`, `units`, `enrolments`, `cases`, `oversight`, `posts`, `restraints`, `audit`. `openapi.json` describes all of it; a test holds it and the
//! routes together.
//!
//! Invariants: nothing is read or changed without a token with the right scope; every call of a program is a row of the audit
//! chain, a change in the same batch as the row.

mod api;
mod asked;
mod audit;
mod cases;
mod enrolments;
mod oversight;
mod pages;
mod people;
mod posts;
mod restraints;
mod routes;
mod units;

pub use api::Api;
pub use routes::routes;
