//! The errors that the specification names, and how a story says that it met one of them.

use http::Method;
use serde_json::Value;

use super::person::Answer;

/// Every operation with its errors; `tests/stories/tidy/errors.rs` holds that each is met by a story.
const NAMED: &str = include_str!("../errors/named.txt");

/// One error of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) status: u16,
    /// `*` where the specification gives none.
    pub(crate) code: &'static str,
}

impl Named {
    /// What stories call it.
    pub(crate) fn name(&self) -> String {
        format!("{} {} {}", self.operation, self.status, self.code)
    }

    /// Whether this path, with any query, is one of the operation's.
    fn is_at(&self, path: &str) -> bool {
        let path = path.split('?').next().unwrap_or_default();
        let (asked, shape): (Vec<_>, Vec<_>) = (path.split('/').collect(), self.path.split('/').collect());
        let fits = |(asked, shape): (&&str, &&str)| shape.starts_with('{') || asked == shape;
        asked.len() == shape.len() && asked.iter().zip(&shape).all(fits)
    }
}

/// Everything that is named, in the order of the list.
pub(crate) fn named() -> Vec<Named> {
    let (mut all, mut operation) = (Vec::new(), None);
    for line in NAMED.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let words: Vec<_> = line.split_whitespace().collect();
        match (&words[..], &operation) {
            ([name, method, path], _) => {
                let method: Method = method.parse().unwrap_or_else(|_| panic!("{line:?} names no method"));
                operation = Some((*name, method, *path));
            }
            ([status, code], Some((operation, method, path))) => {
                let status = status.parse().unwrap_or_else(|_| panic!("{line:?} names no status"));
                all.push(Named { operation, method: method.clone(), path, status, code });
            }
            _ => panic!("errors/named.txt holds a line that is neither an operation nor an error: {line:?}"),
        }
    }
    all
}

impl Answer {
    /// Checks that this is the error which the specification names so, at the operation that it names; answers its body.
    #[track_caller]
    pub(crate) fn refused_as(self, name: &str) -> Value {
        let Some(named) = named().into_iter().find(|named| named.name() == name) else {
            panic!("the specification names no error {name:?}")
        };
        let (method, path) = self.asked();
        assert!(method == named.method.as_str() && named.is_at(path), "{name} is not about {method} {path}");
        let code = self.json["errcode"].as_str();
        // The first answer of interactive authentication has ways to go on instead of a code.
        let fits = match named.code {
            "*" => code.is_some() || self.json["flows"].is_array(),
            expected => code == Some(expected),
        };
        assert!(
            fits && self.status == named.status,
            "{name}: {method} {path} was answered {} {}",
            self.status,
            self.json
        );
        self.json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_known_by_its_path() {
        let all = named();
        let named = all.iter().find(|named| named.operation == "setRoomStateWithKey").expect("it is in the list");
        assert_eq!(named.method, Method::PUT);
        assert!(named.is_at("/_matrix/client/v3/rooms/!r:a/state/m.room.name/?x=/"));
        assert!(!named.is_at("/_matrix/client/v3/rooms/!r:a/state/m.room.name"));
        assert!(!named.is_at("/_matrix/client/v3/rooms/!r:a/send/m.room.name/1"));
    }
}
