//! Campus rules: roles, units, enrolments, policies, the audit chain.
//!
//! Everything is reached through [`Institution`]. In reading order:
//!
//! * `config`, `settings`: what the configuration says, and that with its defaults filled in.
//! * `units`, `people`, `sources`: units and enrolments as each source tells them, and which of them holds.
//! * `roster`: what is, in memory: who has which role, which units there are, who is enrolled where.
//! * `kinds`, `policies`: kinds of rooms, and the rules over acts, pure.
//! * `institution`, `change`: the handle, and how the roster changes.
//! * `partners`: whose word about people of other servers is believed.
//! * `desk`: the support desk's settings.
//! * `standing`: what one person may do, for those who serve them.
//! * `tokens`: programs that may use the HTTP API.
//! * `views`: the same as people and programs are shown it.
//! * `audit`: the hash-chained, signed rows of privileged acts.
//!
//! Invariants: what a source says is never overwritten by what another one says. Every change of the roster has its audit
//! row in the same batch. Nothing here looks a fact up by itself while it judges: the caller hands the facts in.

pub mod audit;

mod config;
mod desk;
mod error;
mod groups;
mod hours;
mod settings;
mod tables;
mod when;

mod people;
mod restraints;
mod sources;
mod units;

mod roster;

pub mod kinds;
pub mod policies;
pub mod sample;

mod change;
mod institution;
mod partners;
mod standing;
mod tokens;
mod views;

#[cfg(test)]
mod testing;

pub use change::{CHANGES_MAX, Change, HAND, Order};
pub use config::{InstitutionConfig, RoleConfig};
pub use desk::{Desk, DeskConfig};
pub use error::{InstitutionError, Result};
pub use groups::{Group, Someone};
pub use institution::{Institution, InstitutionParts};
pub use kinds::{Kind, KindConfig};
pub use partners::{PartnerConfig, PartnerPeople, ROLE_FIELD};
pub use people::{Enrolment, Person};
pub use restraints::{Block, Blocked, Exam};
pub use roster::{Enrolled, Roster, Told};
pub use settings::{Finding, Role, Settings};
pub use standing::{EncryptionAdvice, Standing};
pub use tokens::{Scope, Token};
pub use units::{Unit, UnitKind};
pub use views::{EnrolmentView, PersonView, Saying, UnitView};
pub use when::Calendar;
