//! Reading the two parts in which media come from other servers, as they arrive (RFC 2046, spec "Content Repository").
//! Pure.

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The bytes of the parts before the content (metadata and header lines) that are read.
const PREAMBLE_BYTES_MAX: usize = 64 * 1024;

/// The longest boundary that RFC 2046 allows.
const BOUNDARY_BYTES_MAX: usize = 70;

/// Why a body cannot be read.
pub(crate) type Malformed = &'static str;

/// The boundary that a content type names.
pub(crate) fn boundary(content_type: &str) -> Result<&str, Malformed> {
    let (kind, parameters) = content_type.split_once(';').ok_or("no multipart boundary")?;
    if !kind.trim().eq_ignore_ascii_case("multipart/mixed") {
        return Err("not multipart/mixed");
    }
    let boundary = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        name.eq_ignore_ascii_case("boundary").then(|| value.trim_matches('"'))
    });
    boundary.filter(|text| (1..=BOUNDARY_BYTES_MAX).contains(&text.len())).ok_or("no multipart boundary")
}

/// Where reading stands.
#[derive(Debug)]
enum Stage {
    /// In the metadata, whose content nobody needs yet.
    First,
    /// In the second part's header lines.
    Head,
    /// In the content.
    Content,
    /// Past its end.
    Done,
}

/// Reads a body of two parts.
#[derive(Debug)]
pub(crate) struct Reader {
    /// What stands before each part: a line break, two dashes, the boundary.
    delimiter: Vec<u8>,
    stage: Stage,
    buffer: BytesMut,
    preamble_bytes: usize,
    head: HeaderMap,
}

impl Reader {
    pub(crate) fn new(boundary: &str) -> Self {
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        // The first delimiter needs no line break before it; adding one makes it like the others.
        let buffer = BytesMut::from(&b"\r\n"[..]);
        Self { delimiter, stage: Stage::First, buffer, preamble_bytes: 0, head: HeaderMap::new() }
    }

    /// The second part's header lines, once they are here.
    pub(crate) fn head(&self) -> Option<&HeaderMap> {
        matches!(self.stage, Stage::Content | Stage::Done).then_some(&self.head)
    }

    /// Whether the content has ended.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// Takes some bytes and gives back what of the content they complete.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Bytes, Malformed> {
        if self.is_done() {
            return Ok(Bytes::new());
        }
        self.buffer.extend_from_slice(bytes);
        if self.head().is_none() {
            self.preamble_bytes += bytes.len();
            self.read_head()?;
        }
        Ok(if self.head().is_some() { self.content() } else { Bytes::new() })
    }

    fn read_head(&mut self) -> Result<(), Malformed> {
        if matches!(self.stage, Stage::First) {
            // The first delimiter opens the metadata, the second one the part that counts.
            let Some(first) = find(&self.buffer, &self.delimiter, 0) else { return self.wait() };
            let Some(second) = find(&self.buffer, &self.delimiter, first + self.delimiter.len()) else {
                return self.wait();
            };
            self.buffer.advance(second + self.delimiter.len());
            self.stage = Stage::Head;
        }
        if self.buffer.starts_with(b"--") {
            return Err("only one part");
        }
        // The line break before a delimiter that follows an empty content may be the one that ends the header lines, so
        // as much as a delimiter must be here to tell.
        let enough = |end: &usize| self.buffer.len() >= end + 2 + self.delimiter.len();
        let Some(end) = find(&self.buffer, b"\r\n\r\n", 0).filter(enough) else { return self.wait() };
        self.head = header_lines(&self.buffer[..end])?;
        self.buffer.advance(end + 2);
        self.stage = Stage::Content;
        if !self.buffer.starts_with(&self.delimiter) {
            self.buffer.advance(2);
        }
        Ok(())
    }

    fn wait(&self) -> Result<(), Malformed> {
        if self.preamble_bytes > PREAMBLE_BYTES_MAX { Err("too much before the content") } else { Ok(()) }
    }

    fn content(&mut self) -> Bytes {
        if let Some(end) = find(&self.buffer, &self.delimiter, 0) {
            self.stage = Stage::Done;
            return self.buffer.split_to(end).freeze();
        }
        // What may be the beginning of the delimiter is kept back.
        let sure = self.buffer.len().saturating_sub(self.delimiter.len() - 1);
        self.buffer.split_to(sure).freeze()
    }
}

fn find(within: &[u8], what: &[u8], from: usize) -> Option<usize> {
    let at = within.get(from..)?.windows(what.len()).position(|window| window == what)?;
    Some(from + at)
}

fn header_lines(text: &[u8]) -> Result<HeaderMap, Malformed> {
    let text = std::str::from_utf8(text).map_err(|_| "header lines that are not text")?;
    let mut head = HeaderMap::new();
    for line in text.split("\r\n").filter(|line| !line.trim().is_empty()) {
        let (name, value) = line.split_once(':').ok_or("a header line without a colon")?;
        let name = HeaderName::try_from(name.trim()).map_err(|_| "a header name that is none")?;
        let value = HeaderValue::try_from(value.trim()).map_err(|_| "a header value that is none")?;
        head.insert(name, value);
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b\r\nContent-Type: text/plain\r\n\
        Content-Disposition: inline\r\n\r\nhello\r\n-- world\r\n--b--\r\n";

    fn read(body: &[u8], step: usize) -> Result<(HeaderMap, Vec<u8>), Malformed> {
        let mut reader = Reader::new("b");
        let mut content = Vec::new();
        for piece in body.chunks(step) {
            content.extend_from_slice(&reader.feed(piece)?);
        }
        if reader.is_done() { Ok((reader.head.clone(), content)) } else { Err("unfinished") }
    }

    #[test]
    fn parts_are_read_however_they_are_cut() {
        for step in 1..BODY.len() {
            let (head, content) = read(BODY, step).expect("readable");
            assert_eq!(content, b"hello\r\n-- world", "in steps of {step}");
            assert_eq!((head["content-type"].as_bytes(), head.len()), (&b"text/plain"[..], 2));
        }
    }

    #[test]
    fn empty_content_and_broken_bodies() {
        let moved = b"\r\n--b\r\n\r\n{}\r\n--b\r\nLocation: https://cdn/x\r\n\r\n\r\n--b--";
        let (head, content) = read(moved, 7).expect("readable");
        assert_eq!((head["location"].as_bytes(), content.len()), (&b"https://cdn/x"[..], 0));
        assert_eq!(read(b"--b\r\n\r\n{}\r\n--b\r\nA: b\r\n\r\n--b--", 3).expect("readable").1, b"");
        assert!(read(b"--b\r\n\r\n{}\r\n--b--\r\n", 3).is_err());
        assert!(read(b"--b\r\n\r\n{}\r\n--b\r\nnonsense\r\n\r\nx\r\n--b--", 3).is_err());
        assert!(read(&BODY[..BODY.len() - 8], 3).is_err());
        assert!(read(&vec![b'x'; PREAMBLE_BYTES_MAX + 10], 1000).is_err());
    }

    #[test]
    fn boundaries() {
        assert_eq!(boundary("multipart/mixed; boundary=\"x y\""), Ok("x y"));
        assert_eq!(boundary("Multipart/Mixed;charset=utf8;BOUNDARY=x"), Ok("x"));
        assert!(boundary("multipart/mixed").is_err() && boundary("text/plain; boundary=x").is_err());
        assert!(boundary("multipart/mixed; boundary=").is_err());
    }
}
