//! Which rooms there are to be, and who is to be in them: a plain function of roles, units and enrolments.

use lyceum_institution::{
    Kind, Unit, UnitKind,
    kinds::{APPROVALS, COURSE, MODERATION, SPACE, SUPPORT_TEAM},
    policies::Facts,
};
use ruma::{OwnedUserId, UserId};
use std::collections::{BTreeMap, BTreeSet};

/// The default rooms: alias, name, kind.
const DEFAULT_ROOMS: [(&str, &str, &str); 5] = [
    ("announcements", "Announcements", "announcement"),
    ("general", "General", "common"),
    ("it-support", "IT support", "common"),
    ("tutors-only", "Tutors only", "tutors"),
    ("admin-team", "Administration", "admin_team"),
];

/// The key of the space that holds everything, where no unit is the whole institution.
const WHOLE: &str = "whole";

/// The key of the room in which cases are handled.
pub(crate) const MODERATION_ROOM: &str = "moderation";

/// The key of the room of those who support.
pub(crate) const SUPPORT_ROOM: &str = "support";

/// The key of the room in which those who teach a unit look at posts that wait.
pub(crate) fn approvals_key(code: &str) -> String {
    format!("unit/{code}/approvals")
}

/// A room that there is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted<'a> {
    /// Its kind.
    pub(super) kind: &'a Kind,
    /// The unit it belongs to.
    pub(super) unit: Option<&'a str>,
    /// Its name.
    pub(super) name: String,
    /// The local part of its alias.
    pub(super) alias: String,
    /// Whether it is a space.
    pub(super) is_space: bool,
    /// The key of the space it lies in.
    pub(super) parent: Option<String>,
    /// Who is to be in it.
    pub(super) members: BTreeSet<OwnedUserId>,
    /// Who has what power in it, members or not.
    pub(super) powers: BTreeMap<OwnedUserId, i32>,
}

/// The rooms by what they are for.
pub(super) type Plan<'a> = BTreeMap<String, Wanted<'a>>;

/// Which rooms there are to be at a moment. `people` are the accounts there are.
pub(super) fn plan<'a>(facts: &Facts<'a>, people: &BTreeSet<OwnedUserId>) -> Plan<'a> {
    let overseers = overseers(facts, people);
    let mut plan = Plan::new();
    let whole = facts.roster.units().find(|(_, unit)| unit.value.kind == UnitKind::Institution).map(|(code, _)| code);
    let top = whole.map_or_else(|| WHOLE.to_owned(), space_key);
    for (code, unit) in facts.roster.units() {
        let (members, powers) = people_of(facts, code, people, &overseers);
        let parent = unit.value.parent.as_deref().filter(|parent| facts.roster.unit(parent).is_some());
        let parent = parent.map(space_key).or_else(|| (whole != Some(code)).then(|| top.clone()));
        if let Some(kind) = facts.settings.kinds.get(SPACE) {
            let members = if whole == Some(code) { with_a_role(facts, people) } else { members.clone() };
            let wanted = Wanted { is_space: true, parent, ..wanted(kind, code, unit.value, members, powers.clone()) };
            plan.insert(space_key(code), wanted);
        }
        if let Some(kind) = facts.settings.kinds.get(COURSE).filter(|_| unit.value.kind.is_taught()) {
            let wanted = Wanted { parent: Some(space_key(code)), ..wanted(kind, code, unit.value, members, powers) };
            plan.insert(format!("unit/{code}/room"), wanted);
            plan.extend(approvals_room(facts, (code, unit.value), people, &overseers));
        }
    }
    plan.extend(moderation_room(facts, people, &overseers).map(|wanted| (MODERATION_ROOM.to_owned(), wanted)));
    plan.extend(support_room(facts, people, &overseers).map(|wanted| (SUPPORT_ROOM.to_owned(), wanted)));
    let is_needed = facts.settings.default_rooms || plan.values().any(|room| room.parent.as_ref() == Some(&top));
    if whole.is_none() && is_needed {
        plan.extend(whole_space(facts, people, &overseers).map(|wanted| (WHOLE.to_owned(), wanted)));
    }
    if facts.settings.default_rooms {
        plan.extend(default_rooms(facts, people, &overseers, &top));
    }
    plan
}

fn space_key(code: &str) -> String {
    format!("unit/{code}/space")
}

fn wanted<'a>(
    kind: &'a Kind,
    code: &'a str,
    unit: &Unit,
    members: BTreeSet<OwnedUserId>,
    powers: BTreeMap<OwnedUserId, i32>,
) -> Wanted<'a> {
    let alias = if kind.name == SPACE { format!("{code}-space") } else { code.to_owned() };
    Wanted {
        kind,
        unit: (unit.kind != UnitKind::Institution).then_some(code),
        name: unit.name.clone(),
        alias: alias.to_lowercase(),
        is_space: false,
        parent: None,
        members,
        powers,
    }
}

/// Who handles cases or oversees has their power in every room of the institution.
fn overseers(facts: &Facts<'_>, people: &BTreeSet<OwnedUserId>) -> BTreeMap<OwnedUserId, i32> {
    let persons = facts.roster.persons().filter(|(user, _)| people.contains(*user));
    let powerful = persons.filter_map(|(user, _)| {
        let someone = facts.someone(user);
        let power = someone.role.filter(|_| someone.watches())?.power;
        (power > 0).then(|| (user.to_owned(), power))
    });
    powerful.collect()
}

