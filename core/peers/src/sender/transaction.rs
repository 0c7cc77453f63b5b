//! One transaction: its id, its body, what it holds.

use ruma::ServerName;
use serde_json::json;

use super::{Edu, Piece, destination::Behind, outbox::Place};

/// The specification's limits of a transaction.
pub(crate) const PDUS_MAX: usize = 50;
pub(crate) const EDUS_MAX: usize = 100;

/// A transaction on its way. It stays the same, id and body, until it has arrived or is given up.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    pub(crate) id: String,
    pub(crate) body: Vec<u8>,
    pub(crate) pdus: u64,
    pub(crate) edus: u64,
    /// What it holds only part of: from where the rest is.
    pub(crate) rest: Behind,
    /// What it holds of the outbox.
    pub(crate) outbox: Vec<Place>,
}

/// A transaction in the making.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pdus: Vec<String>,
    edus: Vec<String>,
    pub(crate) rest: Behind,
    pub(crate) outbox: Vec<Place>,
}

impl Draft {
    /// How many events it can still take.
    pub(crate) fn pdus_left(&self) -> usize {
        PDUS_MAX.saturating_sub(self.pdus.len())
    }

    /// How many other units it can still take.
    pub(crate) fn edus_left(&self) -> usize {
        EDUS_MAX.saturating_sub(self.edus.len())
    }

    pub(crate) fn add(&mut self, piece: &Piece) {
        match piece {
            Piece::Pdu(json) => self.pdus.push(json.to_string()),
            Piece::Edu(edu) => self.add_edu(edu),
        }
    }

    pub(crate) fn add_edu(&mut self, edu: &Edu) {
        self.edus.push(edu.to_json());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pdus.is_empty() && self.edus.is_empty()
    }

    /// The finished transaction.
    pub(crate) fn finish(self, id: String, origin: &ServerName, now_ms: u64) -> Transaction {
        let body = format!(
            r#"{{"origin":{},"origin_server_ts":{now_ms},"pdus":[{}],"edus":[{}]}}"#,
            json!(origin.as_str()),
            self.pdus.join(","),
            self.edus.join(","),
        );
        let count = |list: &[String]| u64::try_from(list.len()).unwrap_or(u64::MAX);
        Transaction {
            id,
            pdus: count(&self.pdus),
            edus: count(&self.edus),
            body: body.into_bytes(),
            rest: self.rest,
            outbox: self.outbox,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::server_name;

    #[test]
    fn a_transaction_is_the_specifications_json() {
        let mut draft = Draft::default();
        draft.add(&Piece::Pdu(r#"{"a":1}"#.into()));
        draft.add_edu(&Edu::new("m.typing", json!({ "x": "é" })));
        let transaction = draft.finish("1".into(), server_name!("a"), 7);
        let body: serde_json::Value = serde_json::from_slice(&transaction.body).expect("JSON");
        let edu = json!({ "edu_type": "m.typing", "content": { "x": "é" } });
        assert_eq!(body, json!({ "origin": "a", "origin_server_ts": 7, "pdus": [{ "a": 1 }], "edus": [edu] }));
        assert_eq!((transaction.pdus, transaction.edus), (1, 1));
    }
}
