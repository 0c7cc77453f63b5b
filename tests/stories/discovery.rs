//! What anybody may ask of a server before signing in.

use crate::support::Campus;

#[tokio::test]
async fn a_server_tells_what_it_speaks_and_how_it_is() {
    let campus = Campus::of(["alpha.example"]).await;
    let stranger = campus.host("alpha.example").stranger();

    let versions = stranger.get("/_matrix/client/versions").await.ok();
    assert!(versions["versions"].as_array().is_some_and(|versions| versions.iter().any(|v| v == "v1.11")));
    stranger.get("/_matrix/client/v3/no/such/thing").await.refused(404, "M_UNRECOGNIZED");
    assert_eq!(stranger.get("/health").await.status, 200);
    assert_eq!(stranger.get("/ready").await.status, 200);
}
