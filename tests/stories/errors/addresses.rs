//! E-mail addresses and telephone numbers, which this server keeps of nobody.

use serde_json::{Value, json};

use super::CLIENT;
use crate::support::Campus;

fn email() -> Value {
    json!({ "client_secret": "s", "send_attempt": 1, "email": "anna@alpha.example" })
}

fn phone() -> Value {
    json!({ "client_secret": "s", "send_attempt": 1, "country": "AT", "phone_number": "0123 456789" })
}

#[tokio::test]
async fn no_address_is_taken() {
    let campus = Campus::of(["alpha.example"]).await;
    let stranger = campus.host("alpha.example").stranger();
    for (path, asked, refusal) in [
        ("account/3pid/email", email(), "requestTokenTo3PIDEmail 403 M_THREEPID_DENIED"),
        ("account/3pid/msisdn", phone(), "requestTokenTo3PIDMSISDN 403 M_THREEPID_DENIED"),
        ("register/email", email(), "requestTokenToRegisterEmail 403 M_THREEPID_DENIED"),
        ("register/msisdn", phone(), "requestTokenToRegisterMSISDN 403 M_THREEPID_DENIED"),
        ("account/password/email", email(), "requestTokenToResetPasswordEmail 400 M_THREEPID_NOT_FOUND"),
        ("account/password/msisdn", phone(), "requestTokenToResetPasswordMSISDN 400 M_THREEPID_NOT_FOUND"),
    ] {
        stranger.post(&format!("{CLIENT}/{path}/requestToken"), asked).await.refused_as(refusal);
    }
}

#[tokio::test]
async fn an_address_has_its_form() {
    let campus = Campus::of(["alpha.example"]).await;
    let stranger = campus.host("alpha.example").stranger();
    let (mut nowhere, mut nobody) = (email(), phone());
    nowhere["email"] = "anna".into();
    nobody["phone_number"] = "call me".into();
    for (path, asked, refusal) in [
        ("account/3pid/email", nowhere, "requestTokenTo3PIDEmail 400 M_INVALID_PARAM"),
        ("account/3pid/msisdn", nobody, "requestTokenTo3PIDMSISDN 400 M_INVALID_PARAM"),
    ] {
        stranger.post(&format!("{CLIENT}/{path}/requestToken"), asked).await.refused_as(refusal);
    }
}

#[tokio::test]
async fn no_identity_server_is_trusted() {
    let campus = Campus::of(["alpha.example"]).await;
    let stranger = campus.host("alpha.example").stranger();
    for (path, mut asked, refusal) in [
        ("account/3pid/email", email(), "requestTokenTo3PIDEmail 400 M_SERVER_NOT_TRUSTED"),
        ("account/3pid/msisdn", phone(), "requestTokenTo3PIDMSISDN 400 M_SERVER_NOT_TRUSTED"),
        ("register/email", email(), "requestTokenToRegisterEmail 400 M_SERVER_NOT_TRUSTED"),
        ("register/msisdn", phone(), "requestTokenToRegisterMSISDN 400 M_SERVER_NOT_TRUSTED"),
        ("account/password/email", email(), "requestTokenToResetPasswordEmail 400 M_SERVER_NOT_TRUSTED"),
        ("account/password/msisdn", phone(), "requestTokenToResetPasswordMSISDN 400 M_SERVER_NOT_TRUSTED"),
    ] {
        asked["id_server"] = "id.example".into();
        asked["id_access_token"] = "t".into();
        stranger.post(&format!("{CLIENT}/{path}/requestToken"), asked).await.refused_as(refusal);
    }
}
