//! Verifying the chain: every row follows from the one before, and the last one is signed. As each row's hash stands in the
//! next one, the last signature vouches for all of them; the signatures in between are asked where the chain is broken, to
//! say which row it was.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use ed25519_dalek::{Signature, VerifyingKey};
use lyceum_events::{canonical, parse_object};
use ruma::CanonicalJsonValue;
use std::collections::HashMap;

use super::row::{self, Links, SIGNATURE};

/// Findings described at most; further ones are only counted.
const FINDINGS_MAX: usize = 100;

/// What a walk over the chain found.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// Rows looked at.
    pub rows: u64,
    /// The number of the last one.
    pub last: u64,
    /// Its hash: whoever has written it down elsewhere can tell later that nothing before it was changed.
    pub hash: String,
    /// What is wrong, in words: the first of it.
    pub findings: Vec<String>,
    /// How much is wrong.
    pub wrong: u64,
}

/// Walks over rows in order.
pub struct Verifier {
    keys: HashMap<String, VerifyingKey>,
    /// The row before, whole: to say whether it was that one that changed.
    last: Option<String>,
    checked: Checked,
}

impl Verifier {
    /// With the public keys that may have signed, by their ids.
    pub fn new(keys: impl IntoIterator<Item = (String, [u8; 32])>) -> Self {
        let keys = keys.into_iter().filter_map(|(id, bytes)| Some((id, VerifyingKey::from_bytes(&bytes).ok()?)));
        Self { keys: keys.collect(), last: None, checked: Checked::default() }
    }

    /// Looks at the row that is kept under this number.
    pub fn take(&mut self, kept_as: u64, line: &str) {
        let expected = self.checked.last + 1;
        for missing in expected..kept_as.min(expected + FINDINGS_MAX as u64) {
            self.wrong(format!("row {missing} was removed"));
        }
        match serde_json::from_str::<Links>(line) {
            Err(error) => self.wrong(format!("row {kept_as} was changed: {error}")),
            Ok(links) if links.number != kept_as => {
                self.wrong(format!("row {kept_as} was swapped: what is kept there is row {}", links.number));
            }
            Ok(links) if kept_as == expected && links.previous != self.checked.hash => self.blame(kept_as, line),
            Ok(_) => {}
        }
        self.checked.rows += 1;
        self.checked.last = kept_as;
        self.checked.hash = row::hash(line);
        self.last = Some(line.to_owned());
    }

    /// Two rows do not fit together: says which of them is not what was signed.
    fn blame(&mut self, number: u64, line: &str) {
        let before = self.last.take();
        let before_is_whole = before.as_deref().is_none_or(|before| self.is_signed(before));
        if !before_is_whole {
            self.wrong(format!("row {} was changed: its signature does not match", number - 1));
        } else if self.is_signed(line) {
            self.wrong(format!("row {number} was swapped: it was written after another row {}", number - 1));
        } else {
            self.wrong(format!("row {number} was changed: its signature does not match"));
        }
    }

    /// Ends the walk. `end` is the number and hash that the chain is known to end with.
    pub fn finish(mut self, end: Option<(u64, &str)>) -> Checked {
        let (last, hash) = (self.checked.last, self.checked.hash.clone());
        if let Some(line) = self.last.take()
            && !self.is_signed(&line)
        {
            self.wrong(format!("row {last} was changed: its signature does not match"));
        } else if let Some((number, known)) = end {
            for missing in (last + 1..=number).take(FINDINGS_MAX) {
                self.wrong(format!("row {missing} was removed"));
            }
            if number == last && known != hash {
                self.wrong(format!("row {last} was changed: the chain ends with another hash"));
            }
        }
        self.checked
    }

    fn is_signed(&self, line: &str) -> bool {
        let Ok(mut row) = parse_object(line) else { return false };
        let Some(CanonicalJsonValue::String(signature)) = row.remove(SIGNATURE) else { return false };
        let key = row.get("key").and_then(CanonicalJsonValue::as_str).and_then(|id| self.keys.get(id));
        let signature = STANDARD_NO_PAD.decode(signature).ok().and_then(|bytes| Signature::from_slice(&bytes).ok());
        key.zip(signature)
            .is_some_and(|(key, signature)| key.verify_strict(canonical(&row).as_bytes(), &signature).is_ok())
    }

