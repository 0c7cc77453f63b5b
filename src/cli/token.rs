//! `lyceum token …`: which programs may use the institution's HTTP API.

use std::path::Path;

use clap::Subcommand;

use super::{options::Form, order};
use crate::operator::{Order, tokens::TokenOrder};

#[derive(Subcommand)]
pub(super) enum Token {
    /// Make a token for a program. It is shown once.
    Make {
        /// What the audit chain calls the program.
        name: String,
        /// What it is good for, once for each: people:read, people:write, units:read, units:write, enrolments:read,
        /// enrolments:write, cases:read, cases:write, audit:read.
        #[arg(long, required = true)]
        scope: Vec<String>,
        /// Whose word it brings: what one source says never overwrites what another one says.
        #[arg(long, default_value = lyceum_institution::HAND)]
        source: String,
        /// The last day, or a moment.
        #[arg(long)]
        until: Option<String>,
    },
    /// List the tokens.
    List {
        #[command(flatten)]
        form: Form,
    },
    /// Take a token's rights away.
    Revoke { name: String },
}

pub(super) fn run(config: Option<&Path>, token: Token) -> anyhow::Result<()> {
    let token = match token {
        Token::Make { name, scope, source, until } => TokenOrder::Make { name, scopes: scope, source, until },
        Token::List { form } => TokenOrder::List { json: form.json },
        Token::Revoke { name } => TokenOrder::Revoke { name },
    };
    order::run(config, Order::Token(token))
}
