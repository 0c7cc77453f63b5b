//! Pictures: reading them within limits and making them smaller. Blocks; runs off the async threads only.

use image::{
    AnimationDecoder, DynamicImage, GenericImageView, ImageDecoder, ImageError, ImageFormat, ImageReader,
    codecs::{gif::GifDecoder, jpeg::JpegEncoder, png::PngDecoder, webp::WebPDecoder},
};
use std::{
    fs::File,
    io::{BufReader, Cursor},
    path::Path,
};

use crate::{
    MediaError,
    thumbnail::{Method, Wanted},
};

/// Bytes that a decoder may take for each pixel it is allowed: RGBA, twice for what it needs while working.
const BYTES_PER_PIXEL_MAX: u64 = 8;

/// No side is longer: a picture of one row can be as long as the limit on pixels otherwise.
const SIDE_MAX: u32 = 30_000;

const JPEG_QUALITY: u8 = 82;

/// How large a picture may be.
pub(crate) struct Limits {
    pub(crate) pixels_max: u64,
}

impl Limits {
    fn bounds(&self) -> image::Limits {
        let mut bounds = image::Limits::default();
        bounds.max_image_width = Some(SIDE_MAX);
        bounds.max_image_height = Some(SIDE_MAX);
        bounds.max_alloc = Some(self.pixels_max.saturating_mul(BYTES_PER_PIXEL_MAX));
        bounds
    }
}

/// Opens a picture by what is in it, whatever its name or type says.
fn open(place: &Path, limits: &Limits) -> Result<impl ImageDecoder, MediaError> {
    let mut reader = ImageReader::new(BufReader::new(File::open(place)?)).with_guessed_format()?;
    match reader.format() {
        Some(ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::Gif | ImageFormat::WebP) => {}
        _ => return Err(MediaError::NoPicture("it is no PNG, JPEG, GIF or WebP".to_owned())),
    }
    reader.limits(limits.bounds());
    let decoder = reader.into_decoder().map_err(refused)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > limits.pixels_max { Err(MediaError::TooManyPixels) } else { Ok(decoder) }
}

fn refused(error: ImageError) -> MediaError {
    match error {
        ImageError::Limits(_) => MediaError::TooManyPixels,
        error => MediaError::NoPicture(error.to_string()),
    }
}

/// Checks that this is a picture within the limits, without decoding it.
pub(crate) fn check(place: &Path, limits: &Limits) -> Result<(), MediaError> {
    open(place, limits).map(|_| ())
}

/// What kind of picture this is, and its size as it is shown, without decoding it.
pub(crate) fn describe(place: &Path, limits: &Limits) -> Result<(&'static str, (u32, u32)), MediaError> {
    let format = ImageReader::new(BufReader::new(File::open(place)?)).with_guessed_format()?.format();
    let decoder = open(place, limits)?;
    Ok((format.map_or("application/octet-stream", |format| format.to_mime_type()), decoder.dimensions()))
}

/// The picture made smaller, as a file; `None` when it is no larger.
pub(crate) fn smaller(place: &Path, wanted: Wanted, limits: &Limits) -> Result<Option<Vec<u8>>, MediaError> {
    let lossless = describe(place, limits)?.0 == ImageFormat::Png.to_mime_type();
    let mut decoder = open(place, limits)?;
    let orientation = decoder.orientation().map_err(refused)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(refused)?;
    let turned = matches!(
        orientation,
        image::metadata::Orientation::Rotate90
            | image::metadata::Orientation::Rotate270
            | image::metadata::Orientation::Rotate90FlipH
            | image::metadata::Orientation::Rotate270FlipH
    );
    let (width, height) = picture.dimensions();
    let shown = if turned { (height, width) } else { (width, height) };
    let Some(size) = covering(shown, (wanted.width, wanted.height)) else { return Ok(None) };
    // Turning is cheap once it is small.
    picture = picture.thumbnail_exact(if turned { size.1 } else { size.0 }, if turned { size.0 } else { size.1 });
    picture.apply_orientation(orientation);
    if wanted.method == Method::Crop {
        let left = (size.0 - wanted.width.min(size.0)) / 2;
        let top = (size.1 - wanted.height.min(size.1)) / 2;
        picture = picture.crop_imm(left, top, wanted.width.min(size.0), wanted.height.min(size.1));
    }
    let is_icon = picture.width().max(picture.height()) <= ICON_MAX;
    written(&picture, lossless && is_icon).map(Some)
}

