//! Orders about tokens of programs.

use anyhow::bail;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lyceum_institution::{Scope, Token, audit::Actor};
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::table::Table;
use super::{Operator, Report};
use crate::chance;

/// What a token begins with, so that one that lies about somewhere is known for what it is.
const MARK: &str = "lyceum_";
/// The random bytes of a token.
const SECRET_BYTES: usize = 32;

/// One order about tokens.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TokenOrder {
    Make { name: String, scopes: Vec<String>, source: String, until: Option<String> },
    List { json: bool },
    Revoke { name: String },
}

impl Operator {
    pub(super) async fn tokens(&self, order: TokenOrder, report: &Report) -> anyhow::Result<()> {
        match order {
            TokenOrder::Make { name, scopes, source, until } => {
                self.make_token(name, &scopes, source, until, report).await
            }
            TokenOrder::List { json } => self.list_tokens(json, report).await,
            TokenOrder::Revoke { name } => {
                self.institution.revoke_token(&Actor::Operator, &name).await?;
                report.say(format!("The token {name} is good for nothing any more."));
                Ok(())
            }
        }
    }

    async fn make_token(
        &self,
        name: String,
        scopes: &[String],
        source: String,
        until: Option<String>,
        report: &Report,
    ) -> anyhow::Result<()> {
        let until_ms = until.map(|until| self.end_of(&until)).transpose()?;
        let named = |name: &String| match Scope::named(name) {
            Some(scope) => Ok(scope),
            None => bail!("there is no scope {name:?}; there are {}", Scope::ALL.map(Scope::as_str).join(", ")),
        };
        let mut granted = Vec::new();
        for scope in scopes.iter().map(named) {
            let scope = scope?;
            if !granted.contains(&scope) {
                granted.push(scope);
            }
        }
        let bytes: [u8; SECRET_BYTES] = chance::generator().random();
        let secret = format!("{MARK}{}", URL_SAFE_NO_PAD.encode(bytes));
        let token = Token { name, scopes: granted, source, made_ms: self.institution.now_ms(), until_ms };
        self.institution.make_token(&Actor::Operator, &token, &secret).await?;
        report.say(format!("The token of {}; it is not shown again:", token.name));
        report.say(secret);
        Ok(())
    }

    async fn list_tokens(&self, json: bool, report: &Report) -> anyhow::Result<()> {
        let mut table = Table::new(["token", "scopes", "source", "made", "until"]);
        for token in self.institution.tokens().await? {
            if json {
                report.say(serde_json::to_string(&token)?);
                continue;
            }
            let show = |at| self.institution.settings().calendar.show(at);
            let scopes: Vec<_> = token.scopes.iter().map(|scope| scope.as_str()).collect();
            let until = token.until_ms.map(show).unwrap_or_default();
            table.row([token.name, scopes.join(" "), token.source, show(token.made_ms), until]);
        }
        table.say(report, json);
        Ok(())
    }
}
