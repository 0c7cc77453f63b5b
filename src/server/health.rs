//! For whoever watches the server: `/health` says that the process answers, `/ready` that it can read its store.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http::StatusCode;
use lyceum_accounts::Accounts;
use lyceum_storage::Store;

/// A store that takes longer than this to answer one read is not ready.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn routes(store: Store, accounts: Accounts) -> Router {
    Router::new().route("/health", get(async || "ok\n")).route("/ready", get(ready)).with_state((store, accounts))
}

async fn ready(State((store, accounts)): State<(Store, Accounts)>) -> (StatusCode, &'static str) {
    let failed = async { store.failed().await };
    tokio::select! {
        biased;
        _ = failed => (StatusCode::SERVICE_UNAVAILABLE, "the store has failed\n"),
        read = tokio::time::timeout(READ_TIMEOUT, accounts.users(None, 1)) => match read {
            Ok(Ok(_)) => (StatusCode::OK, "ready\n"),
            Ok(Err(_)) => (StatusCode::SERVICE_UNAVAILABLE, "the store cannot be read\n"),
            Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n"),
        },
    }
}
