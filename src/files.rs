//! Files that must never be half written or written over: made whole beside their place, then put there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Writes a new file that only its owner may read, durable when this returns. Fails with `AlreadyExists` when something is there, and changes nothing.
pub(crate) fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let parent = parent(path);
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let beside = parent.join(format!(".{name}.{}.new", std::process::id()));
    let result = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        // A link, unlike a rename, refuses to replace.
        .and_then(|()| fs::hard_link(&beside, path))
        .and_then(|()| File::open(&parent)?.sync_all());
    let _ = fs::remove_file(&beside);
    result
}

/// Makes a directory that nobody else may look into, with those above it. One that is there is left as it is.
pub(crate) fn private_directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_is_never_replaced() {
        let directory = tempfile::tempdir().expect("a directory for the test");
        let path = directory.path().join("key");
        write_new(&path, b"first").expect("the first is written");
        let again = write_new(&path, b"second").expect_err("the second is refused");
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).expect("it can be read"), b"first");
        assert_eq!(fs::read_dir(directory.path()).expect("it can be listed").count(), 1, "nothing is left behind");
    }
}
