//! `/_lyceum/v1/people`: what people are.

use axum::extract::State;
use lyceum_institution::{Change, Institution, Person, PersonView, Roster, Saying, Scope};
use lyceum_web::{RawJson, body};
use ruma::{OwnedUserId, UserId};
use serde::Deserialize;
use serde_json::json;

use crate::{
    asked::{Asked, Raw, Why},
    pages::{Limit, page},
};

#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    role: Option<String>,
    from: Option<OwnedUserId>,
    limit: Option<Limit>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    role: String,
    why: Option<String>,
}

/// `GET /_lyceum/v1/people`
pub(crate) async fn list(State(institution): State<Institution>, asked: Asked<(), Wanted>) -> Raw {
    let caller = asked.program.with(Scope::PeopleRead)?;
    let Wanted { role, from, limit } = asked.query;
    caller.reads(&institution, "person.list", None, json!({ "role": role, "from": from })).await?;
    let roster = institution.roster().await?;
    let people = roster.persons().filter(|(user, told)| {
        from.as_deref().is_none_or(|from| *user > from) && role.as_ref().is_none_or(|role| told.value.role == *role)
    });
    let people = people.map(|(user, told)| PersonView::of(user, Some(told)));
    page("people", people, Limit::of(limit), |person| person.user_id.to_string())
}

/// `GET /_lyceum/v1/people/{userId}`
pub(crate) async fn get(State(institution): State<Institution>, asked: Asked<(OwnedUserId,)>) -> Raw {
    let caller = asked.program.with(Scope::PeopleRead)?;
    let (user,) = asked.path;
    caller.reads(&institution, "person.read", Some(user.as_str()), json!({})).await?;
    show(&*institution.roster().await?, &user)
}

/// `PUT /_lyceum/v1/people/{userId}`
pub(crate) async fn put(State(institution): State<Institution>, asked: Asked<(OwnedUserId,)>) -> Raw {
    let caller = asked.program.with(Scope::PeopleWrite)?;
    let ((user,), Said { role, why }) = (asked.path, body::json(&asked.body)?);
    let change = Change::Person { user: user.clone(), person: Some(Person { role }) };
    caller.says(&institution, change, why.as_deref()).await?;
    show(&*institution.roster().await?, &user)
}

/// `DELETE /_lyceum/v1/people/{userId}`
pub(crate) async fn delete(State(institution): State<Institution>, asked: Asked<(OwnedUserId,), Why>) -> Raw {
    let caller = asked.program.with(Scope::PeopleWrite)?;
    let (user,) = asked.path;
    let change = Change::Person { user: user.clone(), person: None };
    caller.says(&institution, change, asked.query.why.as_deref()).await?;
    show(&*institution.roster().await?, &user)
}

/// What is, and what each source says.
fn show(roster: &Roster, user: &UserId) -> Raw {
    let person = PersonView::of(user, roster.person(user));
    RawJson::of(&json!({ "person": person, "said": Saying::all(roster.said_of_person(user)) }))
}
