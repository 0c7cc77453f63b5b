//! The settings of a bucket, and what they can have wrong.

use serde::Deserialize;
use url::{Host, Url};

/// A bucket of an S3 service: Amazon's, or one of one's own (MinIO, Ceph, Garage and others). `[media.s3]` in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct S3Config {
    /// The bucket. It must be there.
    pub bucket: Option<String>,
    /// The region it is in. Services of one's own have a name for theirs, too.
    pub region: String,
    /// Where the service is; Amazon's in that region when left out.
    pub endpoint: Option<Url>,
    /// The key that may read, write, list and remove files there.
    pub access_key_id: Option<String>,
    /// Its secret.
    pub secret_access_key: Option<String>,
    /// How the bucket is named in addresses. When left out by the path with an endpoint, else by the host.
    pub addressing: Option<Addressing>,
    /// What the names of files begin with, so that several servers can share a bucket.
    pub prefix: String,
    /// Whether the endpoint may be plain http: for one on this machine or in a network one trusts.
    pub allow_http: bool,
}

/// How a bucket is named in addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Addressing {
    /// `https://s3.example/bucket/file`
    Path,
    /// `https://bucket.s3.example/file`
    VirtualHosted,
}

impl Default for S3Config {
    fn default() -> Self {
        Self {
            bucket: None,
            region: "us-east-1".to_owned(),
            endpoint: None,
            access_key_id: None,
            secret_access_key: None,
            addressing: None,
            prefix: String::new(),
            allow_http: false,
        }
    }
}

impl S3Config {
    /// Whether the bucket stands in the host of addresses.
    pub(crate) fn is_virtual_hosted(&self) -> bool {
        match self.addressing {
            Some(addressing) => addressing == Addressing::VirtualHosted,
            None => self.endpoint.is_none(),
        }
    }

    /// The endpoint as requests go there: with the bucket in its host where it belongs there.
    pub(crate) fn address(&self) -> Option<String> {
        let mut endpoint = self.endpoint.clone()?;
        if let (true, Some(bucket), Some(Host::Domain(host))) =
            (self.is_virtual_hosted(), &self.bucket, self.endpoint.as_ref()?.host())
        {
            // A bucket whose name makes no host was told as a mistake.
            let _ = endpoint.set_host(Some(&format!("{bucket}.{host}")));
        }
        Some(endpoint.as_str().trim_end_matches('/').to_owned())
    }

    /// What is missing or cannot be.
    pub(super) fn mistakes(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        let mut wrong = |key, text: &str| found.push((key, text.to_owned()));
        let is_empty = |text: &Option<String>| text.as_deref().is_none_or(|text| text.trim().is_empty());
        if is_empty(&self.bucket) {
            wrong("s3.bucket", "storage = \"s3\" needs a `bucket`, for example \"lyceum-media\"");
        } else if !self.bucket.as_deref().is_some_and(is_bucket) {
            wrong("s3.bucket", "not the name of a bucket; it has 3 to 63 small letters, digits, hyphens and dots");
        }
        if is_empty(&self.access_key_id) {
            wrong("s3.access_key_id", "storage = \"s3\" needs an `access_key_id`");
        }
        if is_empty(&self.secret_access_key) {
            let text = "storage = \"s3\" needs a `secret_access_key`, or the file it is in as `secret_access_key_file`";
            wrong("s3.secret_access_key", text);
        }
        if self.region.trim().is_empty() {
            wrong("s3.region", "an empty region is none; leave the line out for \"us-east-1\"");
        }
        if !self.prefix.is_empty() && !self.prefix.split('/').all(is_step) {
            wrong(
                "s3.prefix",
                "not a prefix; write steps of letters, digits, - and _ with / between, for example \"lyceum/media\"",
            );
        }
        if let Some(endpoint) = &self.endpoint {
            found.extend(self.mistake_of(endpoint).map(|(key, text)| (key, text.to_owned())));
        }
        found
    }

