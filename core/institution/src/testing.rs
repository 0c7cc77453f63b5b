//! For tests: an institution in memory, and a small college.

use lyceum_events::{ManualClock, ServerKey};
use lyceum_storage::Store;
use ruma::OwnedServerName;
use std::sync::Arc;

use crate::{Enrolment, HAND, Institution, InstitutionParts, Roster, Settings, Unit, UnitKind};

/// An institution over a store.
pub(crate) async fn over(store: Store) -> Institution {
    let server = OwnedServerName::try_from("alpha.test").unwrap();
    let key = ServerKey::from_seed(server, &[7; 32], "a1").unwrap();
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let settings = Settings { enabled: true, ..Settings::default() };
    Institution::open(InstitutionParts { store, key, clock, settings }).await.unwrap()
}

/// An institution with an empty store.
pub(crate) async fn institution() -> (Store, Institution) {
    let store = Store::memory().await.unwrap();
    (store.clone(), over(store).await)
}

/// A college, its mathematics department, two courses, a class of the first.
pub(crate) fn college() -> Roster {
    let mut roster = Roster::default();
    for (code, kind, parent) in [
        ("college", UnitKind::Institution, None),
        ("maths", UnitKind::Department, Some("college")),
        ("alg", UnitKind::Course, Some("maths")),
        ("geo", UnitKind::Course, Some("maths")),
        ("alg-1", UnitKind::Class, Some("alg")),
    ] {
        let unit = Unit { kind, name: code.to_owned(), parent: parent.map(str::to_owned) };
        roster.check_unit(code, &unit).unwrap();
        let _ = roster.say_unit(code, HAND, Some(unit));
    }
    roster
}

/// An enrolment.
pub(crate) fn enrolment(role: &str, from_ms: Option<u64>, until_ms: Option<u64>) -> Enrolment {
    Enrolment { role: role.to_owned(), from_ms, until_ms }
}
