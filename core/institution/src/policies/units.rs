//! A unit's rooms are for the people of the unit, and for the staff.

use super::{Act, Answer, Facts, Place};
use crate::Someone;

const RULE: &str = "units";

pub(super) fn judge(who: &Someone<'_>, act: &Act<'_>, facts: &Facts<'_>) -> Answer {
    let refuse = |who: &Someone<'_>, place: &Place<'_>| {
        let unit = place.unit.filter(|_| place.is_ours)?;
        let may = who.is_staff() || who.watches() || facts.roster.belongs(who.user, unit, facts.now_ms);
        (!may).then(|| {
            let name = facts.roster.unit(unit).map_or(unit, |told| &told.value.name);
            (RULE, format!("This room is for the people of {name}"))
        })
    };
    match act {
        Act::Join(place) | Act::Knock(place) | Act::See(place) => refuse(who, place),
        Act::Invite { place, whom } => refuse(&facts.someone(whom), place),
        Act::Create { place, invitees } => invitees.iter().find_map(|invitee| refuse(&facts.someone(invitee), place)),
        _ => None,
    }
}
