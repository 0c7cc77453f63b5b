//! One transaction: its id, its body, what it holds.

use ruma::ServerName;
use serde_json::json;

use super::{Edu, Piece, destination::Behind, outbox::Place};

/// The specification's limits of a transaction.
pub(crate) const PDUS_MAX: usize = 50;
pub(crate) const EDUS_MAX: usize = 100;

/// The bytes of a transaction, unless it holds a single piece that is larger: the specification names no limit, but every
/// server has one for the body of a request.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// A transaction on its way. It stays the same, id and body, until it has arrived or is given up.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    pub(crate) id: String,
    pub(crate) at_ms: u64,
    pub(crate) held: Draft,
}

impl Transaction {
    /// The request's body.
    pub(crate) fn body(&self, origin: &ServerName) -> Vec<u8> {
        let edus: Vec<_> = self.held.edus.iter().map(|unit| unit.json.as_str()).collect();
        let body = format!(
            r#"{{"origin":{},"origin_server_ts":{},"pdus":[{}],"edus":[{}]}}"#,
            json!(origin.as_str()),
            self.at_ms,
            self.held.pdus.join(","),
            edus.join(","),
        );
        body.into_bytes()
    }
}

/// What a transaction holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    pdus: Vec<String>,
    edus: Vec<Unit>,
    bytes: usize,
    /// What it holds only part of: from where the rest is.
    pub(crate) rest: Behind,
}

/// A unit that is no event.
#[derive(Debug, Clone)]
struct Unit {
    json: String,
    /// Where it stands in the outbox, if it came from there.
    place: Option<Place>,
}

impl Draft {
    /// How many events it can still take.
    pub(crate) fn pdus_left(&self) -> usize {
        if self.bytes < BYTES_MAX { PDUS_MAX.saturating_sub(self.pdus.len()) } else { 0 }
    }

    /// How many other units it can still take.
    pub(crate) fn edus_left(&self) -> usize {
        if self.bytes < BYTES_MAX { EDUS_MAX.saturating_sub(self.edus.len()) } else { 0 }
    }

    /// Takes a piece if there is room for it. Answers whether there was.
    #[must_use]
    pub(crate) fn add(&mut self, piece: &Piece) -> bool {
        match piece {
            Piece::Pdu(json) if self.pdus_left() > 0 && self.has_room(json) => {
                self.bytes += json.len();
                self.pdus.push(json.to_string());
                true
            }
            Piece::Pdu(_) => false,
            Piece::Edu(edu) => self.add_edu(edu, None),
        }
    }

    /// Takes a unit if there is room for it. Answers whether there was.
    #[must_use]
    pub(crate) fn add_edu(&mut self, edu: &Edu, place: Option<Place>) -> bool {
        let unit = Unit { json: edu.to_json(), place };
        let has_room = self.edus_left() > 0 && self.has_room(&unit.json);
        if has_room {
            self.bytes += unit.json.len();
            self.edus.push(unit);
        }
        has_room
    }

    /// Takes what passes, which waits nowhere: it may go over the limit of bytes by its own.
    pub(crate) fn add_passing(&mut self, edu: &Edu) {
        let json = edu.to_json();
        self.bytes += json.len();
        self.edus.push(Unit { json, place: None });
    }

    /// The first piece always has room: it will not become smaller.
    fn has_room(&self, json: &str) -> bool {
        self.is_empty() || self.bytes + json.len() <= BYTES_MAX
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces() == 0
    }

    /// How many pieces there are.
    pub(crate) fn pieces(&self) -> usize {
        self.pdus.len() + self.edus.len()
    }

    /// How many events, and how many other units.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        (count(self.pdus.len()), count(self.edus.len()))
    }

    /// What it holds of the outbox.
    pub(crate) fn outbox(&self) -> Vec<Place> {
        self.edus.iter().filter_map(|unit| unit.place).collect()
    }

    /// The same in two parts; nothing if it is a single piece. What is still to come after it comes after the second.
    pub(crate) fn halves(&self) -> Option<(Self, Self)> {
        let half = self.pieces() / 2;
        if half == 0 {
            return None;
        }
        let (pdus, more_pdus) = self.pdus.split_at(half.min(self.pdus.len()));
        let (edus, more_edus) = self.edus.split_at(half - pdus.len());
        let part = |pdus: &[String], edus: &[Unit], rest| Self {
            pdus: pdus.to_vec(),
            edus: edus.to_vec(),
            bytes: pdus.iter().map(String::len).sum::<usize>() + edus.iter().map(|unit| unit.json.len()).sum::<usize>(),
            rest,
        };
        Some((part(pdus, edus, Behind::new()), part(more_pdus, more_edus, self.rest.clone())))
    }

    #[cfg(test)]
    pub(crate) fn with_rest(rest: Behind) -> Self {
        Self { rest, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::server_name;
    use std::sync::Arc;

    fn edu(content: serde_json::Value) -> Piece {
        Piece::Edu(Arc::new(Edu::new("m.test", content)))
    }

    fn body(held: &Draft) -> serde_json::Value {
        let transaction = Transaction { id: "1".into(), at_ms: 7, held: held.clone() };
        serde_json::from_slice(&transaction.body(server_name!("a"))).expect("JSON")
    }

    #[test]
    fn a_transaction_is_the_specifications_json() {
        let mut draft = Draft::default();
        assert!(draft.add(&Piece::Pdu(r#"{"a":1}"#.into())) && draft.add(&edu(json!({ "x": "é" }))));
        let edu = json!({ "edu_type": "m.test", "content": { "x": "é" } });
        let expected = json!({ "origin": "a", "origin_server_ts": 7, "pdus": [{ "a": 1 }], "edus": [edu] });
        assert_eq!(body(&draft), expected);
        assert_eq!(draft.counts(), (1, 1));
    }

    #[test]
    fn a_transaction_takes_no_more_than_others_do_but_one_piece_of_any_size() {
        let mut draft = Draft::default();
        assert!((0..EDUS_MAX).all(|n| draft.add(&edu(n.into()))), "a hundred units are taken");
        assert!(!draft.add(&edu(json!({}))) && draft.add(&Piece::Pdu("{}".into())), "no more of them, but events");
        let large = edu("x".repeat(BYTES_MAX).into());
        let mut draft = Draft::default();
        assert!(draft.add(&large), "what is too large for company goes alone");
        assert!(!draft.add(&Piece::Pdu("{}".into())) && draft.edus_left() == 0);
        let mut draft = Draft::default();
        assert!(draft.add(&Piece::Pdu("{}".into())) && !draft.add(&large), "it waits for the next one");
        assert!(draft.add(&edu(json!({}))));
    }

    #[test]
    fn halves_hold_everything_in_order_and_the_rest_comes_last() {
        let mut draft = Draft::with_rest([("!r".into(), 5)].into());
        assert!((0..3).all(|n| draft.add(&Piece::Pdu(n.to_string().into()))));
        assert!(draft.add_edu(&Edu::new("m.test", json!({})), Some((1, 0))));
        let (first, second) = draft.halves().expect("four pieces");
        assert_eq!((&body(&first)["pdus"], first.rest.len()), (&json!([0, 1]), 0));
        assert_eq!((&body(&second)["pdus"], second.counts(), second.rest.len()), (&json!([2]), (1, 1), 1));
        assert_eq!((first.outbox().len(), second.outbox()), (0, vec![(1, 0)]));
        let (first, second) = second.halves().expect("two pieces");
        assert!(first.halves().is_none() && second.halves().is_none());
        assert_eq!((first.counts(), second.counts()), ((1, 0), (0, 1)));
    }
}
