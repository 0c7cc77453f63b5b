//! What every place of files must do alike: a directory, and a bucket (here one in memory).

use futures_util::TryStreamExt;
use object_store::memory::InMemory;
use tempfile::TempDir;

use super::{Blob, Bucket, Files};
use crate::MediaError;

/// Larger than what is sent at once.
const LARGE_BYTES: usize = 20 * 1024 * 1024 + 7;

/// Both places, each with the directory it works in.
fn places() -> [(&'static str, Files, TempDir); 2] {
    let make = |name, bucket| {
        let directory = TempDir::new().expect("a directory");
        (name, Files::new(directory.path(), bucket, [7; 32]), directory)
    };
    [make("disk", None), make("bucket", Some(Bucket::of(InMemory::new())))]
}

async fn keeps(files: &Files, bytes: &[u8]) -> Blob {
    let mut incoming = files.incoming().await.expect("a new file");
    for piece in bytes.chunks(1 << 20) {
        incoming.write(piece).await.expect("it can be written");
    }
    files.keep(incoming).await.expect("it can be kept")
}

async fn reads(files: &Files, hash: &[u8], part: std::ops::Range<u64>) -> std::io::Result<Vec<u8>> {
    let pieces: Vec<_> = files.read(hash, part).await?.try_collect().await?;
    Ok(pieces.concat())
}

async fn hashes(files: &Files, until_ms: u64) -> Vec<Vec<u8>> {
    let mut hashes = Vec::new();
    for shelf in files.shelves().await.expect("shelves can be listed") {
        hashes.extend(files.hashes_on(&shelf, until_ms).await.expect("files can be listed"));
    }
    hashes.sort();
    hashes
}

#[tokio::test]
async fn what_is_kept_is_read_whole_and_in_part() {
    let large: Vec<u8> = (0..LARGE_BYTES).map(|at| (at / 1000) as u8).collect();
    for (place, files, _directory) in places() {
        for bytes in [&b""[..], b"small", &large] {
            let blob = keeps(&files, bytes).await;
            assert_eq!(blob.bytes, bytes.len() as u64, "{place}");
            assert_eq!(keeps(&files, bytes).await.hash, blob.hash, "{place}: the same bytes are the same file");
            let whole = reads(&files, &blob.hash, 0..blob.bytes).await.expect("it can be read");
            assert!(whole == bytes, "{place}: {} bytes came back as {}", bytes.len(), whole.len());
        }
        let blob = keeps(&files, &large).await;
        let part = reads(&files, &blob.hash, 9_000_000..9_000_010).await.expect("a part can be read");
        assert_eq!(part, large[9_000_000..9_000_010], "{place}");
        assert_eq!(reads(&files, &blob.hash, 5..5).await.expect("nothing can be read"), b"", "{place}");
        assert_eq!(hashes(&files, u64::MAX).await.len(), 3, "{place}: three files");
    }
}

#[tokio::test]
async fn a_file_on_this_machine_is_whole_and_a_copy_goes_again() {
    for (place, files, directory) in places() {
        let blob = keeps(&files, b"a picture").await;
        let local = files.local(&blob.hash, blob.bytes).await.expect("it can be had here");
        assert_eq!(std::fs::read(local.path()).expect("it is there"), b"a picture", "{place}");
        drop(local);
        let left = std::fs::read_dir(directory.path().join("incoming")).expect("it can be listed").count();
        assert_eq!(left, 0, "{place}: nothing is left behind");
    }
}

#[tokio::test]
async fn removing_takes_the_file_and_its_thumbnails() {
    for (place, files, _directory) in places() {
        let (blob, other) = (keeps(&files, b"one").await, keeps(&files, b"two").await);
        assert!(files.thumbnail(&blob.hash, "32x32-crop").await.is_none(), "{place}");
        for kept in [&blob, &other] {
            files.keep_thumbnail(&kept.hash, "32x32-crop", "small".into()).await.expect("it can be kept");
        }
        assert_eq!(files.thumbnail(&blob.hash, "32x32-crop").await.expect("it is there"), "small", "{place}");
        files.remove(&blob.hash).await.expect("it can be removed");
        files.remove(&blob.hash).await.expect("it need not be there");
        assert!(files.thumbnail(&blob.hash, "32x32-crop").await.is_none(), "{place}: its thumbnail is gone");
        assert!(files.thumbnail(&other.hash, "32x32-crop").await.is_some(), "{place}: another one's is not");
        let gone = reads(&files, &blob.hash, 0..3).await.expect_err("it is gone");
        assert_eq!(gone.kind(), std::io::ErrorKind::NotFound, "{place}");
        assert_eq!(hashes(&files, u64::MAX).await, std::slice::from_ref(&other.hash), "{place}");
    }
}

#[tokio::test]
async fn there_are_so_many_thumbnails_and_no_more() {
    for (place, files, _directory) in places() {
        let blob = keeps(&files, b"one").await;
        for width in 0..super::THUMBNAILS_MAX + 3 {
            files.keep_thumbnail(&blob.hash, &format!("{width}x1-crop"), "small".into()).await.expect("no error");
        }
        let last = format!("{}x1-crop", super::THUMBNAILS_MAX - 1);
        assert!(files.thumbnail(&blob.hash, &last).await.is_some(), "{place}");
        let more = format!("{}x1-crop", super::THUMBNAILS_MAX);
        assert!(files.thumbnail(&blob.hash, &more).await.is_none(), "{place}");
    }
}

#[tokio::test]
async fn what_breaks_off_leaves_nothing() {
    for (place, files, directory) in places() {
        let mut broken = files.incoming().await.expect("a new file");
        broken.write(b"half of").await.expect("it can be written");
        let left = || std::fs::read_dir(directory.path().join("incoming")).expect("it can be listed").count();
        assert_eq!(left(), 1, "{place}");
        drop(broken);
        assert_eq!(left(), 0, "{place}");
        std::fs::write(directory.path().join("incoming/left"), b"before a crash").expect("it can be written");
        assert_eq!(files.remove_unfinished().await.expect("it can be removed"), 1, "{place}");
        assert!(hashes(&files, u64::MAX).await.is_empty(), "{place}");
    }
}

#[tokio::test]
async fn what_came_into_a_bucket_just_now_is_not_yet_looked_at() {
    let [_, (_, files, _directory)] = places();
    let blob = keeps(&files, b"of another process").await;
    assert!(hashes(&files, 1).await.is_empty());
    assert_eq!(hashes(&files, u64::MAX).await, std::slice::from_ref(&blob.hash));
}

#[tokio::test]
async fn a_bucket_is_one_servers_own() {
    let [(_, disk, _here), (_, files, _there)] = places();
    disk.claim("a.example").await.expect("a directory is always one's own");
    files.claim("a.example").await.expect("it is free");
    files.claim("a.example").await.expect("it is its own");
    let Err(MediaError::Bucket(words)) = files.claim("b.example").await else { panic!("it is another one's") };
    assert!(words.contains("a.example"), "{words}");
    let bucket = files.bucket.as_ref().expect("a bucket");
    assert!(bucket.below("incoming").await.expect("it can be listed").is_empty(), "the probes are gone");
}
