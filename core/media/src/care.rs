//! What administrators do with media: look at them, keep them from everybody, take them away.

use lyceum_storage::{Batch, CommitError};
use ruma::{ServerName, UserId};
use std::collections::BTreeMap;

use crate::{
    Media, MediaError,
    tables::{AWAITED, ContentRow, MEDIA, MediaRow, QUARANTINED, USAGE, USES},
};

/// Rows looked at at once.
const PAGE: usize = 500;
/// What has been in a bucket for so long is written down by now, if anything stands for it.
const SETTLED_MS: u64 = 24 * 60 * 60 * 1_000;
/// How often a removal is tried again when the same row changes meanwhile.
const TRIES: usize = 8;

/// Media with content, as they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The server they come from.
    pub server: String,
    /// Their id there.
    pub id: String,
    /// Who uploaded them, if it was here.
    pub owner: Option<String>,
    /// When they came.
    pub created_ms: u64,
    /// Their size.
    pub bytes: u64,
    /// Their type, as whoever uploaded them says.
    pub content_type: Option<String>,
    /// Their name.
    pub filename: Option<String>,
    /// Who keeps them from everybody.
    pub quarantined_by: Option<String>,
}

/// What somebody has uploaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Uploads {
    /// Files.
    pub files: u64,
    /// Their size in all.
    pub bytes: u64,
}

/// A row of MEDIA.
type Row = ((String, String), MediaRow);

impl Media {
    /// What is kept under an id.
    pub async fn kept(&self, server: &ServerName, id: &str) -> Result<Option<Kept>, MediaError> {
        let Some(row) = self.row(server, id).await? else { return Ok(None) };
        self.described(((server.to_string(), id.to_owned()), row)).await
    }

    /// Everything that somebody uploaded, newest first.
    pub async fn uploaded_by(&self, owner: &UserId) -> Result<Vec<Kept>, MediaError> {
        let mut kept = Vec::new();
        let mut after = Some((self.server().to_string(), String::new()));
        while let Some(place) = after.take() {
            let rows = self.rows_after(Some(&place)).await?;
            let own = rows.iter().take_while(|((server, _), _)| server == self.server().as_str());
            for row in own.clone().filter(|(_, row)| row.owner.as_deref() == Some(owner.as_str())) {
                kept.extend(self.described(row.clone()).await?);
            }
            let went_on = own.count() == rows.len();
            after = rows.into_iter().next_back().map(|(place, _)| place).filter(|_| went_on);
        }
        kept.sort_by_key(|media| std::cmp::Reverse(media.created_ms));
        Ok(kept)
    }

    /// How many files people have here that came in a time, and how large these are together.
    pub async fn uploaded_between(&self, from_ms: u64, until_ms: u64) -> Result<BTreeMap<String, Uploads>, MediaError> {
        let (mut uploads, mut after) =
            (BTreeMap::<_, Uploads>::new(), Some((self.server().to_string(), String::new())));
        while let Some(place) = after.take() {
            let rows = self.rows_after(Some(&place)).await?;
            let own = rows.iter().take_while(|((server, _), _)| server == self.server().as_str());
            for (_, row) in own.clone().filter(|(_, row)| (from_ms..=until_ms).contains(&row.created_ms)) {
                if let (Some(owner), ContentRow::Kept { bytes, .. }) = (&row.owner, &row.content) {
                    let of_owner = uploads.entry(owner.clone()).or_default();
                    of_owner.files += 1;
                    of_owner.bytes = of_owner.bytes.saturating_add(*bytes);
                }
            }
            let went_on = own.count() == rows.len();
            after = rows.into_iter().next_back().map(|(place, _)| place).filter(|_| went_on);
        }
        Ok(uploads)
    }

    /// Keeps media from everybody until they are released. Those of other servers need not be here yet.
    pub async fn quarantine(&self, server: &ServerName, id: &str, by: &UserId) -> Result<(), MediaError> {
        if self.is_own(server) && self.row(server, id).await?.is_none() {
            return Err(MediaError::NotFound);
        }
        let mut batch = Batch::new();
        batch.put(&QUARANTINED, (server.as_str(), id), &by.to_string());
        self.0.store.commit(batch).await?;
        Ok(())
    }

    /// Lets media be seen again.
    pub async fn release(&self, server: &ServerName, id: &str) -> Result<(), MediaError> {
        let mut batch = Batch::new();
        batch.delete(&QUARANTINED, (server.as_str(), id));
        self.0.store.commit(batch).await?;
        Ok(())
    }

    /// Refuses media that are kept from everybody.
    pub(crate) async fn check_quarantine(&self, server: &ServerName, id: &str) -> Result<(), MediaError> {
        match self.0.store.get(&QUARANTINED, (server.as_str(), id)).await? {
            Some(_) => Err(MediaError::Quarantined),
            None => Ok(()),
        }
    }

    /// Takes media away: for good if they are this server's own, else until they are fetched again. Answers whether there
    /// were any.
    pub async fn remove(&self, server: &ServerName, id: &str) -> Result<bool, MediaError> {
        for _ in 0..TRIES {
            let Some(row) = self.row(server, id).await? else { return Ok(false) };
            match self.0.store.commit(self.removal(server, id, &row).await?).await {
                Err(CommitError::Conflict(_)) => continue,
                done => done?,
            };
            if let ContentRow::Kept { hash, .. } = &row.content {
                self.remove_unused(hash).await?;
            }
            return Ok(true);
        }
        Err(MediaError::Busy)
    }

