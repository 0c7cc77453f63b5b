//! The form in which clients see an event. All of it but `unsigned` is the same for everybody and made once; `unsigned`
//! is put on for the one who looks.

use lyceum_events::Event;
use ruma::{MilliSecondsSinceUnixEpoch, OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use crate::{Known, Membership};

/// An event in client form, but for `unsigned`.
#[derive(Serialize)]
struct Base<'a> {
    content: &'a RawValue,
    event_id: &'a str,
    origin_server_ts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    redacts: Option<&'a str>,
    room_id: &'a str,
    sender: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_key: Option<&'a str>,
    #[serde(rename = "type")]
    kind: &'a str,
}

pub(crate) fn base_of(event: &Event) -> Box<str> {
    let kind = event.kind().to_string();
    let content = with_redacts(event);
    let base = Base {
        content: content.as_deref().unwrap_or(event.content()),
        event_id: event.id().as_str(),
        origin_server_ts: event.ts().get().into(),
        // Clients of before room version 11 look for it here, later ones in the content: it is always in both.
        redacts: event.redacts().map(|id| id.as_str()),
        room_id: event.room().as_str(),
        sender: event.sender().as_str(),
        state_key: event.state_key(),
        kind: &kind,
    };
    // Plain strings and numbers always serialise.
    serde_json::to_string(&base).unwrap_or_default().into_boxed_str()
}

/// The content of a redaction, with what it redacts in it, if it lacks that.
fn with_redacts(event: &Event) -> Option<Box<RawValue>> {
    let mut content: Map<String, Value> = event.redacts().and_then(|_| event.content_as())?;
    if content.contains_key("redacts") {
        return None;
    }
    content.insert("redacts".to_owned(), event.redacts()?.as_str().into());
    serde_json::value::to_raw_value(&content).ok()
}

/// What is put on an event for the one who looks at it.
#[derive(Debug, Default, Serialize)]
pub struct Unsigned {
    /// How long ago it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<i64>,
    /// How the looker stood to the room then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub membership: Option<&'static str>,
    /// What relates to it, bundled.
    #[serde(rename = "m.relations", skip_serializing_if = "Option::is_none")]
    pub relations: Option<Box<RawValue>>,
    /// The content of the state event that it replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev_content: Option<Box<RawValue>>,
    /// Who sent the state event that it replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev_sender: Option<String>,
    /// The redaction's id, as clients and bridges made for Synapse read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redacted_by: Option<String>,
    /// The redaction, in client form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redacted_because: Option<Box<RawValue>>,
    /// The event that held this state before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces_state: Option<String>,
    /// The transaction id the looker's own device sent it with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<String>,
}

/// Who looks at an event, and when.
#[derive(Debug, Clone, Copy)]
pub struct Looker<'a> {
    /// The person.
    pub user: &'a UserId,
    /// The device, which is told its own transaction ids.
    pub device: Option<&'a str>,
    /// The time.
    pub now: MilliSecondsSinceUnixEpoch,
    /// Whether they want events whole, as servers exchange them (spec: `event_format` of filters).
    pub federated: bool,
}

impl Unsigned {
    /// What the event alone tells.
    pub fn of(known: &Known, looker: Looker<'_>, membership: Option<Membership>) -> Self {
        let own = known.event().sender() == looker.user;
        let transaction = known.transaction().filter(|(device, _)| own && looker.device == Some(device));
        Self {
            age: Some(i64::from(looker.now.get()) - i64::from(known.event().ts().get())),
            membership: membership.map(Membership::as_str),
            transaction_id: transaction.map(|(_, id)| id.to_owned()),
            ..Self::default()
        }
    }
}

impl Known {
    /// The event in the form that one who looks wants.
    pub fn form_for(&self, looker: Looker<'_>, unsigned: &Unsigned) -> Box<RawValue> {
        if looker.federated {
            with_unsigned(&federated_base(self.event()), unsigned)
        } else {
            self.client_form(unsigned)
        }
    }

    /// The event as a client is shown it.
    pub fn client_form(&self, unsigned: &Unsigned) -> Box<RawValue> {
        with_unsigned(self.client_base(), unsigned)
    }

    /// The event in stripped form: what somebody outside the room may be shown of its state.
    pub fn stripped_form(&self) -> Box<RawValue> {
        stripped_form(self.event())
    }
}

/// An object with `unsigned` put on.
fn with_unsigned(base: &str, unsigned: &Unsigned) -> Box<RawValue> {
    let unsigned = serde_json::to_string(unsigned).unwrap_or_default();
    let mut json = String::with_capacity(base.len() + unsigned.len() + 14);
    if !unsigned.is_empty() && unsigned != "{}" {
        json.push_str(&base[..base.len() - 1]);
        json.push_str(",\"unsigned\":");
        json.push_str(&unsigned);
        json.push('}');
    } else {
        json.push_str(base);
    }
    RawValue::from_string(json).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// The event as servers exchange it, with the ids that its form may leave out.
fn federated_base(event: &Event) -> String {
    let mut whole = event.object().clone();
    whole.remove("unsigned");
    whole.insert("event_id".to_owned(), event.id().as_str().into());
    whole.insert("room_id".to_owned(), event.room().as_str().into());
    serde_json::to_string(&whole).unwrap_or_default()
}

/// An event in stripped form.
pub fn stripped_form(event: &Event) -> Box<RawValue> {
    #[derive(Serialize)]
    struct Stripped<'a> {
        content: &'a RawValue,
        sender: &'a str,
        state_key: &'a str,
        #[serde(rename = "type")]
        kind: &'a str,
    }
    let kind = event.kind().to_string();
    let stripped = Stripped {
        content: event.content(),
        sender: event.sender().as_str(),
        state_key: event.state_key().unwrap_or_default(),
        kind: &kind,
    };
    serde_json::value::to_raw_value(&stripped).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// What another server told of a room's state, in stripped form; `None` if it is no state. Servers send whole events, those
/// of before v1.16 of the specification stripped ones.
pub(crate) fn stripped_of(told: &str) -> Option<String> {
    #[derive(Deserialize, Serialize)]
    struct Stripped {
        content: Map<String, Value>,
        sender: OwnedUserId,
        state_key: String,
        #[serde(rename = "type")]
        kind: String,
    }
    serde_json::to_string(&serde_json::from_str::<Stripped>(told).ok()?).ok()
}
