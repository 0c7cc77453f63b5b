//! What may be shown in a browser, and what is only saved (spec, "Serving inline content").

use ruma::http_headers::{ContentDisposition, ContentDispositionType};

/// Types that run nothing.
const SHOWN: [&str; 26] = [
    "text/css",
    "text/plain",
    "text/csv",
    "application/json",
    "application/ld+json",
    "image/jpeg",
    "image/gif",
    "image/png",
    "image/apng",
    "image/webp",
    "image/avif",
    "video/mp4",
    "video/webm",
    "video/ogg",
    "video/quicktime",
    "audio/mp4",
    "audio/webm",
    "audio/aac",
    "audio/mpeg",
    "audio/ogg",
    "audio/wave",
    "audio/wav",
    "audio/x-wav",
    "audio/x-pn-wav",
    "audio/flac",
    "audio/x-flac",
];

/// How media of this type and name are served.
pub(crate) fn of(content_type: Option<&str>, filename: Option<&str>) -> ContentDisposition {
    let essence = content_type.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    let shown = SHOWN.iter().any(|known| essence.eq_ignore_ascii_case(known));
    let how = if shown { ContentDispositionType::Inline } else { ContentDispositionType::Attachment };
    ContentDisposition::new(how).with_filename(filename.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_run_is_saved() {
        let told = |kind| of(kind, None).to_string();
        for kind in ["text/html", "image/svg+xml", "application/xhtml+xml", "text/plainer", ""] {
            assert_eq!(told(Some(kind)), "attachment", "{kind}");
        }
        assert_eq!(told(None), "attachment");
        assert_eq!(told(Some("Text/Plain; charset=utf-8")), "inline");
    }

    #[test]
    fn names_cannot_leave_their_quotes() {
        let told = of(Some("image/png"), Some("a\"b\r\nSet-Cookie: c")).to_string();
        assert!(!told.contains(['\r', '\n']), "{told}");
    }
}
