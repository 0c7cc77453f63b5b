//! `PUT /_matrix/federation/v1/send/{txnId}`: what other servers have to tell, in transactions
//! ([spec](https://spec.matrix.org/v1.19/server-server-api/#transactions)).

use axum::extract::State;
use lyceum_web::{ApiError, FromServerRaw, RawJson, body};

use crate::intake::{Intake, Transaction};

/// Spec: "A list of PDUs in the transaction. Must not include more than 50 PDUs."
const PDUS_MAX: usize = 50;
/// Spec: "Must not include more than 100 EDUs."
const EDUS_MAX: usize = 100;

pub(crate) async fn send_transaction_message(
    State(intake): State<Intake>,
    FromServerRaw { origin, path: (id,), body, .. }: FromServerRaw<(String,)>,
) -> Result<RawJson, ApiError> {
    let transaction: Transaction = body::json(&body)?;
    if transaction.origin.as_ref().is_some_and(|named| *named != origin) {
        return Err(ApiError::invalid_param("The transaction names another origin than the one that signed it"));
    }
    if transaction.pdus.len() > PDUS_MAX || transaction.edus.len() > EDUS_MAX {
        let message = format!("A transaction holds at most {PDUS_MAX} PDUs and {EDUS_MAX} EDUs");
        return Err(ApiError::invalid_param(message));
    }
    intake.take(origin, id, transaction).await.map(RawJson)
}
