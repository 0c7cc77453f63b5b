//! The pages that clients open in a browser when they cannot do a step themselves: one stage of interactive
//! authentication, and signing in. Plain files; all that is put in is the operator's list of documents, so that nothing can be smuggled in.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};
use lyceum_accounts::{AccountError, Accounts, InteractiveAuth, Terms, Text};
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
const TERMS: &str = page!("pages/terms.html", "pages/stage.html");
const PASSWORD: &str = page!("pages/password.html", "pages/stage.html");

/// Where in the page of documents these stand.
const DOCUMENTS: &str = "<!-- documents -->\n";

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
pub(crate) async fn get_uiaa_fallback_page(
    State(accounts): State<Accounts>,
    request: PublicRaw<(String,), Session>,
) -> Result<Response, ApiError> {
    match request.path.0.as_str() {
        "m.login.dummy" => Ok(page(DUMMY)),
        "m.login.password" => Ok(page(PASSWORD)),
        "m.login.registration_token" => Ok(page(TOKEN)),
        "m.login.terms" if !accounts.terms().is_empty() => {
            Ok(page(TERMS.replacen(DOCUMENTS, &documents(accounts.terms()), 1)))
        }
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

/// The documents to agree to, as a list of links. They are the operator's words, and put in as text all the same.
fn documents(terms: &Terms) -> String {
    let texts = terms.values().flat_map(|document| &document.languages);
    let link = |(language, text): (&String, &Text)| {
        let (url, name) = (as_text(text.url.as_str()), as_text(&text.name));
        format!(
            "<li><a href=\"{url}\" lang=\"{}\" target=\"_blank\" rel=\"noopener\">{name}</a></li>\n",
            as_text(language)
        )
    };
    texts.map(link).collect()
}

fn as_text(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn page(html: impl Into<axum::body::Body>) -> Response {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let cache = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    ([kind, cache, (header::CONTENT_SECURITY_POLICY, POLICY)], html.into()).into_response()
}
