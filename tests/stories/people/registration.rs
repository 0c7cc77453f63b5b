//! Making accounts: openly, by token, by shared secret, not at all.

use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha1::Sha1;
use std::time::Duration;

use crate::support::{Campus, Person};

const REGISTER: &str = "/_matrix/client/v3/register";
const SHARED_SECRET: &str = "/_synapse/admin/v1/register";

async fn stranger(settings: &str) -> (Campus, Person) {
    let campus = Campus::with(["alpha.example"], settings).await;
    let stranger = campus.host("alpha.example").stranger();
    (campus, stranger)
}

#[tokio::test]
async fn open_registration_asks_for_nothing_and_gives_a_session() {
    let (_campus, stranger) = stranger("").await;
    let asked = stranger.post(REGISTER, json!({})).await.refused_as("register 401 *");
    assert_eq!(asked["flows"], json!([{ "stages": ["m.login.dummy"] }]));
    let session = asked["session"].as_str().expect("a session").to_owned();

    let mut person = json!({
        "username": "Cleo", "password": "correct horse", "device_id": "TABLET",
        "auth": { "type": "m.login.dummy", "session": session },
    });
    let answer = stranger.post(REGISTER, person.clone()).await.ok();
    assert_eq!(answer["user_id"], "@cleo:alpha.example");
    assert_eq!(answer["device_id"], "TABLET");
    assert!(answer["access_token"].is_string());
    person["auth"] = json!({ "type": "m.login.dummy" });
    stranger.post(REGISTER, person).await.refused_as("register 400 M_USER_IN_USE");
}

#[tokio::test]
async fn names_that_cannot_be_and_passwords_too_short_are_refused_before_anything_is_asked() {
    let (_campus, stranger) = stranger("sign_in.password_length_min = 8").await;
    for name in ["with space", "ümlaut", "semi;colon", "", "back\\slash", &"x".repeat(300)] {
        stranger.post(REGISTER, json!({ "username": name })).await.refused_as("register 400 M_INVALID_USERNAME");
        let available = format!("{REGISTER}/available?username={}", crate::support::person::encoded(name));
        stranger.get(&available).await.refused_as("checkUsernameAvailability 400 M_INVALID_USERNAME");
    }
    stranger.post(REGISTER, json!({ "username": "cleo", "password": "short" })).await.refused(400, "M_WEAK_PASSWORD");
    assert_eq!(stranger.get(&format!("{REGISTER}/available?username=cleo")).await.ok(), json!({ "available": true }));
    stranger.post(&format!("{REGISTER}?kind=robot"), json!({})).await.refused(400, "M_INVALID_PARAM");
    stranger.post(&format!("{REGISTER}?kind=guest"), json!({})).await.refused(403, "M_FORBIDDEN");
    let no_password = json!({ "username": "cleo", "auth": { "type": "m.login.dummy" } });
    stranger.post(REGISTER, no_password).await.refused(400, "M_MISSING_PARAM");
}

#[tokio::test]
async fn a_registration_token_lets_in_as_many_as_it_says() {
    let (campus, stranger) = stranger("registration.mode = \"token\"").await;
    let accounts = campus.host("alpha.example").server.accounts().clone();
    accounts.create_registration_token(Some("welcome".into()), None, Some(1), None).await.expect("a token");
    let validity = "/_matrix/client/v1/register/m.login.registration_token/validity?token=";
    assert_eq!(stranger.get(&format!("{validity}welcome")).await.ok(), json!({ "valid": true }));
    assert_eq!(stranger.get(&format!("{validity}unknown")).await.ok(), json!({ "valid": false }));

    let with = |name: &str, token: &str| {
        let auth = json!({ "type": "m.login.registration_token", "token": token });
        json!({ "username": name, "password": "correct horse", "auth": auth })
    };
    let refused = stranger.post(REGISTER, with("ann", "unknown")).await.refused(401, "M_UNAUTHORIZED");
    assert_eq!(refused["flows"], json!([{ "stages": ["m.login.registration_token"] }]));
    stranger.post(REGISTER, with("ann", "welcome")).await.ok();
    stranger.post(REGISTER, with("ben", "welcome")).await.refused(401, "M_UNAUTHORIZED");
    assert_eq!(stranger.get(&format!("{validity}welcome")).await.ok(), json!({ "valid": false }));
}

