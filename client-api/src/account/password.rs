//! `/account/password`: a new password, confirmed with the old one.

use axum::extract::State;
use lyceum_accounts::{Accounts, InteractiveAuth, OtherSessions};
use lyceum_web::{ApiError, MaybeAuthedRaw, body};
use serde::Deserialize;

use crate::answers::{Raw, empty};

#[derive(Deserialize)]
pub(crate) struct Body {
    auth: Option<InteractiveAuth>,
    new_password: Option<String>,
    #[serde(default = "yes")]
    logout_devices: bool,
}

fn yes() -> bool {
    true
}

/// `POST /_matrix/client/v3/account/password`. Without a session it would be confirmed by e-mail, which is not served.
pub(crate) async fn change_password(State(accounts): State<Accounts>, request: MaybeAuthedRaw<()>) -> Raw {
    let session = request.session.ok_or_else(|| ApiError::missing_token("Missing access token"))?;
    let body: Body = body::json(&request.body)?;
    let user = &session.user_id;
    if let Some(password) = &body.new_password {
        accounts.check_new_password(password)?;
    }
    let proof = accounts.confirm("POST /account/password", user, body.auth.as_ref()).await?;
    let password = body.new_password.ok_or_else(|| ApiError::missing_param("new_password is required"))?;
    let others = if body.logout_devices {
        OtherSessions::End { except: session.device_id.clone() }
    } else {
        OtherSessions::Keep
    };
    accounts.change_password(user, &password, others, &proof).await?;
    empty()
}
