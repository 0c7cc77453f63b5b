//! Files: uploads, downloads, thumbnails, and what must not be done with them.

mod care;
mod fetching;
mod named_errors;
mod pictures;
mod previews;
mod uploading;

use http::Method;
use serde_json::Value;

use crate::support::{Person, encoded};

/// What everybody may ask for who is signed in.
const AUTHED: &str = "/_matrix/client/v1/media";

/// Uploads a file and answers its server and id, as in paths.
async fn uploads(person: &Person, kind: &str, query: &str, file: &[u8]) -> String {
    let path = format!("/_matrix/media/v3/upload{query}");
    let answer = person.ask_bytes(Method::POST, &path, kind, file.to_vec()).await.ok();
    mxc(&answer)
}

/// The server and id of an address.
fn mxc(answer: &Value) -> String {
    let uri = answer["content_uri"].as_str().expect("media have an address");
    uri.strip_prefix("mxc://").expect("it is an mxc address").to_owned()
}

/// A header of an answer as text.
fn header<'a>(answer: &'a crate::support::person::Answer, name: &str) -> &'a str {
    answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// A path of downloads.
fn download(address: &str) -> String {
    format!("{AUTHED}/download/{address}")
}

/// A file's name in a path.
fn named(address: &str, name: &str) -> String {
    format!("{AUTHED}/download/{address}/{}", encoded(name))
}
