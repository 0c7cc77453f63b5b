//! Commands that look at the data: they make none where there are none, and take no other server's for their own.

use std::path::Path;
use std::process::Output;

use super::{configured, output};

#[track_caller]
fn fails_saying(told: &Output, words: &[&str]) {
    let said = format!("{}{}", String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
    assert_eq!(told.status.code(), Some(1), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in {said}");
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("it can be listed");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn where_there_is_no_data_looking_makes_none() {
    let directory = configured("");
    let (place, data) = (directory.path(), directory.path().join("data"));
    std::fs::create_dir(&data).expect("a directory can be made");
    let looks: [&[&str]; 7] = [
        &["check"],
        &["audit", "verify"],
        &["user", "list"],
        &["unit", "list"],
        &["backup", "saved"],
        &["federation", "status"],
        &["search", "rebuild"],
    ];
    for look in looks {
        fails_saying(&output(place, look), &["there is no data in", "--config"]);
        assert_eq!(names(&data), Vec::<String>::new(), "{look:?} should make nothing");
    }
    assert!(output(place, &["user", "create", "ada", "--generate"]).status.success(), "an account may come first");
    assert!(output(place, &["check"]).status.success());
}

#[test]
fn without_its_key_the_data_are_left_alone() {
    let directory = configured("");
    let place = directory.path();
    std::fs::create_dir(place.join("data")).expect("a directory can be made");
    assert!(output(place, &["user", "create", "ada", "--generate"]).status.success());
    std::fs::remove_file(place.join("data/signing.key")).expect("the key is there");
    fails_saying(&output(place, &["check"]), &["signing.key cannot be read"]);
    assert!(!place.join("data/signing.key").exists(), "a look should make no key");
}
