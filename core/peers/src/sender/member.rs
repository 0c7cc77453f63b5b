//! What membership events mean for who is told of them. Pure.

use lyceum_events::Event;
use ruma::{
    ServerName, UserId,
    events::{TimelineEventType, room::member::MembershipState},
};
use serde::{Deserialize, de::IgnoredAny};

#[derive(Deserialize)]
struct Membership {
    membership: MembershipState,
    third_party_invite: Option<IgnoredAny>,
}

/// Whose membership an event sets, and to what.
pub(super) fn membership(event: &Event) -> Option<(&UserId, MembershipState)> {
    if *event.kind() != TimelineEventType::RoomMember {
        return None;
    }
    let user = <&UserId>::try_from(event.state_key()?).ok()?;
    Some((user, event.content_as::<Membership>()?.membership))
}

fn is_signed_by(event: &Event, server: &ServerName) -> bool {
    let signatures = event.object().remove("signatures");
    signatures.is_some_and(|all| all.as_object().is_some_and(|all| all.contains_key(server.as_str())))
}

/// Whether an event is the invite that somebody of this server claimed in the name of whoever left it: the sender's server
/// has not seen it, and who else is in the room hears of it from here.
pub(super) fn is_claimed_here(event: &Event, myself: &ServerName) -> bool {
    let by_address = || event.content_as::<Membership>().is_some_and(|content| content.third_party_invite.is_some());
    membership(event).is_some_and(|(_, membership)| membership == MembershipState::Invite)
        && by_address()
        && is_signed_by(event, myself)
        && !is_signed_by(event, event.sender().server_name())
}

/// The person of another server who came in by an event, if one did.
pub(super) fn newcomer<'a>(event: &'a Event, myself: &ServerName) -> Option<&'a UserId> {
    let (user, membership) = membership(event)?;
    (membership == MembershipState::Join && user.server_name() != myself).then_some(user)
}

/// Whether an event is a join, leave or knock that this server let in (`send_join` and its likes) and signed as its own
/// door. An invite bears the signature of the invited person's server, too, but its sender's server tells others.
pub(super) fn is_passed_on(event: &Event, myself: &ServerName) -> bool {
    let passed_on = [MembershipState::Join, MembershipState::Leave, MembershipState::Knock];
    membership(event).is_some_and(|(_, membership)| passed_on.contains(&membership)) && is_signed_by(event, myself)
}

/// Whether an event takes somebody of that server out of the room who did not go by themselves: it is told even to a server
/// that is no longer in.
pub(super) fn is_sent_away(event: &Event, server: &ServerName) -> bool {
    let away = [MembershipState::Leave, MembershipState::Ban];
    event.sender().server_name() != server
        && membership(event)
            .is_some_and(|(user, membership)| user.server_name() == server && away.contains(&membership))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lyceum_events::{Draft, Placing, ServerKey, build};
    use ruma::{
        CanonicalJsonObject, MilliSecondsSinceUnixEpoch, OwnedServerName, room_id,
        room_version_rules::RoomVersionRules, server_name, uint,
    };

    /// A membership event of a person, sent by another, signed by the sender's server and perhaps by alpha.
    fn member(sender: &str, user: &str, membership: &str, by_alpha: bool) -> Event {
        let key = |name: &str| {
            let server = OwnedServerName::try_from(name).expect("a name");
            ServerKey::from_seed(server, &[1; 32], "a").expect("a key")
        };
        let rules = RoomVersionRules::V11;
        let sender = <&UserId>::try_from(sender).expect("a user");
        let placing = Placing {
            room_id: Some(room_id!("!r:alpha")),
            sender,
            ts: MilliSecondsSinceUnixEpoch(uint!(1)),
            prev_events: vec![],
            auth_events: vec![],
            depth: 1,
            local_id: "x",
        };
        let content = CanonicalJsonObject::from([("membership".to_owned(), membership.to_owned().into())]);
        let draft = Draft::state("m.room.member", user, content);
        let mut object = build(draft, &placing, &rules, &key(sender.server_name().as_str())).expect("built").object();
        if by_alpha {
            key("alpha").sign_event(&mut object, &rules).expect("signed");
        }
        Event::from_object(&object, &rules).expect("an event")
    }

    #[test]
    fn what_came_in_by_this_servers_door_is_passed_on() {
        let alpha = server_name!("alpha");
        assert!(is_passed_on(&member("@b:beta", "@b:beta", "join", true), alpha));
        assert!(is_passed_on(&member("@b:beta", "@b:beta", "leave", true), alpha));
        assert!(!is_passed_on(&member("@b:beta", "@b:beta", "join", false), alpha));
        assert!(!is_passed_on(&member("@b:beta", "@a:alpha", "invite", true), alpha));
    }

    #[test]
    fn who_is_sent_away_hears_of_it() {
        let beta = server_name!("beta");
        assert!(is_sent_away(&member("@a:alpha", "@b:beta", "ban", false), beta));
        assert!(is_sent_away(&member("@a:alpha", "@b:beta", "leave", false), beta));
        assert!(!is_sent_away(&member("@b:beta", "@b:beta", "leave", true), beta), "who goes knows it");
        assert!(!is_sent_away(&member("@a:alpha", "@c:gamma", "leave", false), beta));
        assert!(!is_sent_away(&member("@a:alpha", "@b:beta", "invite", false), beta));
    }

    #[test]
    fn newcomers_are_people_of_other_servers_who_come_in() {
        let alpha = server_name!("alpha");
        assert!(newcomer(&member("@b:beta", "@b:beta", "join", false), alpha).is_some());
        assert!(newcomer(&member("@a:alpha", "@a:alpha", "join", false), alpha).is_none());
        assert!(newcomer(&member("@b:beta", "@b:beta", "leave", false), alpha).is_none());
    }
}