#[tokio::test]
async fn a_closed_server_makes_no_accounts_and_opens_to_no_guests() {
    let (_campus, stranger) = stranger("registration.mode = \"closed\"").await;
    stranger
        .post(REGISTER, json!({ "username": "ann", "password": "correct horse" }))
        .await
        .refused_as("register 403 M_FORBIDDEN");
}

fn mac(nonce: &str, name: &str, admin: bool) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(b"shared").expect("any key fits");
    mac.update(format!("{nonce}\0{name}\0pass\0{}", if admin { "admin" } else { "notadmin" }).as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn nonce(stranger: &Person) -> String {
    stranger.get(SHARED_SECRET).await.ok()["nonce"].as_str().expect("a nonce").to_owned()
}

fn request(nonce: &str, name: &str, admin: bool) -> Value {
    json!({ "nonce": nonce, "username": name, "password": "pass", "admin": admin, "mac": mac(nonce, name, admin) })
}

#[tokio::test]
async fn who_knows_the_shared_secret_makes_accounts() {
    let (campus, stranger) = stranger("registration.mode = \"closed\"").await;
    let first = nonce(&stranger).await;
    let answer = stranger.post(SHARED_SECRET, request(&first, "Root", true)).await.ok();
    assert_eq!(answer["user_id"], "@root:alpha.example");
    let used = stranger.post(SHARED_SECRET, request(&first, "other", false)).await;
    used.refused(400, "M_UNKNOWN");

    let mut forged = request(&nonce(&stranger).await, "eve", false);
    forged["admin"] = true.into();
    stranger.post(SHARED_SECRET, forged).await.refused(403, "M_UNKNOWN");
    let late = nonce(&stranger).await;
    campus.clock.advance(Duration::from_secs(61));
    stranger.post(SHARED_SECRET, request(&late, "late", false)).await.refused(400, "M_UNKNOWN");
    let symbols = nonce(&stranger).await;
    stranger.post(SHARED_SECRET, request(&symbols, "a!b", false)).await.refused(400, "M_INVALID_USERNAME");
    let taken = nonce(&stranger).await;
    stranger.post(SHARED_SECRET, request(&taken, "root", false)).await.refused(400, "M_USER_IN_USE");
}

#[tokio::test]
async fn what_lacks_something_or_is_of_the_wrong_kind_is_refused_as_provisioning_tools_know_it() {
    let (_campus, stranger) = stranger("registration.mode = \"closed\"").await;
    stranger.post(SHARED_SECRET, json!({})).await.refused(400, "M_BAD_JSON");
    stranger.post(SHARED_SECRET, json!({ "nonce": "made up" })).await.refused(400, "M_UNKNOWN");
    for field in ["username", "password", "mac"] {
        let mut without = request(&nonce(&stranger).await, "ann", false);
        without.as_object_mut().expect("an object").remove(field);
        stranger.post(SHARED_SECRET, without).await.refused(400, "M_BAD_JSON");
    }
    let wrong = [("username", json!(1)), ("username", json!("a".repeat(513))), ("password", json!("p\0"))];
    for (field, value) in wrong.into_iter().chain([("user_type", json!("rector"))]) {
        let mut request = request(&nonce(&stranger).await, "ann", false);
        request[field] = value;
        stranger.post(SHARED_SECRET, request).await.refused(400, "M_UNKNOWN");
    }
}

#[tokio::test]
async fn who_is_made_with_the_shared_secret_is_shown_under_the_name_that_was_given() {
    let (_campus, stranger) = stranger("registration.mode = \"closed\"").await;
    let mut named = request(&nonce(&stranger).await, "ann", false);
    named["displayname"] = "Ann Lee".into();
    stranger.post(SHARED_SECRET, named).await.ok();
    let profile = stranger.get("/_matrix/client/v3/profile/@ann:alpha.example").await.ok();
    assert_eq!(profile["displayname"], "Ann Lee");
}

#[tokio::test]
async fn whoever_makes_an_account_agrees_to_the_documents_there_are() {
    let terms = r#"registration.terms = { terms = { version = "1.2", languages = { en = { name = "Terms & more", url = "https://alpha.example/terms" }, de = { name = "Bedingungen", url = "https://alpha.example/de" } } } }"#;
    let (campus, stranger) = stranger(terms).await;
    let asked = stranger.post(REGISTER, json!({ "username": "cleo" })).await;
    assert_eq!((asked.status, &asked.json["flows"]), (401, &json!([{ "stages": ["m.login.terms"] }])));
    let policies = json!({ "terms": {
        "version": "1.2",
        "en": { "name": "Terms & more", "url": "https://alpha.example/terms" },
        "de": { "name": "Bedingungen", "url": "https://alpha.example/de" },
    } });
    assert_eq!(asked.json["params"]["m.login.terms"]["policies"], policies);
    let session = asked.json["session"].as_str().expect("a session").to_owned();
    let page = format!("/_matrix/client/v3/auth/m.login.terms/fallback/web?session={session}");
    let shown = String::from_utf8(stranger.get(&page).await.bytes).expect("a page");
    assert!(shown.contains(r#"<a href="https://alpha.example/terms" lang="en""#) && shown.contains("Terms &amp; more"));

    let without = json!({ "username": "cleo", "password": "correct horse", "auth": { "type": "m.login.dummy", "session": session } });
    stranger.post(REGISTER, without).await.refused(401, "M_UNRECOGNIZED");
    let agreed = json!({ "username": "cleo", "password": "correct horse", "auth": { "type": "m.login.terms", "session": session } });
    stranger.post(REGISTER, agreed).await.ok();
    let root = campus.host("alpha.example").admin("root").await;
    let cleo = root.get("/_synapse/admin/v2/users/@cleo:alpha.example").await.ok();
    assert_eq!((&cleo["consent_version"], &cleo["consent_ts"]), (&json!("terms 1.2"), &json!(campus.clock_ms())));
    let unasked = root.get(&format!("/_synapse/admin/v2/users/{}", root.id)).await.ok();
    assert_eq!(unasked["consent_version"], json!(null), "who was made otherwise was asked nothing");
}

#[tokio::test]
async fn a_token_and_the_documents_are_both_needed_and_the_page_does_for_the_second() {
    let settings = "registration.mode = \"token\"\nregistration.terms = { rules = { version = \"1\", languages = { en = { name = \"Rules\", url = \"https://alpha.example/rules\" } } } }";
    let (campus, stranger) = stranger(settings).await;
    let accounts = campus.host("alpha.example").server.accounts().clone();
    accounts.create_registration_token(Some("welcome".into()), None, None, None).await.expect("a token");
    let person = |auth: Value| json!({ "username": "ann", "password": "correct horse", "auth": auth });
    let token = json!({ "type": "m.login.registration_token", "token": "welcome" });
    let asked = stranger.post(REGISTER, person(token)).await;
    assert_eq!(asked.json["flows"], json!([{ "stages": ["m.login.registration_token", "m.login.terms"] }]));
    assert_eq!(asked.json["completed"], json!(["m.login.registration_token"]));
    let session = asked.json["session"].clone();
    let page =
        format!("/_matrix/client/v3/auth/m.login.terms/fallback/web?session={}", session.as_str().expect("text"));
    stranger.post(&page, json!({})).await.ok();
    stranger.post(REGISTER, person(json!({ "session": session }))).await.ok();
}

#[tokio::test]
async fn where_there_are_no_documents_there_is_no_page_of_them() {
    let (_campus, stranger) = stranger("").await;
    stranger.get("/_matrix/client/v3/auth/m.login.terms/fallback/web?session=x").await.refused(404, "M_UNRECOGNIZED");
}
