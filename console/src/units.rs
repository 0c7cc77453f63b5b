//! `/_lyceum/v1/units`: the institution's parts.

use axum::extract::State;
use lyceum_institution::{Change, Institution, Roster, Saying, Scope, Unit, UnitKind, UnitView};
use lyceum_web::{ApiError, RawJson, body};
use serde::Deserialize;
use serde_json::json;

use crate::{
    asked::{Asked, Raw, Why},
    pages::{Limit, page},
};

#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    kind: Option<UnitKind>,
    parent: Option<String>,
    from: Option<String>,
    limit: Option<Limit>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    kind: UnitKind,
    name: String,
    parent: Option<String>,
    why: Option<String>,
}

/// `GET /_lyceum/v1/units`
pub(crate) async fn list(State(institution): State<Institution>, asked: Asked<(), Wanted>) -> Raw {
    let caller = asked.program.with(Scope::UnitsRead)?;
    let Wanted { kind, parent, from, limit } = asked.query;
    caller.reads(&institution, "unit.list", None, json!({ "kind": kind, "parent": parent, "from": from })).await?;
    let roster = institution.roster().await?;
    let units = roster.units().filter(|(code, told)| {
        from.as_deref().is_none_or(|from| *code > from)
            && kind.is_none_or(|kind| told.value.kind == kind)
            && parent.as_ref().is_none_or(|parent| told.value.parent.as_ref() == Some(parent))
    });
    page("units", units.map(|(code, told)| UnitView::of(code, told)), Limit::of(limit), |unit| unit.code.clone())
}

/// `GET /_lyceum/v1/units/{code}`
pub(crate) async fn get(State(institution): State<Institution>, asked: Asked<(String,)>) -> Raw {
    let caller = asked.program.with(Scope::UnitsRead)?;
    let (code,) = asked.path;
    caller.reads(&institution, "unit.read", Some(&code), json!({})).await?;
    let roster = institution.roster().await?;
    if roster.said_of_unit(&code).next().is_none() {
        return Err(ApiError::not_found(format!("There is no unit {code}")));
    }
    show(&roster, &code)
}

/// `PUT /_lyceum/v1/units/{code}`
pub(crate) async fn put(State(institution): State<Institution>, asked: Asked<(String,)>) -> Raw {
    let caller = asked.program.with(Scope::UnitsWrite)?;
    let ((code,), Said { kind, name, parent, why }) = (asked.path, body::json(&asked.body)?);
    let change = Change::Unit { code: code.clone(), unit: Some(Unit { kind, name, parent }) };
    caller.says(&institution, change, why.as_deref()).await?;
    show(&*institution.roster().await?, &code)
}

/// `DELETE /_lyceum/v1/units/{code}`
pub(crate) async fn delete(State(institution): State<Institution>, asked: Asked<(String,), Why>) -> Raw {
    let caller = asked.program.with(Scope::UnitsWrite)?;
    let (code,) = asked.path;
    caller.says(&institution, Change::Unit { code: code.clone(), unit: None }, asked.query.why.as_deref()).await?;
    show(&*institution.roster().await?, &code)
}

/// What is, and what each source says.
fn show(roster: &Roster, code: &str) -> Raw {
    let unit = roster.unit(code).map(|told| UnitView::of(code, told));
    RawJson::of(&json!({ "unit": unit, "said": Saying::all(roster.said_of_unit(code)) }))
}
