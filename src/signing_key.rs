//! The file of the server's signing key: one line, `ed25519 VERSION SEED` with the seed in unpadded base64, as other
//! homeservers write it. Whoever has it can speak as this server: it is readable by its owner only.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use lyceum_events::{EventError, ServerKey};
use rand::Rng;
use rand::distr::{Alphanumeric, SampleString};
use ruma::OwnedServerName;

use crate::chance;
use crate::config::in_words;
use crate::files;

/// The file's name in the data directory.
const NAME: &str = "signing.key";

/// Characters of a key's random name, so that no two keys of a server share one.
const VERSION_LENGTH: usize = 6;

/// What others than the owner may do with a file.
const OF_OTHERS: u32 = 0o077;

/// Where the key of a server with this data directory is.
pub(crate) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(NAME)
}

/// Reads the key, or makes it at the first start.
pub(crate) fn load_or_make(data_dir: &Path, server: OwnedServerName) -> anyhow::Result<ServerKey> {
    let path = path(data_dir);
    match make(&path) {
        Ok(()) => tracing::info!(path = %path.display(), "a signing key was made; keep a copy in a safe place"),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => {
            return Err(error).with_context(|| format!("the signing key {} cannot be written", path.display()));
        }
    }
    keep_from_others(&path)?;
    load(data_dir, server)
}

/// Reads the key that is there.
pub(crate) fn load(data_dir: &Path, server: OwnedServerName) -> anyhow::Result<ServerKey> {
    let path = path(data_dir);
    let text =
        fs::read_to_string(&path).with_context(|| format!("the signing key {} cannot be read", path.display()))?;
    parse(&text, server).with_context(|| format!("{} holds no signing key", path.display()))
}

/// Lets nobody but its owner read the key, if others could: it may have been copied from somewhere.
fn keep_from_others(path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    let mode =
        fs::metadata(path).with_context(|| format!("the signing key {shown} cannot be read"))?.permissions().mode();
    if mode & OF_OTHERS == 0 {
        return Ok(());
    }
    if let Err(error) = fs::set_permissions(path, fs::Permissions::from_mode(0o600)) {
        // A secret that the system mounts for this server, say: its owner is to decide.
        tracing::warn!(
            path = %shown,
            %error,
            "others may read the signing key and speak as this server; take that from them (chmod 600)",
        );
        return Ok(());
    }
    tracing::warn!(
        path = %shown,
        mode = format!("{:03o}", mode & 0o777),
        "others could read the signing key; now only its owner can. If somebody may have, make a new one",
    );
    Ok(())
}

/// What is wrong with the key in this directory. One that is still to be made is no mistake.
pub(crate) fn mistake(data_dir: &Path, server: OwnedServerName) -> Option<String> {
    let path = path(data_dir);
    match fs::read_to_string(&path) {
        Ok(text) => parse(&text, server).err().map(|why| format!("{} holds no signing key: {why}", path.display())),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => None,
        Err(error) => Some(format!("the signing key {} cannot be read: {}", path.display(), in_words(&error))),
    }
}

/// Puts a new key in the place of the present one. Answers where that is kept.
pub(crate) fn rotate(data_dir: &Path, server: OwnedServerName) -> anyhow::Result<PathBuf> {
    let path = path(data_dir);
    let text =
        fs::read_to_string(&path).with_context(|| format!("the signing key {} cannot be read", path.display()))?;
    let present = parse(&text, server).with_context(|| format!("{} holds no signing key", path.display()))?;
    let kept = data_dir.join(format!("{NAME}.{}", present.id().trim_start_matches("ed25519:")));
    let next = data_dir.join(format!("{NAME}.next"));
    // Every step leaves a whole key in place: the copy, then the new one, then their exchange by one renaming.
    let written = |what: &Path| format!("{} cannot be written", what.display());
    files::write_new(&kept, text.as_bytes()).with_context(|| written(&kept))?;
    make(&next).with_context(|| written(&next))?;
    fs::rename(&next, &path).with_context(|| written(&path))?;
    Ok(kept)
}

/// Makes a new key where there is none.
pub(crate) fn make(path: &Path) -> std::io::Result<()> {
    let mut random = chance::generator();
    let version = format!("a_{}", Alphanumeric.sample_string(&mut random, VERSION_LENGTH));
    let line = format!("ed25519 {version} {}\n", STANDARD_NO_PAD.encode(random.random::<[u8; 32]>()));
    files::write_new(path, line.as_bytes())
}

/// The first key in the text.
fn parse(text: &str, server: OwnedServerName) -> anyhow::Result<ServerKey> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    ServerKey::from_text(server, line.unwrap_or_default()).map_err(|error| match error {
        // Its words are about events.
        EventError::Malformed(why) => anyhow!(why),
        other => other.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_again() {
        let directory = tempfile::tempdir().expect("a directory for the test");
        let server = ruma::owned_server_name!("campus.example");
        let first = load_or_make(directory.path(), server.clone()).expect("a key is made");
        let second = load_or_make(directory.path(), server).expect("the key is read");
        assert_eq!((first.id(), first.public_key()), (second.id(), second.public_key()));
    }

    #[test]
    fn a_key_that_others_could_read_is_kept_from_them() {
        let directory = tempfile::tempdir().expect("a directory for the test");
        let server = ruma::owned_server_name!("campus.example");
        load_or_make(directory.path(), server.clone()).expect("a key is made");
        let path = path(directory.path());
        for loose in [0o644, 0o640, 0o602] {
            fs::set_permissions(&path, fs::Permissions::from_mode(loose)).expect("it is ours");
            load_or_make(directory.path(), server.clone()).expect("the key is read");
            let mode = fs::metadata(&path).expect("it is there").permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{loose:o} should be mended, not left as {mode:o}");
        }
    }

    #[test]
    fn rotation_puts_a_new_key_in_place_and_keeps_the_old_one() {
        let directory = tempfile::tempdir().expect("a directory for the test");
        let server = ruma::owned_server_name!("campus.example");
        let first = load_or_make(directory.path(), server.clone()).expect("a key is made");
        let kept = rotate(directory.path(), server.clone()).expect("the key is rotated");
        let second = load_or_make(directory.path(), server.clone()).expect("the key is read");
        assert_ne!(first.id(), second.id());
        let text = fs::read_to_string(kept).expect("the old key is kept");
        assert_eq!(parse(&text, server).expect("it is a key").id(), first.id());
    }

    #[test]
    fn another_homeservers_key_file_is_understood() {
        let text = "ed25519 a_Bcde YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1\n";
        let key = parse(text, ruma::owned_server_name!("campus.example")).expect("it is a key");
        assert_eq!(key.id(), "ed25519:a_Bcde");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "ed25519 a_1", "rsa a_1 YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1", "ed25519 a_1 c2hvcnQ"] {
            assert!(parse(text, ruma::owned_server_name!("campus.example")).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_key_is_said_and_one_still_to_be_made_is_no_mistake() {
        let directory = tempfile::tempdir().expect("a directory for the test");
        let told = || mistake(directory.path(), ruma::owned_server_name!("campus.example"));
        assert_eq!(told(), None);
        fs::write(path(directory.path()), "junk\n").expect("the file can be written");
        let words = told().expect("junk is no key");
        assert!(
            words.ends_with("signing.key holds no signing key: a signing key is one line: ed25519 NAME SEED"),
            "{words}"
        );
        fs::remove_file(path(directory.path())).expect("the file can be removed");
        fs::create_dir(path(directory.path())).expect("a directory can be made");
        assert!(told().expect("a directory is no key").ends_with("cannot be read: it is a directory"));
    }
}