/// The first frame of a picture that moves, as a file; `None` when it stands still.
pub(crate) fn still(place: &Path, limits: &Limits) -> Result<Option<Vec<u8>>, MediaError> {
    let mut decoder = open(place, limits)?;
    if !moves(place, limits)? {
        return Ok(None);
    }
    let orientation = decoder.orientation().map_err(refused)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(refused)?;
    picture.apply_orientation(orientation);
    written(&picture, true).map(Some)
}

/// Whether a picture that could be opened has several frames.
fn moves(place: &Path, limits: &Limits) -> Result<bool, MediaError> {
    let file = || File::open(place).map(BufReader::new);
    match ImageReader::new(file()?).with_guessed_format()?.format() {
        Some(ImageFormat::Gif) => {
            let mut decoder = GifDecoder::new(file()?).map_err(refused)?;
            decoder.set_limits(limits.bounds()).map_err(refused)?;
            // A second frame that cannot be read here may be shown elsewhere.
            Ok(decoder.into_frames().take(2).count() == 2)
        }
        Some(ImageFormat::Png) => PngDecoder::new(file()?).and_then(|decoder| decoder.is_apng()).map_err(refused),
        Some(ImageFormat::WebP) => Ok(WebPDecoder::new(file()?).map_err(refused)?.has_animation()),
        _ => Ok(false),
    }
}

/// The size with the picture's own shape that covers what is wanted; `None` when the picture is no larger.
fn covering((width, height): (u32, u32), (least_width, least_height): (u32, u32)) -> Option<(u32, u32)> {
    if width <= least_width || height <= least_height {
        return None;
    }
    let across = |side: u32, least: u32, other: u32| {
        let scaled = (u64::from(other) * u64::from(least)).div_ceil(u64::from(side));
        u32::try_from(scaled).unwrap_or(u32::MAX).min(other)
    };
    // The side that shrinks less decides.
    if u64::from(least_width) * u64::from(height) >= u64::from(least_height) * u64::from(width) {
        Some((least_width, across(width, least_width, height)))
    } else {
        Some((across(height, least_height, width), least_height))
    }
}

/// Up to this side a thumbnail of a PNG stays one: it is a drawing or an icon more often than not, and JPEG would blur it.
const ICON_MAX: u32 = 96;

/// As PNG when something can be seen through or every point counts, else as JPEG.
fn written(picture: &DynamicImage, lossless: bool) -> Result<Vec<u8>, MediaError> {
    let mut file = Cursor::new(Vec::new());
    if picture.color().has_alpha() || lossless {
        let picture: DynamicImage = match picture.color().has_alpha() {
            true => picture.to_rgba8().into(),
            false => picture.to_rgb8().into(),
        };
        picture.write_to(&mut file, ImageFormat::Png).map_err(refused)?;
    } else {
        let encoder = JpegEncoder::new_with_quality(&mut file, JPEG_QUALITY);
        picture.to_rgb8().write_with_encoder(encoder).map_err(refused)?;
    }
    Ok(file.into_inner())
}

/// The type of a picture that was made here.
pub(crate) fn kind(picture: &[u8]) -> &'static str {
    if picture.starts_with(b"\x89PNG") { "image/png" } else { "image/jpeg" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbnail_covers_what_is_wanted_and_is_never_larger_than_the_picture() {
        assert_eq!(covering((4000, 3000), (320, 240)), Some((320, 240)));
        assert_eq!(covering((4000, 1000), (320, 240)), Some((960, 240)));
        assert_eq!(covering((1000, 4000), (320, 240)), Some((320, 1280)));
        assert_eq!(covering((300, 3000), (320, 240)), None);
        assert_eq!(covering((320, 240), (320, 240)), None);
        assert_eq!(covering((0, 0), (1, 1)), None);
    }
}
