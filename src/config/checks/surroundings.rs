//! What the settings name: directories, certificates, registrations, the signing key. All of it is tried as the server will
//! use it, and nothing is left behind.

use std::fs;
use std::path::Path;

use lyceum_outbound::{Outbound, OutboundConfig};
use lyceum_push::{Registration, Services};

use super::{Finding, in_words};
use crate::config::Config;
use crate::listen::tls;
use crate::signing_key;

/// Rules that look at the disk.
pub(crate) fn surroundings(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    data_dir(config, &mut found);
    certificates(config, &mut found);
    authorities(config, &mut found);
    appservices(config, &mut found);
    found
}

fn data_dir(config: &Config, found: &mut Vec<Finding>) {
    let directory = &config.server.data_dir;
    let wrong = writable_directory(directory).err();
    let wrong = wrong.or_else(|| signing_key::mistake(directory, config.server.name.clone()));
    found.extend(wrong.map(|text| Finding::new("server.data_dir", text)));
}

fn certificates(config: &Config, found: &mut Vec<Finding>) {
    for (index, listener) in config.listeners.iter().enumerate() {
        let Some(files) = &listener.tls else { continue };
        let before = found.len();
        for (key, path) in [("certificate", &files.certificate), ("key", &files.key)] {
            if let Err(text) = readable(path) {
                found.push(Finding::new(&format!("listeners.{index}.tls.{key}"), text));
            }
        }
        if found.len() == before
            && let Err(error) = tls::read(files)
        {
            found.push(Finding::new(&format!("listeners.{index}.tls"), format!("{error:#}")));
        }
    }
}

fn authorities(config: &Config, found: &mut Vec<Finding>) {
    for (index, path) in config.federation.trusted_ca_files.iter().enumerate() {
        let alone = OutboundConfig { trusted_ca_files: vec![path.clone()], ..OutboundConfig::default() };
        let usable = || Outbound::new(&alone).map(drop).map_err(|error| error.to_string());
        if let Err(text) = readable(path).and_then(|()| usable()) {
            found.push(Finding::new(&format!("federation.trusted_ca_files.{index}"), text));
        }
    }
}

/// Each registration by itself, and those that are right together.
fn appservices(config: &Config, found: &mut Vec<Finding>) {
    let files = &config.appservices.files;
    let place = |index: usize, text: String| Finding::new(&format!("appservices.files.{index}"), text);
    let mut registrations = Vec::new();
    for (index, path) in files.iter().enumerate() {
        let read = readable(path).and_then(|()| Registration::read(path).map_err(|wrong| wrong.to_string()));
        match read {
            Ok(registration) => registrations.push((path.clone(), registration)),
            Err(text) => found.push(place(index, text)),
        }
    }
    let Ok(outbound) = Outbound::new(&OutboundConfig::default()) else { return };
    if let Err(wrong) = Services::new(registrations, &config.server.name, outbound) {
        // The second of two that do not go together, should they be one file named twice.
        let index = files.iter().rposition(|file| *file == wrong.file).unwrap_or_default();
        found.push(place(index, wrong.to_string()));
    }
}

fn readable(path: &Path) -> Result<(), String> {
    match fs::File::open(path).and_then(|file| file.metadata()) {
        Ok(meta) if meta.is_dir() => Err(format!("{} is a directory, a file is needed", path.display())),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("cannot read {}: {}", path.display(), in_words(&error))),
    }
}

/// The directory exists and can be written, or could be made: nothing is left behind.
pub(crate) fn writable_directory(path: &Path) -> Result<(), String> {
    let nearest = path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("."));
    let nearest = if nearest.as_os_str().is_empty() { Path::new(".") } else { nearest };
    if !nearest.is_dir() {
        return Err(format!("{} is not a directory", nearest.display()));
    }
    let probe = nearest.join(format!(".lyceum-probe-{}", std::process::id()));
    match fs::File::create_new(&probe) {
        Ok(_) => fs::remove_file(&probe).map_err(|error| in_words(&error)),
        Err(error) => Err(format!("cannot write in {}: {}", nearest.display(), in_words(&error))),
    }
}
