//! What the specification says about endpoints by their path, so that a route need not say it again: which rate limit
//! counts, where guests may go, what stays open to a locked account.

use http::Method;

use crate::facts::Family;

/// The rate limit that counts for an endpoint. `limited`: the specification says that it has one.
pub(crate) fn family(method: &Method, path: &str, limited: bool) -> Option<Family> {
    let writes = method != Method::GET;
    let has = |part: &str| path.contains(part);
    if path.starts_with("/_matrix/federation/") || path.starts_with("/_matrix/key/") {
        Some(Family::Federation)
    } else if has("/media/") {
        Some(Family::Media)
    } else if writes && (has("/login") || has("/refresh") || path.ends_with("/account/password")) {
        Some(Family::Login)
    } else if has("/register") || has("/requestToken") {
        Some(Family::Registration)
    } else if writes && has("/invite") {
        Some(Family::Invite)
    } else if writes && (has("/join") || has("/knock")) {
        Some(Family::Join)
    } else if has("/keys/") || has("/sendToDevice/") || has("/room_keys/") {
        Some(Family::Keys)
    } else if writes && SENDING.iter().any(|part| has(part)) {
        Some(Family::Send)
    } else {
        limited.then_some(Family::Other)
    }
}

/// Parts of the paths that put events into rooms.
const SENDING: &[&str] = &[
    "/send/",
    "/state/",
    "/redact/",
    "/createRoom",
    "/upgrade",
    "/leave",
    "/kick",
    "/ban",
    "/unban",
    "/delayed_event",
];

/// Whether a guest may call an endpoint (spec, "Guest access").
pub(crate) fn open_to_guests(method: &Method, path: &str) -> bool {
    let Some((_, endpoint)) = path.strip_prefix("/_matrix/client/").and_then(|rest| rest.split_once('/')) else {
        return false;
    };
    GUESTS.iter().any(|(allowed, pattern)| *allowed == method.as_str() && same_shape(pattern, endpoint))
}

/// Whether a locked account may call an endpoint (spec, "Account locking").
pub(crate) fn open_to_locked(path: &str) -> bool {
    path.ends_with("/logout") || path.ends_with("/logout/all")
}

const GUESTS: &[(&str, &str)] = &[
    ("GET", "rooms/{}/state"),
    ("GET", "rooms/{}/state/{}"),
    ("GET", "rooms/{}/state/{}/"),
    ("GET", "rooms/{}/state/{}/{}"),
    ("GET", "rooms/{}/context/{}"),
    ("GET", "rooms/{}/event/{}"),
    ("GET", "rooms/{}/messages"),
    ("GET", "rooms/{}/members"),
    ("GET", "rooms/{}/initialSync"),
    ("GET", "sync"),
    ("GET", "events"),
    ("GET", "media/download/{}/{}"),
    ("GET", "media/download/{}/{}/{}"),
    ("GET", "media/thumbnail/{}/{}"),
    ("POST", "rooms/{}/join"),
    ("POST", "rooms/{}/leave"),
    ("PUT", "rooms/{}/send/{}/{}"),
    ("PUT", "rooms/{}/state/{}"),
    ("PUT", "rooms/{}/state/{}/"),
    ("PUT", "rooms/{}/state/{}/{}"),
    ("PUT", "sendToDevice/{}/{}"),
    ("PUT", "profile/{}/displayname"),
    ("DELETE", "profile/{}/displayname"),
    ("GET", "devices"),
    ("GET", "devices/{}"),
    ("PUT", "devices/{}"),
    ("GET", "account/whoami"),
    ("POST", "keys/upload"),
    ("POST", "keys/query"),
    ("POST", "keys/claim"),
    // Not in the list, yet a guest client cannot do without: joining by alias, and leaving the server again.
    ("POST", "join/{}"),
    ("POST", "logout"),
    ("POST", "logout/all"),
];

fn same_shape(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some("{}"), Some(segment)) if segment.starts_with('{') => {}
            (Some(a), Some(b)) if a == b => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_fall_into_their_families() {
        let family = |method: Method, path| family(&method, path, false);
        assert_eq!(family(Method::POST, "/_matrix/client/v3/login"), Some(Family::Login));
        assert_eq!(family(Method::GET, "/_matrix/client/v3/login"), None);
        assert_eq!(family(Method::PUT, "/_matrix/client/v3/rooms/{room_id}/send/{t}/{txn}"), Some(Family::Send));
        assert_eq!(family(Method::GET, "/_matrix/client/v3/rooms/{room_id}/state/{t}/{k}"), None);
        assert_eq!(family(Method::POST, "/_matrix/client/v3/rooms/{room_id}/invite"), Some(Family::Invite));
        assert_eq!(family(Method::POST, "/_matrix/client/v3/join/{room}"), Some(Family::Join));
        assert_eq!(family(Method::PUT, "/_matrix/federation/v2/invite/{room}/{event}"), Some(Family::Federation));
        assert_eq!(family(Method::GET, "/_matrix/client/v1/media/download/{s}/{m}"), Some(Family::Media));
        assert_eq!(family(Method::GET, "/_matrix/client/v3/sync"), None);
    }

    #[test]
    fn guests_go_where_the_specification_lets_them() {
        assert!(open_to_guests(&Method::GET, "/_matrix/client/r0/sync"));
        assert!(open_to_guests(&Method::PUT, "/_matrix/client/v3/rooms/{room_id}/send/{event_type}/{txn_id}"));
        assert!(!open_to_guests(&Method::POST, "/_matrix/client/v3/createRoom"));
        assert!(!open_to_guests(&Method::PUT, "/_matrix/client/v3/profile/{user_id}/avatar_url"));
        assert!(!open_to_guests(&Method::GET, "/_matrix/federation/v1/event/{event_id}"));
    }
}
