//! `/_lyceum/v1/enrolments`: who is enrolled where.

use axum::extract::State;
use lyceum_institution::{Change, Enrolled, Enrolment, EnrolmentView, Institution, Roster, Saying, Scope};
use lyceum_web::{ApiError, RawJson, body};
use ruma::{OwnedUserId, UserId};
use serde::Deserialize;
use serde_json::json;

use crate::{
    asked::{Asked, Raw, Why},
    pages::{Limit, page},
};

#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    user_id: Option<OwnedUserId>,
    unit: Option<String>,
    from: Option<String>,
    limit: Option<Limit>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    role: String,
    from_ms: Option<u64>,
    until_ms: Option<u64>,
    why: Option<String>,
}

/// `GET /_lyceum/v1/enrolments`: those in a unit, or of a person.
pub(crate) async fn list(State(institution): State<Institution>, asked: Asked<(), Wanted>) -> Raw {
    let caller = asked.program.with(Scope::EnrolmentsRead)?;
    let Wanted { user_id, unit, from, limit } = asked.query;
    let what = json!({ "user_id": user_id, "unit": unit, "from": from });
    caller.reads(&institution, "enrolment.list", None, what).await?;
    let (roster, limit, now_ms) = (institution.roster().await?, Limit::of(limit), institution.now_ms());
    let view = |one: Enrolled<'_>| EnrolmentView::of(&one, now_ms);
    let after = |place: &str| from.as_deref().is_none_or(|from| place > from);
    match (&unit, &user_id) {
        (Some(unit), user) => {
            let wanted = |one: &Enrolled<'_>| user.as_deref().is_none_or(|user| user == one.user);
            let found = roster.enrolments_in(unit).filter(|one| after(one.user.as_str()) && wanted(one));
            page("enrolments", found.map(view), limit, |one| one.user_id.to_string())
        }
        (None, Some(user)) => {
            let found = roster.enrolments_of(user).filter(|one| after(one.unit));
            page("enrolments", found.map(view), limit, |one| one.unit.clone())
        }
        (None, None) => Err(ApiError::missing_param("unit or user_id is required")),
    }
}

/// `GET /_lyceum/v1/enrolments/{unit}/{userId}`
pub(crate) async fn get(State(institution): State<Institution>, asked: Asked<(String, OwnedUserId)>) -> Raw {
    let caller = asked.program.with(Scope::EnrolmentsRead)?;
    let (unit, user) = asked.path;
    caller.reads(&institution, "enrolment.read", Some(&format!("{user} in {unit}")), json!({})).await?;
    let roster = institution.roster().await?;
    if roster.said_of_enrolment(&user, &unit).next().is_none() {
        return Err(ApiError::not_found(format!("Nobody says that {user} is enrolled in {unit}")));
    }
    show((&institution, &roster), &unit, &user)
}

/// `PUT /_lyceum/v1/enrolments/{unit}/{userId}`
pub(crate) async fn put(State(institution): State<Institution>, asked: Asked<(String, OwnedUserId)>) -> Raw {
    let caller = asked.program.with(Scope::EnrolmentsWrite)?;
    let ((unit, user), Said { role, from_ms, until_ms, why }) = (asked.path, body::json(&asked.body)?);
    let enrolment = Some(Enrolment { role, from_ms, until_ms });
    let change = Change::Enrolment { user: user.clone(), unit: unit.clone(), enrolment };
    caller.says(&institution, change, why.as_deref()).await?;
    show((&institution, &*institution.roster().await?), &unit, &user)
}

/// `DELETE /_lyceum/v1/enrolments/{unit}/{userId}`
pub(crate) async fn delete(State(institution): State<Institution>, asked: Asked<(String, OwnedUserId), Why>) -> Raw {
    let caller = asked.program.with(Scope::EnrolmentsWrite)?;
    let (unit, user) = asked.path;
    let change = Change::Enrolment { user: user.clone(), unit: unit.clone(), enrolment: None };
    caller.says(&institution, change, asked.query.why.as_deref()).await?;
    show((&institution, &*institution.roster().await?), &unit, &user)
}

/// What is, and what each source says.
fn show((institution, roster): (&Institution, &Roster), unit: &str, user: &UserId) -> Raw {
    let mut found = roster.enrolments_of(user).filter(|one| one.unit == unit);
    let enrolment = found.next().map(|one| EnrolmentView::of(&one, institution.now_ms()));
    RawJson::of(&json!({ "enrolment": enrolment, "said": Saying::all(roster.said_of_enrolment(user, unit)) }))
}