    fn wrong(&mut self, what: String) {
        self.checked.wrong += 1;
        if self.checked.findings.len() < FINDINGS_MAX {
            self.checked.findings.push(what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::{Actor, Entry},
        tables::StoredEnd,
    };
    use lyceum_events::ServerKey;
    use ruma::server_name;
    use std::time::{Duration, Instant};

    fn key(seed: u8) -> ServerKey {
        ServerKey::from_seed(server_name!("alpha.test").to_owned(), &[seed; 32], &format!("a{seed}")).unwrap()
    }

    fn rows(count: u64) -> Vec<(u64, String)> {
        let (key, mut end) = (key(1), StoredEnd::default());
        let row = |at: u64| {
            let entry = Entry { over: Some(format!("@p{at}:alpha.test")), ..Entry::new(&Actor::Operator, "test.act") };
            let line = row::write(&entry, &end, at, &key).unwrap();
            end = StoredEnd { number: at, hash: row::hash(&line), key: key.id() };
            (at, line)
        };
        (1..=count).map(row).collect()
    }

    fn verified(rows: &[(u64, String)], end: (u64, &str)) -> Vec<String> {
        let mut verifier = Verifier::new([(key(1).id(), key(1).public_key())]);
        for (number, line) in rows {
            verifier.take(*number, line);
        }
        verifier.finish(Some(end)).findings
    }

    #[test]
    fn a_changed_removed_or_swapped_row_is_found_and_named() {
        let whole = rows(6);
        let hash = row::hash(&whole[5].1);
        let end = (6, hash.as_str());
        assert!(verified(&whole, end).is_empty());

        let changed = |at: usize, from: &str, to: &str| {
            let mut rows = whole.clone();
            rows[at].1 = rows[at].1.replace(from, to);
            verified(&rows, end)
        };
        for at in 0..6 {
            let named = format!("row {} was changed: its signature does not match", at + 1);
            assert_eq!(changed(at, "test.act", "test.fact"), [named.as_str()]);
            assert_eq!(changed(at, "\"signature\":\"", "\"signature\":\"A"), [named.as_str()]);
        }
        assert!(changed(2, "{", "")[0].starts_with("row 3 was changed"));
        for at in 0..6 {
            let mut rows = whole.clone();
            rows.remove(at);
            assert_eq!(verified(&rows, end), [format!("row {} was removed", at + 1)]);
        }
        let mut rows = whole.clone();
        (rows[1].1, rows[3].1) = (whole[3].1.clone(), whole[1].1.clone());
        let found = verified(&rows, end);
        assert!(found.contains(&"row 2 was swapped: what is kept there is row 4".to_owned()), "{found:?}");
        assert!(found.contains(&"row 4 was swapped: what is kept there is row 2".to_owned()), "{found:?}");
    }

    #[test]
    fn a_row_of_another_key_is_no_row_of_this_chain() {
        let mut whole = rows(3);
        let before = StoredEnd { number: 2, hash: row::hash(&whole[1].1), key: String::new() };
        whole[2].1 = row::write(&Entry::new(&Actor::Server, "test.act"), &before, 3, &key(2)).unwrap();
        let hash = row::hash(&whole[2].1);
        assert_eq!(verified(&whole, (3, &hash)), ["row 3 was changed: its signature does not match"]);
    }

    #[test]
    #[expect(clippy::print_stdout, reason = "docs/benchmarks.md holds the figure")]
    fn a_long_chain_is_verified_in_seconds() {
        const ROWS: u64 = 100_000;
        const WITHIN: Duration = Duration::from_secs(5);
        let rows = rows(ROWS);
        let hash = row::hash(&rows.last().unwrap().1);
        let begun = Instant::now();
        assert!(verified(&rows, (ROWS, &hash)).is_empty());
        let took = begun.elapsed();
        println!("{ROWS} rows are verified in {took:?}");
        assert!(took < WITHIN, "{ROWS} rows took {took:?}");
    }
}
