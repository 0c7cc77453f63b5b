//! Things given out for a while and then forgotten: nonces, interactive authentication, login and OpenID tokens.

use lyceum_storage::Batch;

use crate::{
    Accounts,
    error::Result,
    tables::{EXPIRIES, SHORT_LIVED, ShortLivedRow},
};

/// Expired rows removed in one step of the sweep.
const SWEEP_ROWS: usize = 500;

/// What kinds there are. The name is part of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A nonce of registration by shared secret.
    Nonce,
    /// A session of interactive authentication.
    Interactive,
    /// A token to sign in with, once.
    LoginToken,
    /// A token by which another service learns who somebody is.
    OpenId,
    /// A transaction of messages to devices that was carried out.
    ToDevice,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Nonce => "nonce",
            Self::Interactive => "interactive",
            Self::LoginToken => "login",
            Self::OpenId => "openid",
            Self::ToDevice => "to-device",
        }
    }
}

impl Accounts {
    /// Adds to `batch` that `content` is kept under `key` for `lifetime_ms`.
    pub(crate) fn keep(
        &self,
        batch: &mut Batch,
        kind: Kind,
        key: &[u8],
        content: String,
        lifetime_ms: u64,
    ) -> ShortLivedRow {
        let row = ShortLivedRow { expires_ms: self.now_ms().saturating_add(lifetime_ms), content };
        batch.put(&SHORT_LIVED, (kind.name(), key), &row);
        batch.put(&EXPIRIES, (row.expires_ms, kind.name(), key), &());
        row
    }

    /// Adds to `batch` that `key` is kept, if it is not yet: otherwise the batch fails.
    pub(crate) fn keep_once(&self, batch: &mut Batch, kind: Kind, key: &[u8], lifetime_ms: u64) {
        batch.expect(&SHORT_LIVED, (kind.name(), key), None);
        self.keep(batch, kind, key, String::new(), lifetime_ms);
    }

    /// What is kept under `key`, unless it expired.
    pub(crate) async fn kept(&self, kind: Kind, key: &[u8]) -> Result<Option<ShortLivedRow>> {
        let row = self.store().get(&SHORT_LIVED, (kind.name(), key)).await?;
        Ok(row.filter(|row| row.expires_ms > self.now_ms()))
    }

    /// Adds to `batch` that `row` under `key` is used up; the batch fails if somebody else used it first.
    pub(crate) fn use_up(&self, batch: &mut Batch, kind: Kind, key: &[u8], row: &ShortLivedRow) {
        batch.expect(&SHORT_LIVED, (kind.name(), key), Some(row));
        batch.delete(&SHORT_LIVED, (kind.name(), key)).delete(&EXPIRIES, (row.expires_ms, kind.name(), key));
    }

    /// Adds to `batch` that `row` under `key` now holds `content`, expiring when it did; as careful as [`Self::use_up`].
    pub(crate) fn rewrite(&self, batch: &mut Batch, kind: Kind, key: &[u8], row: &ShortLivedRow, content: String) {
        batch.expect(&SHORT_LIVED, (kind.name(), key), Some(row));
        batch.put(&SHORT_LIVED, (kind.name(), key), &ShortLivedRow { content, ..row.clone() });
    }

    /// Removes what has expired. Called now and then by the workers; answers how many rows went.
    pub async fn sweep(&self) -> Result<usize> {
        let mut removed = 0;
        loop {
            let scan = EXPIRIES.all().before(&EXPIRIES, (self.now_ms(), "", &[])).limit(SWEEP_ROWS);
            let rows = self.store().scan(&EXPIRIES, scan).await?;
            if rows.is_empty() {
                return Ok(removed);
            }
            let mut batch = Batch::new();
            for ((expires_ms, kind, key), ()) in &rows {
                batch.delete(&EXPIRIES, (*expires_ms, kind, key)).delete(&SHORT_LIVED, (kind, key));
            }
            self.store().commit(batch).await?;
            removed += rows.len();
        }
    }
}
