//! A small server for the door tests: real accounts in memory, one bridge, a verifier that knows a good signature, and
//! handlers that say back what reached them.

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, FromRef, State},
    response::Response,
};
use futures_util::TryStreamExt;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use lyceum_accounts::{Accounts, Config, DeviceChoice, Entropy, NewPerson, PasswordCost, SignInConfig};
use lyceum_events::ManualClock;
use lyceum_storage::Store;
use lyceum_web::{
    Answer, ApiError, Appservice, AppserviceFacts, Appservices, Authed, AuthedRaw, AuthedStream, FromServer,
    FromServerRaw, MaybeAppservice, MaybeAuthed, Public, RateLimits, RawJson, RouteOptions, Routes, Ruma,
    ServerVerifier, SessionAuthenticator, SignedRequest, WebConfig, WebState, finish,
};
use ruma::{
    OwnedServerName, OwnedUserId, UserId,
    api::{
        client::{
            account::{deactivate, register, whoami},
            appservice::request_ping,
            discovery::get_supported_versions,
            media::create_content,
            message::{get_message_events, send_message_event},
            room::create_room,
            session::logout,
            state::get_state_event_for_key,
        },
        federation::{authentication::XMatrix, event::get_event, transactions::send_transaction_message},
    },
    owned_room_id, server_name, user_id,
};
use serde_json::{Value, json};
use std::{net::SocketAddr, sync::Arc};
use tower::ServiceExt;

pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) web: WebState,
    pub(crate) accounts: Accounts,
    pub(crate) clock: ManualClock,
    pub(crate) token: String,
}

#[derive(Clone)]
struct Doors {
    web: WebState,
    accounts: Accounts,
}

impl FromRef<Doors> for WebState {
    fn from_ref(doors: &Doors) -> Self {
        doors.web.clone()
    }
}

impl FromRef<Doors> for Accounts {
    fn from_ref(doors: &Doors) -> Self {
        doors.accounts.clone()
    }
}

pub(crate) const BRIDGE_TOKEN: &str = "bridge-token";

struct OneBridge;

impl Appservices for OneBridge {
    fn by_token(&self, token: &str) -> Option<AppserviceFacts> {
        (token == BRIDGE_TOKEN).then(|| AppserviceFacts {
            id: "bridge".into(),
            sender: user_id!("@bridge:test").to_owned(),
            rate_limited: false,
        })
    }

    fn owns(&self, _: &str, user: &UserId) -> bool {
        user.localpart().starts_with("ghost_")
    }
}

struct KnowsGoodKeys;

#[async_trait::async_trait]
impl ServerVerifier for KnowsGoodKeys {
    async fn verify(&self, request: SignedRequest<'_>) -> Result<OwnedServerName, ApiError> {
        let x_matrix =
            XMatrix::try_from(request.authorizations[0]).map_err(|_| ApiError::unauthorized("not X-Matrix"))?;
        let good = x_matrix.key.as_str() == "ed25519:good";
        good.then_some(x_matrix.origin).ok_or_else(|| ApiError::unauthorized("bad signature"))
    }
}

pub(crate) fn no_limits() -> RateLimits {
    RateLimits { enabled: false, ..RateLimits::default() }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(WebConfig::default(), no_limits()).await
    }

    pub(crate) async fn with(config: WebConfig, limits: RateLimits) -> Self {
        let clock = ManualClock::at(1_700_000_000_000);
        let account_config = Config { guests: true, sign_in: quick_sign_in(), ..Config::default() };
        let store = Store::memory().await.expect("a store in memory");
        let shared_clock = Arc::new(clock.clone());
        let accounts = Accounts::open(
            server_name!("test").to_owned(),
            store,
            shared_clock.clone(),
            Entropy::from_seed([1; 32]),
            account_config,
        )
        .expect("accounts open");
        let authenticator = SessionAuthenticator::new(accounts.clone(), Arc::new(OneBridge));
        let web = WebState::new(config, &limits, shared_clock, authenticator, KnowsGoodKeys);
        let doors = Doors { web: web.clone(), accounts: accounts.clone() };
        let router = finish(routes().with_state(doors), &web);
        let mut world = Self { router, web, accounts, clock, token: String::new() };
        world.token = world.sign_up("alice").await;
        world.sign_up("bridge").await;
        world.sign_up("ghost_one").await;
        world
    }

    pub(crate) async fn sign_up(&self, name: &str) -> String {
        let person =
            NewPerson { localpart: Some(name.into()), password: Some("a long secret".into()), ..Default::default() };
        let registered = self.accounts.register(person, None).await.expect("registered");
        let signed_in = self.accounts.sign_in(&registered.user_id, DeviceChoice::default()).await.expect("signed in");
        signed_in.access_token.reveal()
    }

    pub(crate) async fn call(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.expect("routers do not fail");
        Reply::read(response).await
    }

    /// A call of alice.
    pub(crate) async fn alice(&self, method: Method, path: &str, body: impl Into<Body>) -> Reply {
        self.call(request(method, path, Some(&self.token), body)).await
    }

    /// A call of nobody.
    pub(crate) async fn nobody(&self, method: Method, path: &str) -> Reply {
        self.call(request(method, path, None, "")).await
    }
}