    fn mistake_of(&self, endpoint: &Url) -> Option<(&'static str, &'static str)> {
        let is_plain = endpoint.query().is_none() && endpoint.fragment().is_none();
        let has_login = !endpoint.username().is_empty() || endpoint.password().is_some();
        match endpoint.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            "http" => {
                let text = "plain http shows files to whoever listens; write https://, or allow_http = true for an endpoint on \
                            this machine or in a network you trust";
                return Some(("s3.endpoint", text));
            }
            _ => return Some(("s3.endpoint", "not the address of a service; it begins with https://")),
        }
        if !is_plain || has_login {
            let text = "an endpoint is a host and a port, for example \"https://s3.campus.example:9000\"; keys have settings of their own";
            return Some(("s3.endpoint", text));
        }
        let has_name = matches!(endpoint.host(), Some(Host::Domain(_)));
        (self.is_virtual_hosted() && !has_name).then_some((
            "s3.addressing",
            "\"virtual_hosted\" puts the bucket before the endpoint's name, and this endpoint is an IP address; write \"path\"",
        ))
    }
}

/// Amazon's rules, which others share: what can stand in a host's name.
fn is_bucket(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends_well = name.bytes().next().is_some_and(fits) && name.bytes().next_back().is_some_and(fits);
    (3..=63).contains(&name.len()) && ends_well && name.bytes().all(|byte| fits(byte) || byte == b'-' || byte == b'.')
}

fn is_step(step: &str) -> bool {
    !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> S3Config {
        let text = |text: &str| Some(text.to_owned());
        S3Config {
            bucket: text("media"),
            access_key_id: text("key"),
            secret_access_key: text("secret"),
            ..S3Config::default()
        }
    }

    fn keys(config: &S3Config) -> Vec<&'static str> {
        config.mistakes().into_iter().map(|(key, _)| key).collect()
    }

    fn at(endpoint: &str) -> S3Config {
        S3Config { endpoint: Some(endpoint.parse().expect("an address")), ..whole() }
    }

    #[test]
    fn what_is_missing_is_told() {
        assert_eq!(keys(&whole()), [""; 0]);
        assert_eq!(keys(&S3Config::default()), ["s3.bucket", "s3.access_key_id", "s3.secret_access_key"]);
    }

    #[test]
    fn what_cannot_be_is_told() {
        for bucket in ["ab", "UPPER", "-media", "a/b", "with space"] {
            assert_eq!(keys(&S3Config { bucket: Some(bucket.to_owned()), ..whole() }), ["s3.bucket"], "{bucket}");
        }
        for prefix in ["/media", "media/", "a//b", "../other", "a b"] {
            assert_eq!(keys(&S3Config { prefix: prefix.to_owned(), ..whole() }), ["s3.prefix"], "{prefix}");
        }
        assert_eq!(keys(&S3Config { prefix: "lyceum/media-1".to_owned(), ..whole() }), [""; 0]);
        assert_eq!(keys(&at("http://minio:9000")), ["s3.endpoint"]);
        assert_eq!(keys(&S3Config { allow_http: true, ..at("http://minio:9000") }), [""; 0]);
        assert_eq!(keys(&at("ftp://minio")), ["s3.endpoint"]);
        assert_eq!(keys(&at("https://key:secret@minio")), ["s3.endpoint"]);
        let hosted = S3Config { addressing: Some(Addressing::VirtualHosted), ..at("https://10.1.2.3") };
        assert_eq!(keys(&hosted), ["s3.addressing"]);
    }

    #[test]
    fn the_bucket_stands_where_addressing_says() {
        assert!(whole().is_virtual_hosted() && whole().address().is_none());
        assert_eq!(at("https://s3.example:9000/").address().as_deref(), Some("https://s3.example:9000"));
        let hosted = S3Config { addressing: Some(Addressing::VirtualHosted), ..at("https://s3.example:9000/") };
        assert_eq!(hosted.address().as_deref(), Some("https://media.s3.example:9000"));
    }
}
