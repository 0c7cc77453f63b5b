//! What a certificate says of itself: until when it is good, and for which names.

use ruma::MilliSecondsSinceUnixEpoch;
use rustls::client::verify_server_name;
use rustls::server::ParsedCertificate;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};

use crate::config::Tls;

/// The first byte of DER elements (X.690, section 8.1.2).
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Why clients or other servers will not trust a certificate that can be served: it is past its time, or for none of
/// the hosts.
pub(crate) fn concerns(files: &Tls, hosts: &[&str], now: MilliSecondsSinceUnixEpoch) -> Vec<String> {
    // One that cannot be read was told before.
    let Ok(certificate) = CertificateDer::from_pem_file(&files.certificate) else { return Vec::new() };
    let shown = files.certificate.display();
    let mut found = Vec::new();
    if let Some(end) = not_after(&certificate).filter(|end| *end < digits(now)) {
        found.push(format!("the certificate {shown} expired on {}-{}-{}", &end[..4], &end[4..6], &end[6..8]));
    }
    if !is_for_any(&certificate, hosts) {
        found.push(format!("the certificate {shown} is not for {}", hosts.join(" or ")));
    }
    found
}

fn is_for_any(certificate: &CertificateDer<'_>, hosts: &[&str]) -> bool {
    let Ok(certificate) = ParsedCertificate::try_from(certificate) else { return true };
    let mut names = hosts.iter().filter_map(|host| ServerName::try_from(host.trim_matches(['[', ']'])).ok());
    names.any(|name| verify_server_name(&certificate, &name).is_ok())
}

/// The moment as `not_after` has it.
fn digits(now: MilliSecondsSinceUnixEpoch) -> String {
    let now = jiff::Timestamp::from_millisecond(now.get().into()).unwrap_or(jiff::Timestamp::MAX);
    now.strftime("%Y%m%d%H%M%S").to_string()
}

/// The end of the validity, as year, month, day, hour, minute and second in digits (RFC 5280, section 4.1).
fn not_after(certificate: &[u8]) -> Option<String> {
    let (_, certificate, _) = element(certificate)?;
    let (_, mut rest, _) = element(certificate)?;
    if rest.first() == Some(&VERSION) {
        rest = element(rest)?.2;
    }
    for _serial_algorithm_issuer in 0..3 {
        rest = element(rest)?.2;
    }
    let (_, validity, _) = element(rest)?;
    let (_, _not_before, rest) = element(validity)?;
    let (tag, text, _) = element(rest)?;
    let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii())?;
    match tag {
        // Two digits of the year, from 1950 to 2049 (section 4.1.2.5.1).
        UTC_TIME => Some(format!("{}{}", if text.get(..2)? < "50" { "20" } else { "19" }, text.get(..12)?)),
        GENERALIZED_TIME => text.get(..14).map(str::to_owned),
        _ => None,
    }
}

/// The first DER element: its tag, what is in it, what follows it (X.690, section 8.1).
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // No certificate needs more than four bytes to say how long it is.
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use ruma::UInt;

    use super::*;

    /// A self-signed certificate of version 1, as `openssl x509 -req` makes them without extensions.
    const OF_VERSION_1: &str = "-----BEGIN CERTIFICATE-----\n\
MIHuMIGhAhRsbOgxy1pZ1DX0y1VLpRA1xIOTNjAFBgMrZXAwGTEXMBUGA1UEAwwO\n\
Y2FtcHVzLmV4YW1wbGUwIBcNMjYxMTMwMDMwNjExWhgPMjEyNjExMDYwMzA2MTFa\n\
MBkxFzAVBgNVBAMMDmNhbXB1cy5leGFtcGxlMCowBQYDK2VwAyEA4wADrx4jKixl\n\
nFfbBa3CFyFSKHMg2+fyht2vfXupuhMwBQYDK2VwA0EAp3GQ1mcJG8AO7eaeMAov\n\
jTTMgIovjA6tANP66RV5hXpM4NakEIDuSBtWqvav0Rke5aJ/bDl+W8ZvUllJZF3I\n\
CA==\n\
-----END CERTIFICATE-----\n";
    const ITS_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
MC4CAQAwBQYDK2VwBCIEIMdjyQfgX0Uc6llzb0AdEhNhGPxscUbiEx5gkyUP+wlF\n\
-----END PRIVATE KEY-----\n";

    /// 2 November 2026.
    fn now() -> MilliSecondsSinceUnixEpoch {
        MilliSecondsSinceUnixEpoch(UInt::new_saturating(1_793_606_400_000))
    }

    /// Files with a certificate for a name until a year's end, and its key.
    fn files(directory: &tempfile::TempDir, name: &str, year: i32) -> Tls {
        let mut params = rcgen::CertificateParams::new([name.to_owned()]).expect("a name");
        params.not_after = rcgen::date_time_ymd(year, 12, 31);
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        written(directory, &certificate.pem(), &key.serialize_pem())
    }

    fn written(directory: &tempfile::TempDir, certificate: &str, key: &str) -> Tls {
        let tls = Tls { certificate: directory.path().join("cert.pem"), key: directory.path().join("key.pem") };
        fs::write(&tls.certificate, certificate).expect("the certificate can be written");
        fs::write(&tls.key, key).expect("the key can be written");
        tls
    }

    #[test]
    fn a_certificate_in_its_time_for_one_of_the_hosts_is_no_concern() {
        let directory = tempfile::tempdir().expect("a directory for the test");
        for year in [2026, 2049, 2050, 4096] {
            let files = files(&directory, "*.campus.example", year);
            assert_eq!(concerns(&files, &["campus.example", "matrix.campus.example"], now()), [""; 0], "{year}");
        }
    }

    #[test]
    fn one_past_its_time_or_for_others_is() {
        let directory = tempfile::tempdir().expect("a directory for the test");
        let told = concerns(&files(&directory, "campus.example", 2025), &["campus.example"], now());
        assert!(told.len() == 1 && told[0].ends_with("cert.pem expired on 2025-12-31"), "{told:?}");
        let told = concerns(&files(&directory, "other.example", 2027), &["campus.example"], now());
        assert!(told.len() == 1 && told[0].ends_with("cert.pem is not for campus.example"), "{told:?}");
    }

    #[test]
    fn what_cannot_be_served_says_why() {
        let directory = tempfile::tempdir().expect("a directory for the test");
        let told = |files: &Tls| super::super::read(files).expect_err("this cannot be served").to_string();
        let old = told(&written(&directory, OF_VERSION_1, ITS_KEY));
        assert!(old.contains("cert.pem cannot be used") && old.contains("version 3 is needed"), "{old}");
        let good = files(&directory, "campus.example", 2027);
        fs::write(&good.key, ITS_KEY).expect("the key can be written");
        let other = told(&good);
        assert!(other.contains("key.pem does not fit the certificate"), "{other}");
    }
}
