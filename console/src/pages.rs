//! Pages of lists: so many entries, and where the next page begins.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use lyceum_web::{ApiError, RawJson};

/// Entries of a page, unless asked otherwise, and at most.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1_000;

/// How many entries a program wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Limit(usize);

impl Limit {
    pub(crate) fn of(limit: Option<Self>) -> usize {
        limit.map_or(PAGE, |Self(limit)| limit).clamp(1, PAGE_MAX)
    }
}

/// The entries after a place, in the order they come in; and the next page's beginning if there is more.
pub(crate) fn page<T: Serialize>(
    name: &str,
    entries: impl Iterator<Item = T>,
    limit: usize,
    place: impl Fn(&T) -> String,
) -> Result<RawJson, ApiError> {
    let mut found: Vec<T> = entries.take(limit + 1).collect();
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(place);
    listing(name, &found, next)
}

/// The answer with a page of a list.
pub(crate) fn listing<T: Serialize>(name: &str, entries: &[T], next: Option<String>) -> Result<RawJson, ApiError> {
    let mut answer = json!({ name: entries });
    if let Some(next) = next {
        answer["next"] = Value::from(next);
    }
    RawJson::of(&answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(limit: usize) -> Value {
        let RawJson(bytes) = page("numbers", [1, 2, 3].into_iter(), limit, |last| format!("n{last}")).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn a_page_says_where_the_next_begins_if_there_is_one() {
        assert_eq!(told(2), json!({ "numbers": [1, 2], "next": "n2" }));
        assert_eq!(told(3), json!({ "numbers": [1, 2, 3] }));
        assert_eq!(Limit::of(None), PAGE);
        assert_eq!((Limit::of(Some(Limit(0))), Limit::of(Some(Limit(usize::MAX)))), (1, PAGE_MAX));
    }
}
