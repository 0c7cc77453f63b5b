//! Thumbnails: of pictures, and of what says it is one.

use super::{AUTHED, header, uploads};
use crate::support::Campus;

/// A PNG of these dimensions, all of one grey, as small as it gets; `rows` are really in it.
pub(super) fn png(width: u32, height: u32, rows: u32) -> Vec<u8> {
    let mut raw = Vec::new();
    for _ in 0..rows {
        raw.push(0);
        raw.extend(std::iter::repeat_n(0x80, width as usize));
    }
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut head = Vec::new();
    head.extend(width.to_be_bytes());
    head.extend(height.to_be_bytes());
    head.extend([8, 0, 0, 0, 0]);
    chunk(&mut file, b"IHDR", &head);
    chunk(&mut file, b"IDAT", &stored(&raw));
    chunk(&mut file, b"IEND", &[]);
    file
}

/// A PNG that says it is so large, and holds one point.
pub(super) fn bomb(width: u32, height: u32) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut head = Vec::new();
    head.extend(u32::to_be_bytes(width));
    head.extend(u32::to_be_bytes(height));
    head.extend([8, 6, 0, 0, 0]);
    chunk(&mut file, b"IHDR", &head);
    file.extend(&png(1, 1, 1)[33..]);
    file
}

/// A PNG of one point that says it has two frames.
fn moving_png() -> Vec<u8> {
    let still = png(1, 1, 1);
    // After the signature and the head.
    let (before, after) = still.split_at(33);
    let mut file = before.to_vec();
    chunk(&mut file, b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]);
    file.extend(after);
    file
}

/// A GIF of one point and so many frames.
pub(super) fn gif(frames: usize) -> Vec<u8> {
    let mut file = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff".to_vec();
    for _ in 0..frames {
        // How long it is shown, where it is, and the point.
        file.extend(b"\x21\xf9\x04\0\x0a\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0");
    }
    file.push(0x3b);
    file
}

fn chunk(file: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    file.extend(u32::try_from(data.len()).expect("a small chunk").to_be_bytes());
    let start = file.len();
    file.extend(kind);
    file.extend(data);
    let sum = crc(&file[start..]);
    file.extend(sum.to_be_bytes());
}

/// zlib without compression.
fn stored(raw: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let blocks: Vec<&[u8]> = raw.chunks(65_535).collect();
    for (index, block) in blocks.iter().enumerate() {
        let length = u16::try_from(block.len()).expect("a block is short");
        out.push(u8::from(index + 1 == blocks.len()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(*block);
    }
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in raw {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    out.extend(((b << 16) | a).to_be_bytes());
    out
}

fn crc(data: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in data {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ 0xEDB8_8320 } else { sum >> 1 };
        }
    }
    !sum
}

#[tokio::test]
async fn a_picture_is_made_smaller_and_never_larger() {
    let campus = Campus::of(["alpha.example"]).await;
    let ada = campus.person("ada").await;
    let small = png(80, 60, 60);
    let address = uploads(&ada, "image/png", "", &small).await;
    let thumbnail = async |query: &str| ada.get(&format!("{AUTHED}/thumbnail/{address}?{query}")).await;

    for _ in 0..2 {
        let cropped = thumbnail("width=20&height=20&method=crop").await;
        // As small as an icon a PNG stays one.
        assert_eq!((cropped.status, header(&cropped, "content-type")), (200, "image/png"));
        assert!(header(&cropped, "content-disposition").starts_with("inline"));
        assert!(cropped.bytes != small && cropped.bytes.starts_with(b"\x89PNG"));
    }
    let large = uploads(&ada, "image/png", "", &png(400, 300, 300)).await;
    let scaled = ada.get(&format!("{AUTHED}/thumbnail/{large}?width=320&height=240&method=scale")).await;
    assert_eq!((scaled.status, header(&scaled, "content-type")), (200, "image/jpeg"));
    assert!(scaled.bytes.starts_with(b"\xff\xd8"));
    let whole = thumbnail("width=800&height=600&method=scale").await;
    assert_eq!((&whole.bytes, header(&whole, "content-type")), (&small, "image/png"));
    thumbnail("width=20&height=20&method=stretch").await.refused(400, "M_INVALID_PARAM");
    thumbnail("width=0&height=20").await.refused(400, "M_INVALID_PARAM");
    thumbnail("height=20").await.refused(400, "M_MISSING_PARAM");
}

#[tokio::test]
async fn a_thumbnail_moves_only_if_it_may() {
    let campus = Campus::of(["alpha.example", "beta.example"]).await;
    let ada = campus.person_at("alpha.example", "ada").await;
    let (alpha, beta) = (campus.host("alpha.example"), campus.host("beta.example"));
    for (kind, file, moves) in
        [("image/gif", gif(2), true), ("image/png", moving_png(), true), ("image/gif", gif(1), false)]
    {
        let address = uploads(&ada, kind, "", &file).await;
        let id = address.rsplit('/').next().unwrap_or_default();
        for size in ["width=32&height=32&method=scale", "width=5000&height=5000&method=scale"] {
            for (may, as_it_is) in [("&animated=true", true), ("&animated=false", !moves), ("", !moves)] {
                let what = format!("a moving {kind}: {moves}, asked for with {size}{may}");
                let made = ada.get(&format!("{AUTHED}/thumbnail/{address}?{size}{may}")).await;
                assert_eq!((made.status, made.bytes == file), (200, as_it_is), "{what}");
                let path = format!("/_matrix/federation/v1/media/thumbnail/{id}?{size}{may}");
                let told = beta.gets(alpha, &path).await;
                let holds = told.bytes.windows(file.len()).any(|part| part == file);
                assert_eq!((told.status, holds), (200, as_it_is), "{what} by another server");
            }
        }
    }
}

#[tokio::test]
async fn what_only_says_that_it_is_a_picture_is_none() {
    let campus = Campus::of(["alpha.example"]).await;
    let ada = campus.person("ada").await;
    for file in [&b"<html></html>"[..], &png(400, 300, 3)[..60], b"\x89PNG\r\n\x1a\n", b""] {
        let address = uploads(&ada, "image/png", "", file).await;
        let path = format!("{AUTHED}/thumbnail/{address}?width=32&height=32&method=crop");
        ada.get(&path).await.refused_as("getContentThumbnailAuthed 400 M_UNKNOWN");
    }
    // And a picture that says it is a page is one, and is made a picture.
    let address = uploads(&ada, "text/html", "", &png(40, 40, 40)).await;
    let made = ada.get(&format!("{AUTHED}/thumbnail/{address}?width=32&height=32&method=crop")).await;
    assert_eq!((made.status, header(&made, "content-type")), (200, "image/png"));
}

#[tokio::test]
async fn a_decompression_bomb_is_refused_before_it_goes_off() {
    let campus = Campus::of(["alpha.example"]).await;
    let ada = campus.person("ada").await;
    for (width, height) in [(29_000, 29_000), (1, 2_000_000_000), (u32::MAX >> 1, u32::MAX >> 1)] {
        let address = uploads(&ada, "image/png", "", &bomb(width, height)).await;
        let asked = ada.get(&format!("{AUTHED}/thumbnail/{address}?width=32&height=32")).await;
        asked.refused_as("getContentThumbnailAuthed 413 M_TOO_LARGE");
    }
}
