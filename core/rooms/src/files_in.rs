//! The files that are shown in a room, as far as its events are not encrypted.

use lyceum_events::Event;
use ruma::{OwnedMxcUri, RoomId};
use serde::Deserialize;
use std::collections::BTreeSet;

use crate::{Direction, Result, Rooms};

/// Files named at most.
const FILES_MAX: usize = 100_000;
/// Events read at once.
const PAGE: usize = 1_000;

#[derive(Deserialize)]
struct Content {
    url: Option<OwnedMxcUri>,
    info: Option<Info>,
}

#[derive(Deserialize)]
struct Info {
    thumbnail_url: Option<OwnedMxcUri>,
}

impl Rooms {
    /// The files that a room's events show, previews of them included, in order of their names.
    pub async fn files_in(&self, room: &RoomId) -> Result<Vec<OwnedMxcUri>> {
        let (mut files, mut next) = (BTreeSet::new(), Some(i64::MIN));
        while let Some(from) = next.filter(|_| files.len() < FILES_MAX) {
            let page = self.page(room, Direction::Forward, from, None, PAGE).await?;
            files.extend(page.events.iter().flat_map(|known| files_of(known.event())));
            next = page.next;
        }
        Ok(files.into_iter().filter(|file| file.is_valid()).collect())
    }
}

fn files_of(event: &Event) -> Vec<OwnedMxcUri> {
    // Looking for the scheme first spares most events the parsing.
    if !event.content().get().contains("mxc:") {
        return Vec::new();
    }
    let Some(Content { url, info }) = event.content_as() else { return Vec::new() };
    url.into_iter().chain(info.and_then(|info| info.thumbnail_url)).collect()
}
