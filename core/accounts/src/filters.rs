//! Filters: stored once for each content, and found again by an id that is made from the content.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lyceum_storage::Batch;
use ruma::UserId;
use serde_json::{Value, value::RawValue};
use sha2::{Digest, Sha256};

use crate::{
    AccountError, Accounts,
    error::Result,
    tables::{FILTERS, FilterRow},
};

/// The largest filter.
const FILTER_BYTES_MAX: usize = 64 * 1024;

/// Filters one person may have; the oldest goes when there would be more.
const FILTERS_MAX: usize = 500;

/// Bytes of the content's hash that make the id.
const ID_BYTES: usize = 15;

impl Accounts {
    /// Stores a filter whose shape the caller has checked, and answers its id.
    pub async fn create_filter(&self, user: &UserId, filter: &RawValue) -> Result<String> {
        if filter.get().len() > FILTER_BYTES_MAX {
            return Err(AccountError::TooLarge("the filter"));
        }
        let value: Value =
            serde_json::from_str(filter.get()).map_err(|error| AccountError::BadJson(error.to_string()))?;
        // serde_json keeps objects in order of their keys, so equal filters have equal text.
        let content = value.to_string();
        let id = URL_SAFE_NO_PAD.encode(&Sha256::digest(content.as_bytes())[..ID_BYTES]);
        let key = (user.as_str(), id.as_str());
        let _guard = self.lock(user.as_str()).await;
        if self.store().get(&FILTERS, key).await?.is_some() {
            return Ok(id);
        }
        let mut batch = Batch::new();
        let known = self.store().scan(&FILTERS, FILTERS.prefix((user.as_str(),)).limit(FILTERS_MAX)).await?;
        if known.len() >= FILTERS_MAX
            && let Some(((_, oldest), _)) = known.iter().min_by_key(|(_, row)| row.created_ms)
        {
            batch.delete(&FILTERS, (user.as_str(), oldest));
        }
        batch.put(&FILTERS, key, &FilterRow { content, created_ms: self.now_ms() });
        self.store().commit(batch).await?;
        Ok(id)
    }

    /// A stored filter's JSON.
    pub async fn filter(&self, user: &UserId, id: &str) -> Result<Option<String>> {
        Ok(self.store().get(&FILTERS, (user.as_str(), id)).await?.map(|row| row.content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;
    use ruma::user_id;

    #[tokio::test]
    async fn equal_filters_have_one_id() {
        let fixture = Fixture::with_people(&["anna"]).await;
        let anna = user_id!("@anna:test");
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let first = fixture.accounts.create_filter(anna, &raw(r#"{"room":{"a":1,"b":2}}"#)).await.unwrap();
        let second = fixture.accounts.create_filter(anna, &raw(r#"{"room":{"b":2, "a":1}}"#)).await.unwrap();
        assert_eq!(first, second);
        assert!(!first.starts_with('{'));
        assert!(fixture.accounts.filter(anna, &first).await.unwrap().is_some());
        assert!(fixture.accounts.filter(user_id!("@ben:test"), &first).await.unwrap().is_none());
    }
}
