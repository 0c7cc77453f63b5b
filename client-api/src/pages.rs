//! The pages that clients open in a browser when they cannot do a step themselves: one stage of interactive
//! authentication, and signing in. Plain files without anything put in, so that nothing can be smuggled in either.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};
use lyceum_accounts::{AccountError, Accounts, InteractiveAuth};
use lyceum_web::{ApiError, PublicRaw, body};
use serde::Deserialize;
use serde_json::json;

use crate::answers::{Raw, empty};

/// A page: the head that all share, then its own parts in order.
macro_rules! page {
    ($($part:literal),+) => { concat!(include_str!("pages/head.html"), $(include_str!($part)),+) };
}

const LOGIN: &str = page!("pages/login.html");
const DUMMY: &str = page!("pages/dummy.html", "pages/stage.html");
const TOKEN: &str = page!("pages/registration_token.html", "pages/stage.html");
const PASSWORD: &str = page!("pages/password.html", "pages/stage.html");

/// The pages load nothing from anywhere and talk to this server alone.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; \
     form-action 'none'",
);

#[derive(Deserialize)]
pub(crate) struct Session {
    session: String,
}

/// `GET /_matrix/static/client/login/`
pub(crate) async fn login(_: PublicRaw<()>) -> Response {
    page(LOGIN)
}

/// `GET /_matrix/client/v3/auth/{authType}/fallback/web`
pub(crate) async fn get_uiaa_fallback_page(request: PublicRaw<(String,), Session>) -> Result<Response, ApiError> {
    match request.path.0.as_str() {
        "m.login.dummy" => Ok(page(DUMMY)),
        "m.login.password" => Ok(page(PASSWORD)),
        "m.login.registration_token" => Ok(page(TOKEN)),
        _ => Err(ApiError::unrecognized("There is no page for this kind of authentication")),
    }
}

/// `POST` to the same: what the page sends when its button is pressed. The request that began the session goes on by itself.
pub(crate) async fn complete_stage(State(accounts): State<Accounts>, request: PublicRaw<(String,), Session>) -> Raw {
    let mut auth: InteractiveAuth = body::json(&request.body)?;
    auth.stage = Some(request.path.0);
    match accounts.complete_stage(&request.query.session, auth).await {
        Ok(()) => empty(),
        Err(AccountError::Interactive(info)) => {
            let why = info.auth_error.as_ref().map(|error| error.message.clone()).unwrap_or_default();
            Err(ApiError::forbidden(why).with("completed", json!(info.completed)))
        }
        Err(error) => Err(error.into()),
    }
}

fn page(html: &'static str) -> Response {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let cache = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    ([kind, cache, (header::CONTENT_SECURITY_POLICY, POLICY)], html).into_response()
}
