//! `/_matrix/client/versions`: what the server speaks.

use lyceum_web::{Answer, Public, Ruma};
use ruma::api::client::discovery::get_supported_versions;

/// The versions of the specification that are served.
const VERSIONS: &[&str] = &[
    "r0.0.1", "r0.1.0", "r0.2.0", "r0.3.0", "r0.4.0", "r0.5.0", "r0.6.0", "r0.6.1", "v1.1", "v1.2", "v1.3", "v1.4",
    "v1.5", "v1.6", "v1.7", "v1.8", "v1.9", "v1.10", "v1.11", "v1.12", "v1.13", "v1.14", "v1.15", "v1.16", "v1.17",
    "v1.18", "v1.19",
];

/// Features that clients look up by name although they are stable by now, and proposals that are served.
const UNSTABLE_FEATURES: &[&str] = &[
    // Cross-signing.
    "org.matrix.e2e_cross_signing",
    // Private read receipts.
    "org.matrix.msc2285.stable",
    // Threads, and unread counts for them.
    "org.matrix.msc3440.stable",
    "org.matrix.msc3771",
    "org.matrix.msc3773",
    // Filtering the room directory by type.
    "org.matrix.msc3827.stable",
    // Relations, recursively.
    "org.matrix.msc3981",
    // Events by how they relate to others.
    "org.matrix.msc3874",
    // Events by date.
    "org.matrix.msc3030",
    // Simplified sliding sync, state after the timeline in sync.
    "org.matrix.simplified_msc3575",
    "org.matrix.msc4222",
    // Following threads.
    "org.matrix.msc4306",
    "org.matrix.msc4308",
    // Delayed events, transports for calls.
    "org.matrix.msc4140",
    "org.matrix.msc4143",
    // Pushers that can be switched off, and that count by themselves.
    "org.matrix.msc3881",
    "org.matrix.msc4076",
    // Invites that are kept away by account data, one by one and all of them.
    "org.matrix.msc4155",
    "org.matrix.msc4380.stable",
    // Account data that are deleted, redactions through `/send`.
    "org.matrix.msc3391",
    "com.beeper.msc4169",
    // Fields of profiles, at their unstable path and at the stable one.
    "uk.tcpip.msc4133",
    "uk.tcpip.msc4133.stable",
    // Rooms shared with somebody: the name that clients look for, and the one since.
    "uk.half-shot.msc2666.query_mutual_rooms",
    "uk.half-shot.msc2666.query_mutual_rooms.stable",
    // Pinging application services.
    "fi.mau.msc2659.stable",
];

/// `GET /_matrix/client/versions`. The same for everybody, with or without a token.
pub(crate) async fn get_supported_versions(
    _: Public<get_supported_versions::Request>,
) -> Answer<get_supported_versions::Response> {
    let versions = VERSIONS.iter().map(|&version| version.to_owned()).collect();
    let mut response = get_supported_versions::Response::new(versions);
    response.unstable_features = UNSTABLE_FEATURES.iter().map(|&feature| (feature.to_owned(), true)).collect();
    Ok(Ruma(response))
}
