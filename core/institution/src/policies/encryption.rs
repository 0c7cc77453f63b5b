//! Whether messages are encrypted is a matter of the room's kind.

use super::{Act, Answer, Facts, one};
use crate::{Someone, kinds::Encryption};

const RULE: &str = "encryption";

/// The event that turns encryption on, and encrypted messages.
const TURNED_ON: &str = "m.room.encryption";
const ENCRYPTED: &str = "m.room.encrypted";

/// What says nothing by itself, and is never encrypted.
const PLAIN: [&str; 2] = ["m.reaction", "m.room.redaction"];

pub(super) fn judge(_: &Someone<'_>, act: &Act<'_>, _: &Facts<'_>) -> Answer {
    let place = act.place().filter(|place| place.is_ours)?;
    let refused = match (place.kind.encryption, act) {
        (Encryption::Forbidden, Act::Create { place, .. }) => place.is_encrypted,
        (Encryption::Forbidden, Act::Set { kind, .. }) => *kind == TURNED_ON,
        (Encryption::Forbidden, Act::Say { kind, .. }) => *kind == ENCRYPTED,
        (Encryption::Required, Act::Say { kind, .. }) => *kind != ENCRYPTED && !PLAIN.contains(kind),
        _ => false,
    };
    let title = one(&place.kind.title);
    refused.then(|| match place.kind.encryption {
        Encryption::Required => (RULE, format!("What is said in {title} has to be encrypted")),
        _ => (
            RULE,
            format!("Messages in {title} are not encrypted here: the institution answers for what is said in it"),
        ),
    })
}
