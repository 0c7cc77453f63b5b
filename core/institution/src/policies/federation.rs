//! Rooms of some kinds are this server's own: nobody of another server is in them.

use ruma::UserId;

use super::{Act, Answer, Facts, one};
use crate::Someone;

const RULE: &str = "federation";

pub(super) fn judge(who: &Someone<'_>, act: &Act<'_>, facts: &Facts<'_>) -> Answer {
    let place = act.place().filter(|place| place.is_ours && !place.kind.federates)?;
    let is_other = |user: &UserId| user.server_name() != facts.server;
    let refused = match act {
        Act::Create { invitees, .. } => invitees.iter().any(|user| is_other(user)),
        Act::Invite { whom, .. } => is_other(whom) || is_other(who.user),
        _ => is_other(who.user),
    };
    refused.then(|| (RULE, format!("People of other servers cannot be in {}", one(&place.kind.title))))
}
