//! The institution: roles, units and rules, as people meet them in their clients.

mod api;
mod approval;
mod cases;
mod operator;
mod partners;
mod rooms;
mod rules;
mod support;
mod table;
mod walk;

use lyceum_institution::{Change, Enrolment, HAND, Order, Person as Role, Unit, UnitKind, audit::Actor};
use ruma::{OwnedUserId, UserId};

use crate::support::{Campus, Person, campus::Host};

/// Rules in force, all else as usual.
const ENABLED: &str = "institution.enabled = true\n";

/// A campus whose only server keeps the rules.
async fn school() -> Campus {
    school_with("").await
}

/// The same, with more settings.
async fn school_with(settings: &str) -> Campus {
    let campus = Campus::with(["alpha.example"], &format!("{ENABLED}{settings}")).await;
    let host = campus.host("alpha.example");
    host.changes(vec![
        unit("college", UnitKind::Institution, None),
        unit("alg", UnitKind::Course, Some("college")),
        unit("geo", UnitKind::Course, Some("college")),
    ])
    .await;
    campus
}

fn unit(code: &str, kind: UnitKind, parent: Option<&str>) -> Change {
    let unit = Unit { kind, name: code.to_uppercase(), parent: parent.map(str::to_owned) };
    Change::Unit { code: code.to_owned(), unit: Some(unit) }
}

fn id(person: &Person) -> OwnedUserId {
    UserId::parse(&person.id).expect("people have ids")
}

impl Host {
    /// Changes what is.
    async fn changes(&self, changes: Vec<Change>) {
        let order = Order { by: &Actor::Operator, source: HAND, why: Some("a story"), changes };
        self.server.institution().change(&order).await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// A new person with a role, enrolled in these units.
    async fn member(&self, name: &str, role: &str, units: &[&str]) -> Person {
        let person = self.person(name).await;
        let mut changes = vec![Change::Person { user: id(&person), person: Some(Role { role: role.to_owned() }) }];
        changes.extend(units.iter().map(|unit| enrolled(&person, unit, role, None)));
        self.changes(changes).await;
        person
    }
}

fn enrolled(person: &Person, unit: &str, role: &str, until_ms: Option<u64>) -> Change {
    let enrolment = Enrolment { role: role.to_owned(), from_ms: None, until_ms };
    Change::Enrolment { user: id(person), unit: unit.to_owned(), enrolment: Some(enrolment) }
}
