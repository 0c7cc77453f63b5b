//! Whom rooms of a kind admit: a student never enters a staff room, invited or not.

use super::{Act, Answer, Facts, Place, one, one_capital};
use crate::Someone;

const RULE: &str = "entry";

pub(super) fn judge(who: &Someone<'_>, act: &Act<'_>, facts: &Facts<'_>) -> Answer {
    match act {
        Act::Join(place) | Act::Knock(place) | Act::See(place) => refuse(who, place),
        // Somebody who was in the room before the rule was says nothing there either; and whoever was let in by a server
        // that does not know the rule.
        Act::Say { place, .. } | Act::Set { place, .. } if place.is_ours => refuse(who, place),
        // Whom of their own people other servers let into their rooms is their matter.
        Act::Invite { place, whom } if !place.is_ours && whom.server_name() != facts.server => None,
        Act::Invite { place, whom } => refuse(&facts.someone(whom), place),
        Act::Create { place, invitees } => invitees.iter().find_map(|invitee| refuse(&facts.someone(invitee), place)),
        _ => None,
    }
}

fn refuse(who: &Someone<'_>, place: &Place<'_>) -> Answer {
    let admitted = who.watches() || place.kind.admits.has(who);
    (!admitted).then(|| (RULE, format!("{} cannot be in {}", one_capital(who.title()), one(&place.kind.title))))
}
