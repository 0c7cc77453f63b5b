//! A certificate authority of this run alone, and the one certificate for `localhost` that it signs: servers speak with each
//! other over TLS only. Made by `openssl`, so that the tool needs no library for it.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::process::Command;

use crate::Failure;

pub struct Authority {
    pub ca: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
    _folder: TempDir,
}

impl Authority {
    pub async fn new() -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("lyceum-load-ca-").tempdir()?;
        let path = folder.path();
        fs::write(path.join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")?;
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        let ca = ["req", "-x509", "-days", "2", "-subj", "/CN=load", "-keyout", "ca.key", "-out", "ca.crt"];
        let uses = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"];
        openssl(path, &[&ca[..], &uses, &key].concat()).await?;
        let request = ["req", "-subj", "/CN=localhost", "-keyout", "tls.key", "-out", "tls.csr"];
        openssl(path, &[&request[..], &key].concat()).await?;
        let sign = ["x509", "-req", "-days", "2", "-in", "tls.csr", "-CA", "ca.crt", "-CAkey", "ca.key"];
        openssl(path, &[&sign[..], &["-set_serial", "1", "-extfile", "names", "-out", "tls.crt"]].concat()).await?;
        let (ca, certificate, key) = (path.join("ca.crt"), path.join("tls.crt"), path.join("tls.key"));
        Ok(Self { ca, certificate, key, _folder: folder })
    }
}

async fn openssl(folder: &Path, arguments: &[&str]) -> Result<(), Failure> {
    let done = Command::new("openssl").args(arguments).current_dir(folder).output().await;
    let done = done.map_err(|why| format!("openssl cannot be started: {why}"))?;
    if !done.status.success() {
        return Err(format!("openssl {}: {}", arguments[0], String::from_utf8_lossy(&done.stderr)).into());
    }
    Ok(())
}
