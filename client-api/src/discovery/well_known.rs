//! `/.well-known/matrix/…`: where clients and servers find this server, and whom to ask for help.

use axum::extract::State;
use lyceum_institution::EncryptionAdvice;
use lyceum_web::{Answer, ApiError, Public, RawJson, Ruma};
use ruma::{
    OwnedServerName, ServerName,
    api::{
        client::discovery::{
            discover_homeserver, discover_policy_server,
            discover_support::{self, Contact, ContactRole},
        },
        federation::discovery::discover_homeserver as discover_homeserver_for_servers,
    },
};

use serde_json::json;
use std::sync::Arc;

use crate::{
    answers::Raw,
    config::{CallsConfig, WellKnownConfig},
    voip::livekit,
};

/// `GET /.well-known/matrix/client`
pub(crate) async fn discover_homeserver(
    State(well_known): State<WellKnownConfig>,
    State(calls): State<Arc<CallsConfig>>,
    State(advice): State<Option<EncryptionAdvice>>,
    _: Public<discover_homeserver::Request>,
) -> Raw {
    let base_url = well_known.client_base_url.ok_or_else(|| ApiError::not_found("No client address is configured"))?;
    let mut answer = json!({ "m.homeserver": { "base_url": base_url.as_str().trim_end_matches('/') } });
    if !calls.livekit_service_urls.is_empty() {
        answer["org.matrix.msc4143.rtc_foci"] = livekit(&calls).into();
    }
    if let Some(advice) = advice {
        // Documented by Element: what its buttons offer.
        answer["io.element.e2ee"] = json!({ "default": advice.by_default, "force_disable": advice.is_forbidden });
    }
    RawJson::of(&answer)
}

/// `GET /.well-known/matrix/server`
pub(crate) async fn discover_homeserver_for_servers(
    State(well_known): State<WellKnownConfig>,
    _: Public<discover_homeserver_for_servers::Request>,
) -> Answer<discover_homeserver_for_servers::Response> {
    let server = well_known.server.ok_or_else(|| ApiError::not_found("No server address is configured"))?;
    let server: OwnedServerName = ServerName::parse(&*server)?;
    Ok(Ruma(discover_homeserver_for_servers::Response::new(server)))
}

/// `GET /.well-known/matrix/support`
pub(crate) async fn discover_support(
    State(well_known): State<WellKnownConfig>,
    _: Public<discover_support::Request>,
) -> Answer<discover_support::Response> {
    let support = well_known.support.ok_or_else(|| ApiError::not_found("No support contact is configured"))?;
    let email = support.email.clone().map(|email| Contact::with_email_address(ContactRole::Admin, email));
    let user = support.matrix_id.clone().map(|user| Contact::with_matrix_id(ContactRole::Admin, user));
    let mut response = discover_support::Response::with_contacts(email.into_iter().chain(user).collect());
    response.support_page = support.page.as_ref().map(ToString::to_string);
    Ok(Ruma(response))
}

/// `GET /.well-known/matrix/policy_server`
pub(crate) async fn discover_policy_server(
    State(well_known): State<WellKnownConfig>,
    _: Public<discover_policy_server::Request>,
) -> Raw {
    let key = well_known.policy_server_key.ok_or_else(|| ApiError::not_found("No policy server is configured"))?;
    RawJson::of(&json!({ "public_keys": { "ed25519": key } }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SupportConfig;

    fn configured() -> WellKnownConfig {
        WellKnownConfig {
            client_base_url: Some("https://matrix.campus.example/".parse().expect("a URL")),
            server: Some("matrix.campus.example:443".into()),
            support: Some(SupportConfig { email: Some("dos@campus.example".into()), ..Default::default() }.into()),
            policy_server_key: Some("6yhHGKhCiXTSEN2ksjV7kX/N6rBQZ3Xb+M7LlC6NS+s".into()),
        }
    }

    #[tokio::test]
    async fn clients_and_servers_are_told_where_to_go() {
        let asked = Public { body: discover_homeserver::Request::new() };
        let calls = Arc::new(CallsConfig {
            livekit_service_urls: vec!["https://livekit.campus.example/".parse().expect("a URL")],
            ..CallsConfig::default()
        });
        let advice = Some(EncryptionAdvice { by_default: false, is_forbidden: false });
        let client =
            discover_homeserver(State(configured()), State(calls), State(advice), asked).await.expect("configured");
        let client: serde_json::Value = serde_json::from_slice(&client.0).expect("JSON");
        let foci = json!([{ "type": "livekit", "livekit_service_url": "https://livekit.campus.example" }]);
        assert_eq!(
            client,
            json!({
                "m.homeserver": { "base_url": "https://matrix.campus.example" },
                "org.matrix.msc4143.rtc_foci": foci,
                "io.element.e2ee": { "default": false, "force_disable": false },
            })
        );
        let asked = Public { body: discover_homeserver_for_servers::Request::new() };
        let Ruma(server) = discover_homeserver_for_servers(State(configured()), asked).await.expect("configured");
        assert_eq!(server.server, "matrix.campus.example:443");
        let asked = Public { body: discover_policy_server::Request::new() };
        let policy = discover_policy_server(State(configured()), asked).await.expect("configured");
        let policy: serde_json::Value = serde_json::from_slice(&policy.0).expect("JSON");
        assert_eq!(policy["public_keys"]["ed25519"], "6yhHGKhCiXTSEN2ksjV7kX/N6rBQZ3Xb+M7LlC6NS+s");
        let asked = Public { body: discover_support::Request::new() };
        let Ruma(support) = discover_support(State(configured()), asked).await.expect("configured");
        assert_eq!(support.contacts[0].email_address.as_deref(), Some("dos@campus.example"));
    }

    #[tokio::test]
    async fn nothing_configured_is_nothing_there() {
        let asked = Public { body: discover_homeserver::Request::new() };
        let refused = discover_homeserver(State(WellKnownConfig::default()), State(Arc::default()), State(None), asked)
            .await
            .expect_err("nothing to say");
        assert_eq!((refused.status.as_u16(), refused.errcode.as_deref()), (404, Some("M_NOT_FOUND")));
    }
}
