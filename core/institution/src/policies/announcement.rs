//! In some rooms only some people say something; the others read and react.

use super::{Act, Answer, Facts, one};
use crate::Someone;

const RULE: &str = "announcement";

/// What everybody may send: answers to what is there, and taking back what is one's own.
const FREE: [&str; 2] = ["m.reaction", "m.room.redaction"];

pub(super) fn judge(who: &Someone<'_>, act: &Act<'_>, _: &Facts<'_>) -> Answer {
    let (Act::Say { place, kind } | Act::Set { place, kind }) = act else { return None };
    let free = matches!(act, Act::Say { .. }) && FREE.contains(kind);
    let refused = place.is_ours && !free && !place.kind.posts.has(who);
    refused.then(|| (RULE, format!("In {} you can read and react, and not write", one(&place.kind.title))))
}