    /// Everything that one row implies, undone.
    async fn removal(&self, server: &ServerName, id: &str, row: &MediaRow) -> Result<Batch, MediaError> {
        let (server, mut batch) = (server.as_str(), Batch::new());
        batch.expect(&MEDIA, (server, id), Some(row)).delete(&MEDIA, (server, id));
        match (&row.content, &row.owner) {
            (ContentRow::Kept { hash, bytes, .. }, owner) => {
                batch.delete(&USES, (&hash[..], server, id));
                if let Some(owner) = owner
                    && let Some(usage) = self.0.store.get(&USAGE, owner.as_str()).await?
                {
                    let mut less = usage.clone();
                    less.files = less.files.saturating_sub(1);
                    less.bytes = less.bytes.saturating_sub(*bytes);
                    batch.expect(&USAGE, owner.as_str(), Some(&usage)).put(&USAGE, owner.as_str(), &less);
                }
            }
            (ContentRow::Awaited { .. }, Some(owner)) => {
                batch.delete(&AWAITED, (owner.as_str(), id));
            }
            (ContentRow::Awaited { .. }, None) => {}
        }
        Ok(batch)
    }

    /// Removes a file that nothing stands for any more. Nobody is about to say that something does. Answers whether it was so.
    async fn remove_unused(&self, hash: &[u8]) -> Result<bool, MediaError> {
        if self.is_used(hash).await? {
            return Ok(false);
        }
        let _alone = self.0.files.alone().await;
        let unused = !self.is_used(hash).await?;
        if unused {
            self.0.files.remove(hash).await?;
        }
        Ok(unused)
    }

    async fn is_used(&self, hash: &[u8]) -> Result<bool, MediaError> {
        Ok(!self.0.store.scan(&USES, USES.prefix((hash,)).limit(1)).await?.is_empty())
    }

    /// Removes files that nothing stands for: what was left where the server ended between keeping a file and writing that down,
    /// or between forgetting one and removing it. Answers how many there were.
    pub async fn tidy(&self) -> Result<usize, MediaError> {
        let (mut removed, until_ms) = (0, self.now_ms().saturating_sub(SETTLED_MS));
        for shelf in self.0.files.shelves().await? {
            for hash in self.0.files.hashes_on(&shelf, until_ms).await? {
                removed += usize::from(self.remove_unused(&hash).await?);
            }
        }
        Ok(removed)
    }

    /// Removes what uploads left that broke off when the server ended. To be done before there are new ones.
    pub async fn remove_unfinished(&self) -> Result<usize, MediaError> {
        Ok(self.0.files.remove_unfinished().await?)
    }

    /// Removes this server's own media that came before a time and are larger than so many bytes. Answers which.
    pub async fn remove_own(&self, before_ms: u64, larger_than: u64) -> Result<Vec<String>, MediaError> {
        let old = |((server, _), row): &Row| {
            let large = matches!(&row.content, ContentRow::Kept { bytes, .. } if *bytes > larger_than);
            server == self.server().as_str() && row.created_ms < before_ms && large
        };
        self.remove_where(old).await
    }

    /// Removes what was fetched from other servers before a time. It is fetched again when somebody asks. Answers which.
    pub async fn remove_fetched(&self, before_ms: u64) -> Result<Vec<String>, MediaError> {
        let old = |((server, _), row): &Row| server != self.server().as_str() && row.created_ms < before_ms;
        self.remove_where(old).await
    }

    async fn remove_where(&self, chosen: impl Fn(&Row) -> bool) -> Result<Vec<String>, MediaError> {
        let (mut removed, mut after) = (Vec::new(), None::<(String, String)>);
        loop {
            let rows = self.rows_after(after.as_ref()).await?;
            let Some((last, _)) = rows.last() else { return Ok(removed) };
            after = Some(last.clone());
            for ((server, id), _) in rows.iter().filter(|row| chosen(row)) {
                if let Ok(server) = <&ServerName>::try_from(server.as_str())
                    && self.remove(server, id).await?
                {
                    removed.push(id.clone());
                }
            }
        }
    }

    async fn rows_after(&self, after: Option<&(String, String)>) -> Result<Vec<Row>, MediaError> {
        let scan = match after {
            Some((server, id)) => MEDIA.all().after(&MEDIA, (server.as_str(), id.as_str())),
            None => MEDIA.all(),
        };
        Ok(self.0.store.scan(&MEDIA, scan.limit(PAGE)).await?)
    }

    async fn described(&self, ((server, id), row): Row) -> Result<Option<Kept>, MediaError> {
        let ContentRow::Kept { bytes, content_type, filename, .. } = row.content else { return Ok(None) };
        let quarantined_by = self.0.store.get(&QUARANTINED, (server.as_str(), id.as_str())).await?;
        let (owner, created_ms) = (row.owner, row.created_ms);
        Ok(Some(Kept { server, id, owner, created_ms, bytes, content_type, filename, quarantined_by }))
    }
}
