//! `/_lyceum/v1/audit`: the chain of privileged acts, row by row as it was signed, and whether it is whole.

use axum::extract::State;
use lyceum_institution::{Institution, Scope};
use lyceum_web::{ApiError, RawJson};
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use crate::{
    asked::{Asked, Raw},
    pages::Limit,
};

#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    from: u64,
    limit: Option<Limit>,
}

/// `GET /_lyceum/v1/audit`
pub(crate) async fn list(State(institution): State<Institution>, asked: Asked<(), Wanted>) -> Raw {
    let caller = asked.program.with(Scope::AuditRead)?;
    let Wanted { from, limit } = asked.query;
    caller.reads(&institution, "audit.read", None, json!({ "from": from })).await?;
    let limit = Limit::of(limit);
    let rows = institution.audit().rows(from, limit).await?;
    let next = rows.last().filter(|_| rows.len() >= limit).map(|(number, _)| number.to_string());
    // Not read and written anew: what was signed is the text.
    let rows = rows.into_iter().map(|(_, line)| RawValue::from_string(line));
    let rows = rows.collect::<Result<Vec<_>, _>>().map_err(|error| ApiError::internal(&error))?;
    listing_of_texts(&rows, next)
}

/// A page of rows whose bytes stay as they are.
fn listing_of_texts(rows: &[Box<RawValue>], next: Option<String>) -> Raw {
    #[derive(serde::Serialize)]
    struct Page<'a> {
        rows: &'a [Box<RawValue>],
        #[serde(skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    }
    RawJson::of(&Page { rows, next })
}

/// `GET /_lyceum/v1/audit/verify`
pub(crate) async fn verify(State(institution): State<Institution>, asked: Asked<()>) -> Raw {
    let caller = asked.program.with(Scope::AuditRead)?;
    caller.reads(&institution, "audit.verify", None, json!({})).await?;
    let found = institution.audit().verify().await?;
    RawJson::of(&json!({
        "rows": found.rows, "last": found.last, "hash": found.hash, "wrong": found.wrong, "findings": found.findings,
    }))
}
