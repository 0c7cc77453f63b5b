//! What a web page says of itself: OpenGraph, and what stands in for it. Pure.

use html5gum::{StartTag, Token, Tokenizer, emitters::default::DefaultEmitter};
use std::collections::BTreeMap;
use url::Url;

/// The longest text that is kept of a page.
const TEXT_CHARS_MAX: usize = 500;
/// Properties that are kept of a page.
const PROPERTIES_MAX: usize = 40;
/// Properties that clients are told.
const TOLD: [&str; 12] = [
    "og:title",
    "og:description",
    "og:type",
    "og:url",
    "og:site_name",
    "og:locale",
    "og:image:alt",
    "og:image:width",
    "og:image:height",
    "og:video:width",
    "og:video:height",
    "article:published_time",
];

/// What was found in a page.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// OpenGraph properties, those that clients are told.
    pub(crate) properties: BTreeMap<String, String>,
    /// The picture.
    pub(crate) image: Option<Url>,
}

/// What is gathered while reading.
#[derive(Default)]
struct Gathered {
    properties: BTreeMap<String, String>,
    title: String,
    description: Option<String>,
    image: Option<String>,
    base: Option<String>,
}

/// Reads a page that was found at `url`.
pub(crate) fn read(html: &str, url: &Url) -> Page {
    let (mut gathered, mut in_title) = (Gathered::default(), false);
    let mut emitter = DefaultEmitter::default();
    // What looks like a tag within a title or a script is none.
    emitter.naively_switch_states(true);
    for Ok(token) in Tokenizer::new_with_emitter(html, emitter) {
        match token {
            Token::StartTag(tag) if *tag.name == b"title"[..] => in_title = gathered.title.is_empty(),
            Token::StartTag(tag) => gathered.take(&tag),
            Token::EndTag(tag) if *tag.name == b"title"[..] => in_title = false,
            Token::String(text) if in_title => gathered.title.push_str(&String::from_utf8_lossy(&text)),
            _ => {}
        }
    }
    gathered.page(url)
}

impl Gathered {
    fn take(&mut self, tag: &StartTag<()>) {
        let attribute =
            |name: &[u8]| tag.attributes.get(name).map(|value| String::from_utf8_lossy(value).trim().to_owned());
        match &**tag.name {
            b"meta" => {
                let Some(content) = attribute(b"content").filter(|content| !content.is_empty()) else { return };
                let Some(name) = attribute(b"property").or_else(|| attribute(b"name")) else { return };
                let name = name.to_ascii_lowercase();
                if name == "description" {
                    self.description.get_or_insert(content);
                } else if self.properties.len() < PROPERTIES_MAX {
                    // The first of several is the one that counts.
                    self.properties.entry(name).or_insert(content);
                }
            }
            b"base" if self.base.is_none() => self.base = attribute(b"href"),
            b"img" if self.image.is_none() => self.image = attribute(b"src").filter(|src| !src.starts_with("data:")),
            _ => {}
        }
    }

    fn page(mut self, url: &Url) -> Page {
        let base = self.base.as_deref().and_then(|base| url.join(base).ok()).unwrap_or_else(|| url.clone());
        let pictures = ["og:image:secure_url", "og:image", "og:image:url", "twitter:image"];
        let picture = pictures.iter().find_map(|name| self.properties.get(*name)).cloned().or(self.image.take());
        let image = picture.and_then(|picture| base.join(&picture).ok());
        for (name, stand_in) in [
            ("og:title", self.properties.get("twitter:title").cloned().or(Some(self.title))),
            ("og:description", self.properties.get("twitter:description").cloned().or(self.description)),
        ] {
            if let Some(text) = stand_in.filter(|text| !text.trim().is_empty()) {
                self.properties.entry(name.to_owned()).or_insert(text);
            }
        }
        let told = self.properties.into_iter().filter(|(name, _)| TOLD.contains(&name.as_str()));
        let properties = told.map(|(name, text)| (name, tidy(&text))).filter(|(_, text)| !text.is_empty()).collect();
        Page { properties, image: image.filter(|url| matches!(url.scheme(), "http" | "https")) }
    }
}

/// One line of bounded length.
fn tidy(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|one| !one.is_control()).take(TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(html: &str) -> Page {
        read(html, &Url::parse("https://campus.example/news/today").expect("a URL"))
    }

    #[test]
    fn opengraph_comes_first_and_the_page_s_own_words_stand_in() {
        let full = page(
            r#"<!doctype html><title>Other</title><meta property="og:title" content="Exam &amp; results">
            <meta property="og:image" content="../logo.png"><meta name="description" content="All
            of   them"><meta property="og:secret" content="x">"#,
        );
        assert_eq!(full.properties["og:title"], "Exam & results");
        assert_eq!(full.properties["og:description"], "All of them");
        assert!(!full.properties.contains_key("og:secret"));
        assert_eq!(full.image.expect("an image").as_str(), "https://campus.example/logo.png");

        let plain =
            page("<TITLE>Plain <b>x</TITLE><body><img src='data:image/png;base64,AA'><img src=/a.png><img src=b>");
        assert_eq!(plain.properties["og:title"], "Plain <b>x");
        assert_eq!(plain.image.expect("an image").as_str(), "https://campus.example/a.png");
        assert_eq!(page("<script>'<img src=/spy.png>'</script><title>x</title>").image, None);
    }

    #[test]
    fn garbage_says_nothing_and_much_is_cut() {
        assert_eq!(page(""), Page::default());
        assert_eq!(page("<meta property='og:title'><meta content=x><title></title>\u{0}<<<"), Page::default());
        let long = page(&format!("<title>{}</title>", "ä".repeat(10_000)));
        assert_eq!(long.properties["og:title"].chars().count(), TEXT_CHARS_MAX);
        let scheme = page("<meta property=og:image content='javascript:alert(1)'>");
        assert_eq!(scheme.image, None);
        let many: String = (0..1000).map(|n| format!("<meta property=p{n} content=x>")).collect();
        assert!(page(&many).properties.is_empty());
    }
}