pub(crate) fn request(method: Method, path: &str, token: Option<&str>, body: impl Into<Body>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let address: SocketAddr = "203.0.113.7:4000".parse().expect("an address");
    request.extension(ConnectInfo(address)).body(body.into()).expect("a request")
}

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) json: Value,
}

impl Reply {
    async fn read(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Self { status: parts.status, headers: parts.headers, json }
    }

    #[track_caller]
    pub(crate) fn is_ok(&self) {
        assert_eq!(self.status, StatusCode::OK, "expected success, got {}", self.json);
    }

    #[track_caller]
    pub(crate) fn is_error(&self, status: u16, errcode: &str) {
        assert_eq!((self.status.as_u16(), self.json["errcode"].as_str()), (status, Some(errcode)), "{}", self.json);
        assert_eq!(self.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*", "errors carry the CORS headers too");
    }
}

pub(crate) fn routes_mounted() -> Vec<(String, String)> {
    routes().mounted().into_iter().map(|mounted| (mounted.method, mounted.path)).collect()
}

fn routes() -> Routes<Doors> {
    let small = RouteOptions::new().body_bytes_max(1_000).refuse_suspended();
    Routes::new()
        .mount(get_versions)
        .mount(whoami)
        .mount(log_out)
        .mount(deactivate)
        .mount(register)
        .mount(ping)
        .mount_with(small, create_room)
        .mount(get_messages)
        .mount(get_state)
        .mount(get_event)
        .mount_as::<send_message_event::v3::Request, _, _>(RouteOptions::new(), send)
        .mount_as::<send_transaction_message::v1::Request, _, _>(RouteOptions::new(), send_transaction)
        .mount_as::<create_content::v3::Request, _, _>(RouteOptions::new(), upload)
        .mount_at(&Method::GET, &["/panic"], RouteOptions::new(), panics)
}

async fn get_versions(_: Public<get_supported_versions::Request>) -> Answer<get_supported_versions::Response> {
    Ok(Ruma(get_supported_versions::Response::new(vec!["v1.1".into()])))
}

async fn whoami(Authed { session, .. }: Authed<whoami::v3::Request>) -> Answer<whoami::v3::Response> {
    Ok(Ruma(whoami::v3::Response::new(session.user_id.clone(), session.is_guest())))
}

async fn log_out(
    State(accounts): State<Accounts>,
    Authed { session, .. }: Authed<logout::v3::Request>,
) -> Answer<logout::v3::Response> {
    accounts.log_out(&session).await?;
    Ok(Ruma(logout::v3::Response::new()))
}

async fn deactivate(caller: MaybeAuthed<deactivate::v3::Request>) -> Result<RawJson, ApiError> {
    said(json!({ "user": caller.session.map(|session| session.user_id.clone()), "erase": caller.body.erase }))
}

async fn register(caller: MaybeAppservice<register::v3::Request>) -> Result<RawJson, ApiError> {
    said(json!({ "service": caller.service.map(|service| service.id), "name": caller.body.username }))
}

async fn ping(caller: Appservice<request_ping::v1::Request>) -> Result<RawJson, ApiError> {
    said(json!({ "service": caller.service.id, "path": caller.body.appservice_id }))
}

async fn create_room(_: Authed<create_room::v3::Request>) -> Answer<create_room::v3::Response> {
    Ok(Ruma(create_room::v3::Response::new(owned_room_id!("!new:test"))))
}

async fn get_messages(asked: Authed<get_message_events::v3::Request>) -> Result<RawJson, ApiError> {
    said(json!({ "room": asked.body.room_id, "limit": u64::from(asked.body.limit) }))
}

async fn get_state(asked: Authed<get_state_event_for_key::v3::Request>) -> Result<RawJson, ApiError> {
    said(json!({ "room": asked.body.room_id, "type": asked.body.event_type, "key": asked.body.state_key }))
}

async fn send(sent: AuthedRaw<(ruma::OwnedRoomId, String, String)>) -> Result<RawJson, ApiError> {
    let content: Value = lyceum_web::body::json(&sent.body)?;
    said(json!({ "user": sent.session.user_id, "path": sent.path, "content": content }))
}

async fn get_event(asked: FromServer<get_event::v1::Request>) -> Result<RawJson, ApiError> {
    said(json!({ "origin": asked.origin, "event": asked.body.event_id }))
}

async fn send_transaction(sent: FromServerRaw<(String,)>) -> Result<RawJson, ApiError> {
    let content: Value = lyceum_web::body::json(&sent.body)?;
    said(json!({ "origin": sent.origin, "txn": sent.path.0, "content": content }))
}

async fn upload(uploaded: AuthedStream<()>) -> Result<RawJson, ApiError> {
    let pieces = lyceum_web::body::stream(&uploaded.headers, uploaded.body, 1_000)?;
    let bytes = pieces.try_fold(0, async |bytes, piece| Ok(bytes + piece.len())).await?;
    said(json!({ "user": uploaded.session.user_id, "bytes": bytes }))
}

async fn panics() -> &'static str {
    panic!("a handler of the test panics")
}

fn said(json: Value) -> Result<RawJson, ApiError> {
    RawJson::of(&json)
}

pub(crate) fn alice() -> OwnedUserId {
    user_id!("@alice:test").to_owned()
}

fn quick_sign_in() -> SignInConfig {
    SignInConfig { password_cost: PasswordCost { memory_kib: 8, passes: 1 }, ..SignInConfig::default() }
}
