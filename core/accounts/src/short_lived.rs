//! Things given out for a while and then forgotten: nonces, interactive authentication, login and OpenID tokens.

use lyceum_storage::Batch;
use std::sync::atomic::Ordering;

use crate::{
    Accounts,
    error::Result,
    tables::{EXPIRIES, SHORT_LIVED, ShortLivedRow},
};

/// Expired rows removed in one step of the sweep.
const SWEEP_ROWS: usize = 500;

/// Transactions of other servers that are remembered; of more the oldest are forgotten.
const PEER_TRANSACTIONS_MAX: usize = 500_000;

/// They are counted after so many new ones.
const COUNTED_EVERY: u32 = 50_000;

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
    /// The same of another server.
    PeerToDevice,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Nonce => "nonce",
            Self::Interactive => "interactive",
            Self::LoginToken => "login",
            Self::OpenId => "openid",
            Self::ToDevice => "to-device",
            Self::PeerToDevice => "peer-to-device",
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

    /// Removes what has expired or is too much. Called now and then by the workers; answers how many rows went.
    pub async fn sweep(&self) -> Result<usize> {
        let mut removed = 0;
        if self.peer_messages().load(Ordering::Relaxed) >= COUNTED_EVERY {
            removed += self.forget_oldest(Kind::PeerToDevice, PEER_TRANSACTIONS_MAX).await?;
            self.peer_messages().store(0, Ordering::Relaxed);
        }
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

    /// Removes the oldest rows of a kind, but for so many. Answers how many went.
    async fn forget_oldest(&self, kind: Kind, most: usize) -> Result<usize> {
        let (mut count, mut after) = (0, None);
        while let Some(page) = self.expiring(kind, &mut after).await? {
            count += page.len();
        }
        let surplus = count.saturating_sub(most);
        let (mut removed, mut after) = (0, None);
        while removed < surplus
            && let Some(page) = self.expiring(kind, &mut after).await?
        {
            let mut batch = Batch::new();
            for (expires_ms, kind, key) in page.iter().take(surplus - removed) {
                batch.delete(&EXPIRIES, (*expires_ms, kind, key)).delete(&SHORT_LIVED, (kind, key));
                removed += 1;
            }
            if !batch.is_empty() {
                self.store().commit(batch).await?;
            }
        }
        Ok(removed)
    }

    /// The next page of what expires, oldest first: of it those of a kind. Nothing after the last.
    async fn expiring(&self, kind: Kind, after: &mut Option<Expiry>) -> Result<Option<Vec<Expiry>>> {
        let mut scan = EXPIRIES.all().limit(SWEEP_ROWS);
        if let Some((expires_ms, kind, key)) = after {
            scan = scan.after(&EXPIRIES, (*expires_ms, kind, key));
        }
        let rows = self.store().scan(&EXPIRIES, scan).await?;
        let Some((last, ())) = rows.last() else { return Ok(None) };
        *after = Some(last.clone());
        Ok(Some(rows.into_iter().map(|(key, ())| key).filter(|(_, name, _)| name == kind.name()).collect()))
    }
}

/// When something expires, its kind and its key.
type Expiry = (u64, String, Vec<u8>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;
    use std::time::Duration;

    #[tokio::test]
    async fn of_one_kind_the_oldest_are_forgotten() {
        let Fixture { accounts, clock } = Fixture::with_people(&[]).await;
        for n in 0..600_u32 {
            let mut batch = Batch::new();
            accounts.keep_once(&mut batch, Kind::PeerToDevice, &n.to_be_bytes(), 1_000_000);
            accounts.keep_once(&mut batch, Kind::ToDevice, &n.to_be_bytes(), 1_000_000);
            accounts.store().commit(batch).await.unwrap();
            clock.advance(Duration::from_millis(1));
        }
        assert_eq!(accounts.forget_oldest(Kind::PeerToDevice, 40).await.unwrap(), 560);
        let kept = async |kind, n: u32| accounts.kept(kind, &n.to_be_bytes()).await.unwrap().is_some();
        assert!(!kept(Kind::PeerToDevice, 559).await && kept(Kind::PeerToDevice, 560).await);
        assert!(kept(Kind::ToDevice, 0).await, "others are as they were");
    }
}
