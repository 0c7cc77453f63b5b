//! The documents that whoever makes an account agrees to (spec, "Terms of service at registration"): which there are, and who
//! agreed to which version.

use lyceum_storage::Batch;
use ruma::{
    UserId,
    api::client::uiaa::{LoginTermsParams, PolicyDefinition, PolicyTranslation},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use url::Url;

use crate::{Accounts, error::Result, tables::CONSENTS};

/// The documents by their ids.
pub type Terms = BTreeMap<String, Document>;

/// A document that is to be agreed to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Which version of it: whatever names one.
    pub version: String,
    /// By language, such as `en` or `pt-BR`.
    pub languages: BTreeMap<String, Text>,
}

/// A document in one language.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// What it is called.
    pub name: String,
    /// Where it is read.
    pub url: Url,
}

/// What somebody agreed to, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// The versions, by the documents' ids.
    pub versions: BTreeMap<String, String>,
    /// When.
    pub at_ms: u64,
}

/// The documents as clients are told of them.
pub(crate) fn params(terms: &Terms) -> LoginTermsParams {
    let text = |text: &Text| PolicyTranslation::new(text.name.clone(), text.url.to_string());
    let document = |document: &Document| {
        let languages = document.languages.iter().map(|(language, one)| (language.clone(), text(one)));
        PolicyDefinition::new(document.version.clone(), languages.collect())
    };
    LoginTermsParams::new(terms.iter().map(|(id, one)| (id.clone(), document(one))).collect())
}

/// The versions of the documents.
pub(crate) fn versions(terms: &Terms) -> BTreeMap<String, String> {
    terms.iter().map(|(id, document)| (id.clone(), document.version.clone())).collect()
}

impl Accounts {
    /// The documents that whoever makes an account agrees to.
    pub fn terms(&self) -> &Terms {
        &self.config().terms
    }

    /// What somebody agreed to when they made their account, if anything was asked of them.
    pub async fn consent(&self, user: &UserId) -> Result<Option<Consent>> {
        Ok(self.store().get(&CONSENTS, user.as_str()).await?)
    }

    /// Notes with the account what its owner agreed to.
    pub(crate) fn note_consent(&self, batch: &mut Batch, user: &UserId, versions: BTreeMap<String, String>) {
        if !versions.is_empty() {
            batch.put(&CONSENTS, user.as_str(), &Consent { versions, at_ms: self.now_ms() });
        }
    }
}
