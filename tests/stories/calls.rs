//! What clients are told for calls.

use serde_json::json;

use crate::support::Campus;

const TURN: &str = "/_matrix/client/v3/voip/turnServer";
const TRANSPORTS: &str = "/_matrix/client/unstable/org.matrix.msc4143/rtc/transports";

#[tokio::test]
async fn a_campus_with_relays_tells_where_they_are() {
    let settings = "[calls]\nturn_uris = [\"turn:turn.example:3478\"]\nturn_secret = \"shared\"\n\
                    livekit_service_urls = [\"https://livekit.example/\"]\n\
                    [well_known]\nclient_base_url = \"https://alpha.example\"";
    let campus = Campus::with(["alpha.example"], settings).await;
    let (alice, bob) = (campus.person("alice").await, campus.person("bob").await);
    let told = alice.get(TURN).await.ok();
    assert_eq!((&told["uris"], &told["ttl"]), (&json!(["turn:turn.example:3478"]), &json!(86_400)));
    assert_eq!(told["username"], "1793692800:@alice:alpha.example", "good until a day from now");
    assert_ne!(told["password"], bob.get(TURN).await.ok()["password"], "everybody has a password of their own");
    assert_eq!(alice.get("/_matrix/client/r0/voip/turnServer").await.ok(), told);

    let foci = json!([{ "type": "livekit", "livekit_service_url": "https://livekit.example" }]);
    assert_eq!(alice.get(TRANSPORTS).await.ok(), json!({ "rtc_transports": foci }));
    let well_known = alice.get("/.well-known/matrix/client").await.ok();
    assert_eq!(well_known["org.matrix.msc4143.rtc_foci"], foci);
}

#[tokio::test]
async fn a_campus_without_relays_says_so_and_strangers_are_told_nothing() {
    let campus = Campus::of(["alpha.example"]).await;
    let (alice, stranger) = (campus.person("alice").await, campus.host("alpha.example").stranger());
    assert_eq!(alice.get(TURN).await.ok(), json!({}));
    assert_eq!(alice.get(TRANSPORTS).await.ok(), json!({ "rtc_transports": [] }));
    for path in [TURN, TRANSPORTS] {
        stranger.get(path).await.refused(401, "M_MISSING_TOKEN");
    }
}
