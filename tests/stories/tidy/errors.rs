//! The errors that the specification names against the stories: each is met by one, or stands in `excused.txt` with the reason
//! why it cannot happen here.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::named::named;

const EXCUSED: &str = include_str!("../errors/excused.txt");

/// Rate limits are all met by one story, which goes through the list itself: `errors/limits.rs`.
const LIMITED: u16 = 429;

#[test]
fn every_named_error_is_met_or_cannot_happen() {
    let all: BTreeSet<String> = named().iter().map(|named| named.name()).collect();
    let (met, excused) = (met(), excused());
    let strange: Vec<_> = met.difference(&all).collect();
    assert!(strange.is_empty(), "the specification names no such errors: {strange:#?}");
    let strange: Vec<_> = excused.keys().filter(|name| !all.contains(**name)).collect();
    assert!(strange.is_empty(), "errors/excused.txt excuses what nobody names: {strange:#?}");
    let needless: Vec<_> = excused.keys().filter(|name| met.contains(**name)).collect();
    assert!(needless.is_empty(), "stories meet these errors, take them off errors/excused.txt: {needless:#?}");

    let limited = |name: &str| name.contains(&format!(" {LIMITED} "));
    let is_open = |name: &&String| !met.contains(*name) && !excused.contains_key(name.as_str()) && !limited(name);
    let unmet: Vec<_> = all.iter().filter(is_open).collect();
    assert!(unmet.is_empty(), "{} named errors are met by no story: {unmet:#?}", unmet.len());
}

/// Errors that cannot happen here, with their reasons: paragraphs of names, each under a line with its reason.
fn excused() -> BTreeMap<&'static str, &'static str> {
    let (mut excused, mut reason) = (BTreeMap::new(), "");
    for line in EXCUSED.lines().skip_while(|line| line.starts_with('#')) {
        match line.strip_prefix("  ") {
            Some(name) => {
                assert!(!reason.is_empty(), "{name} is excused for no reason");
                assert!(excused.insert(name, reason).is_none(), "{name} is excused twice");
            }
            None => reason = line,
        }
    }
    excused
}

/// What stories say they meet: every text in them that has the form of a name.
fn met() -> BTreeSet<String> {
    let stories = super::root().join("tests/stories");
    let files = super::rust_files().into_iter().filter(|path| path.starts_with(&stories));
    let texts = files.map(|path| std::fs::read_to_string(path).expect("a story can be read"));
    texts.flat_map(|text| text.split('"').filter(|part| is_name(part)).map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn is_name(text: &str) -> bool {
    let mut words = text.split(' ');
    let (Some(operation), Some(status), Some(code), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return false;
    };
    operation.starts_with(|first: char| first.is_ascii_alphabetic())
        && status.len() == 3
        && status.parse::<u16>().is_ok_and(|status| status >= 400)
        && (code == "*" || code.starts_with("M_"))
}
