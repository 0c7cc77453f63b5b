//! The errors that the specification names, operation by operation, as far as no story of their own family meets them.
//! `errors/named.txt` is what it names, `errors/excused.txt` what cannot happen here; `tidy/errors.rs` holds them together.

mod addresses;
mod backup;
mod limits;
mod people;
mod reading;
mod rooms;
mod signing_in;

use http::Method;
use serde_json::Value;

use crate::support::{Person, encoded, person::Answer};

const CLIENT: &str = "/_matrix/client/v3";

fn room_path(room: &str, rest: &str) -> String {
    format!("{CLIENT}/rooms/{}/{rest}", encoded(room))
}

/// Sends what is no JSON.
async fn garbles(person: &Person, method: Method, path: &str) -> Answer {
    person.ask_bytes(method, path, "application/json", b"{".to_vec()).await
}

/// Takes no invites any more (spec, "Invite permission").
async fn blocks_invites(person: &Person) {
    let path = format!("{CLIENT}/user/{}/account_data/m.invite_permission_config", encoded(&person.id));
    person.put(&path, serde_json::json!({ "default_action": "block" })).await.ok();
}

/// A text in an answer.
fn text<'a>(answer: &'a Value, field: &str) -> &'a str {
    answer[field].as_str().unwrap_or_else(|| panic!("{answer} should hold {field}"))
}
