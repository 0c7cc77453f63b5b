//! `/pushrules`: what a person wants to be told of.

use axum::extract::State;
use lyceum_accounts::{Accounts, PushRules};
use lyceum_web::{ApiError, Authed, AuthedRaw, RawJson, body};
use ruma::{
    api::client::push::set_pushrule,
    push::{Action, RuleKind},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answers::{Raw, empty};

/// How clients built on ruma name the rules of MSC4306 in a path.
const LONG_POSTCONTENT: &str = "io.element.msc4306.postcontent";

/// `GET /_matrix/client/v3/pushrules/`
pub(crate) async fn get_pushrules_all(State(accounts): State<Accounts>, request: AuthedRaw<()>) -> Raw {
    RawJson::of(&rules(&accounts, &request).await?.json())
}

/// `GET /_matrix/client/v3/pushrules/global/`
pub(crate) async fn get_pushrules_global_scope(State(accounts): State<Accounts>, request: AuthedRaw<()>) -> Raw {
    RawJson::of(&rules(&accounts, &request).await?.json()["global"])
}

async fn rules<P>(accounts: &Accounts, request: &AuthedRaw<P>) -> Result<PushRules, ApiError> {
    Ok(accounts.push_rules(&request.session.user_id).await?)
}

/// The JSON of one rule.
async fn rule_json<P>(accounts: &Accounts, request: &AuthedRaw<P>, kind: &str, id: &str) -> Result<Value, ApiError> {
    // A kind that only other servers know has no rules here: clients look for those of proposals.
    let kind = if kind == LONG_POSTCONTENT { "postcontent" } else { kind };
    let mut all = rules(accounts, request).await?.json();
    let of_kind = all["global"][kind].as_array_mut().map(std::mem::take).unwrap_or_default();
    let rule = of_kind.into_iter().find(|rule| rule["rule_id"] == id);
    rule.ok_or_else(|| ApiError::not_found("There is no such push rule"))
}

/// `GET /_matrix/client/v3/pushrules/global/{kind}/{ruleId}`
pub(crate) async fn get_pushrule(State(accounts): State<Accounts>, request: AuthedRaw<(String, String)>) -> Raw {
    RawJson::of(&rule_json(&accounts, &request, &request.path.0, &request.path.1).await?)
}

/// `GET /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/enabled`
pub(crate) async fn get_pushrule_enabled(
    State(accounts): State<Accounts>,
    request: AuthedRaw<(String, String)>,
) -> Raw {
    let rule = rule_json(&accounts, &request, &request.path.0, &request.path.1).await?;
    RawJson::of(&json!({ "enabled": rule["enabled"] }))
}

/// `GET /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/actions`
pub(crate) async fn get_pushrule_actions(
    State(accounts): State<Accounts>,
    request: AuthedRaw<(String, String)>,
) -> Raw {
    let rule = rule_json(&accounts, &request, &request.path.0, &request.path.1).await?;
    RawJson::of(&json!({ "actions": rule["actions"] }))
}

/// `PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId}`
pub(crate) async fn set_pushrule(State(accounts): State<Accounts>, request: Authed<set_pushrule::v3::Request>) -> Raw {
    let set_pushrule::v3::Request { rule, before, after, .. } = request.body;
    accounts.put_push_rule(&request.session.user_id, rule, after.as_deref(), before.as_deref()).await?;
    empty()
}

/// `DELETE /_matrix/client/v3/pushrules/global/{kind}/{ruleId}`
pub(crate) async fn delete_pushrule(State(accounts): State<Accounts>, request: AuthedRaw<(String, String)>) -> Raw {
    let (kind, id) = &request.path;
    accounts.delete_push_rule(&request.session.user_id, kind_named(kind)?, id).await?;
    empty()
}

#[derive(Deserialize)]
pub(crate) struct Enabled {
    enabled: Option<bool>,
}

/// `PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/enabled`
pub(crate) async fn set_pushrule_enabled(
    State(accounts): State<Accounts>,
    request: AuthedRaw<(String, String)>,
) -> Raw {
    let (kind, id) = &request.path;
    let Enabled { enabled } = body::json(&request.body)?;
    let enabled = enabled.ok_or_else(|| ApiError::missing_param("enabled is required"))?;
    accounts.enable_push_rule(&request.session.user_id, kind_named(kind)?, id, enabled).await?;
    empty()
}

#[derive(Deserialize)]
pub(crate) struct Actions {
    actions: Option<Vec<Action>>,
}

/// `PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/actions`
pub(crate) async fn set_pushrule_actions(
    State(accounts): State<Accounts>,
    request: AuthedRaw<(String, String)>,
) -> Raw {
    let (kind, id) = &request.path;
    let Actions { actions } = body::json(&request.body)?;
    let actions = actions.ok_or_else(|| ApiError::missing_param("actions is required"))?;
    accounts.set_push_rule_actions(&request.session.user_id, kind_named(kind)?, id, actions).await?;
    empty()
}

fn kind_named(name: &str) -> Result<RuleKind, ApiError> {
    match name {
        "override" | "content" | "room" | "sender" | "underride" => Ok(RuleKind::from(name)),
        // Rules between those about content and those about rooms (MSC4306); ruma's clients say it longer.
        "postcontent" | LONG_POSTCONTENT => Ok(RuleKind::PostContent),
        _ => Err(ApiError::invalid_param("There is no such kind of push rule")),
    }
}