/// Who is enrolled in a unit or in one that lies in it, and what power that gives.
fn people_of(
    facts: &Facts<'_>,
    code: &str,
    people: &BTreeSet<OwnedUserId>,
    overseers: &BTreeMap<OwnedUserId, i32>,
) -> (BTreeSet<OwnedUserId>, BTreeMap<OwnedUserId, i32>) {
    let (mut members, mut powers) = (BTreeSet::new(), overseers.clone());
    let mut to_visit = vec![code];
    while let Some(at) = to_visit.pop() {
        to_visit.extend(facts.roster.children(at));
        for one in facts.roster.enrolments_in(at).filter(|one| one.enrolment.counts(facts.now_ms)) {
            if !people.contains(one.user) {
                continue;
            }
            members.insert(one.user.to_owned());
            let power = facts.settings.role(&one.enrolment.role).map_or(0, |role| role.power);
            // Who teaches a class has no say in the whole course.
            if at == code && power > 0 {
                let held = powers.entry(one.user.to_owned()).or_insert(power);
                *held = power.max(*held);
            }
        }
    }
    (members, powers)
}

fn with_a_role(facts: &Facts<'_>, people: &BTreeSet<OwnedUserId>) -> BTreeSet<OwnedUserId> {
    people.iter().filter(|user| facts.someone(user).role.is_some()).cloned().collect()
}

fn whole_space<'a>(
    facts: &Facts<'a>,
    people: &BTreeSet<OwnedUserId>,
    overseers: &BTreeMap<OwnedUserId, i32>,
) -> Option<Wanted<'a>> {
    Some(Wanted {
        kind: facts.settings.kinds.get(SPACE)?,
        unit: None,
        name: facts.settings.name.clone(),
        alias: "campus".to_owned(),
        is_space: true,
        parent: None,
        members: with_a_role(facts, people),
        powers: overseers.clone(),
    })
}

/// The room of those who handle cases, wherever there are any.
fn moderation_room<'a>(
    facts: &Facts<'a>,
    people: &BTreeSet<OwnedUserId>,
    overseers: &BTreeMap<OwnedUserId, i32>,
) -> Option<Wanted<'a>> {
    let persons = facts.roster.persons().map(|(user, _)| user).filter(|user| people.contains(*user));
    let members: BTreeSet<_> = persons.filter(|user| facts.someone(user).watches()).map(ToOwned::to_owned).collect();
    let kind = facts.settings.kinds.get(MODERATION).filter(|_| !members.is_empty())?;
    Some(Wanted {
        kind,
        unit: None,
        name: "Moderation".to_owned(),
        alias: "moderation".to_owned(),
        is_space: false,
        parent: None,
        members,
        powers: overseers.clone(),
    })
}

/// The room in which those who teach a unit look at posts that wait, where any may have to.
fn approvals_room<'a>(
    facts: &Facts<'a>,
    (code, unit): (&'a str, &Unit),
    people: &BTreeSet<OwnedUserId>,
    overseers: &BTreeMap<OwnedUserId, i32>,
) -> Option<(String, Wanted<'a>)> {
    let kind = facts.settings.kinds.get(APPROVALS).filter(|_| facts.settings.looks_at(COURSE))?;
    let enrolled = facts.roster.enrolments_in(code).map(|one| one.user);
    let teachers = enrolled.filter(|user| people.contains(*user) && facts.teaches(user, code));
    let members: BTreeSet<_> = teachers.map(ToOwned::to_owned).collect();
    let wanted = Wanted {
        name: format!("{}: posts that wait", unit.name),
        alias: format!("{}-approvals", code.to_lowercase()),
        ..wanted(kind, code, unit, members, overseers.clone())
    };
    (!wanted.members.is_empty()).then(|| (approvals_key(code), wanted))
}

/// The room of those who support, where there is a desk.
fn support_room<'a>(
    facts: &Facts<'a>,
    people: &BTreeSet<OwnedUserId>,
    overseers: &BTreeMap<OwnedUserId, i32>,
) -> Option<Wanted<'a>> {
    let desk = facts.settings.desk.as_ref()?;
    let kind = facts.settings.kinds.get(SUPPORT_TEAM)?;
    let belongs = |user: &&OwnedUserId| {
        let someone = facts.someone(user);
        kind.members.has(&someone) && kind.admits.has(&someone)
    };
    Some(Wanted {
        kind,
        unit: None,
        name: desk.name.clone(),
        alias: "support-team".to_owned(),
        is_space: false,
        parent: None,
        members: people.iter().filter(belongs).cloned().collect(),
        powers: overseers.clone(),
    })
}

fn default_rooms<'a>(
    facts: &Facts<'a>,
    people: &BTreeSet<OwnedUserId>,
    overseers: &BTreeMap<OwnedUserId, i32>,
    top: &str,
) -> Vec<(String, Wanted<'a>)> {
    let room = |(alias, name, kind): (&str, &str, &str)| {
        let kind = facts.settings.kinds.get(kind)?;
        let belongs = |user: &UserId| {
            let someone = facts.someone(user);
            kind.members.has(&someone) && (kind.admits.has(&someone) || someone.watches())
        };
        let wanted = Wanted {
            kind,
            unit: None,
            name: name.to_owned(),
            alias: alias.to_owned(),
            is_space: false,
            parent: Some(top.to_owned()),
            members: people.iter().filter(|user| belongs(user)).cloned().collect(),
            powers: overseers.clone(),
        };
        Some((format!("default/{alias}"), wanted))
    };
    DEFAULT_ROOMS.into_iter().filter_map(room).collect()
}
