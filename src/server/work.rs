//! What goes on beside requests: the followers of the stream, and the upkeep of what ends by itself. Started for a server that serves, not for a command that only
//! looks into the store.

use anyhow::Context;
use lyceum_peers::sender::{RoomsSource, Sender};

use lyceum_accounts::{Accounts, note_home};
use lyceum_media::Media;
use lyceum_push::{Feeds, Notifier};
use lyceum_rooms::Rooms;
use std::time::Duration;
use tokio::task::JoinHandle;

use super::Server;

/// How often it is looked who no longer types or is no longer there.
const PRESENCE_PAUSE: Duration = Duration::from_secs(5);
/// Of so many looks one also removes what has expired: tokens, nonces, unfinished confirmations.
const LOOKS_PER_SWEEP: u32 = 60;

/// The followers at work.
pub(super) struct Work {
    /// `None` when the server does not federate.
    sender: Option<Sender>,
    notifier: Notifier,
    feeds: Feeds,
    upkeep: JoinHandle<()>,
    delays: JoinHandle<()>,
    search: JoinHandle<()>,
    redactions: JoinHandle<()>,
    deletions: JoinHandle<()>,
    past_purges: JoinHandle<()>,
    /// What federation has going on; empty when the server does not federate.
    intake: Vec<JoinHandle<()>>,
    /// `None` where no campus rules are in force.
    campus_rooms: Option<JoinHandle<()>>,
    /// The same.
    moderation: Option<JoinHandle<()>>,
    /// `None` where there is no support desk.
    support: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts the followers.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        note_home(&self.store, self.accounts.server_name()).await.context("noting the server's name")?;
        self.client.media.claim_storage().await.context("media cannot be kept")?;
        self.client.media.remove_unfinished().await.context("removing what uploads left that broke off")?;
        let source = RoomsSource::new(&self.rooms, &self.accounts);
        let sender = match self.federates {
            true => Some(Sender::start(&self.peers, &self.store, source).await.context("sending to other servers")?),
            false => None,
        };
        let notifier = Notifier::start(&self.push).await.context("telling push gateways")?;
        self.services.make_senders(&self.accounts).await.context("making the users of application services")?;
        let feeds = Feeds::start(&self.push, &self.services).await.context("telling application services")?;
        let upkeep = tokio::spawn(upkeep(self.accounts.clone(), self.rooms.clone(), self.client.media.clone()));
        let rooms = self.rooms.clone();
        let delays = tokio::spawn(async move { rooms.keep_delays().await });
        let campus_rooms = self.campus_rooms.clone().map(|keeper| tokio::spawn(keeper.run()));
        let moderation = self.moderation.clone().map(|desk| tokio::spawn(desk.run()));
        let support = self.support.clone().map(|desk| tokio::spawn(desk.run()));
        let search = self.search.clone();
        let search = tokio::spawn(async move { search.follow().await });
        let redactions = tokio::spawn(self.client.redactions.clone().run());
        let deletions = tokio::spawn(self.client.deletions.clone().run());
        let past_purges = tokio::spawn(self.client.past_purges.clone().run());
        let intake = match self.federates {
            true => {
                let (intake, clock) = (&self.federation.intake, &self.federation.clock);
                let completion = tokio::spawn(intake.clone().complete_rooms(clock.clone()));
                vec![completion, tokio::spawn(intake.clone().try_waiting(clock.clone()))]
            }
            false => Vec::new(),
        };
        self.work = Some(Work {
            sender,
            notifier,
            feeds,
            upkeep,
            delays,
            search,
            redactions,
            deletions,
            past_purges,
            intake,
            campus_rooms,
            moderation,
            support,
        });
        Ok(())
    }

    /// Stops the followers. What they have not done yet is done after the next start.
    pub async fn stop(&mut self) {
        let Some(Work {
            sender,
            notifier,
            feeds,
            upkeep,
            delays,
            search,
            redactions,
            deletions,
            past_purges,
            intake,
            campus_rooms,
            moderation,
            support,
        }) = self.work.take()
        else {
            return;
        };
        // Each of their acts is one batch: they can end between any two.
        upkeep.abort();
        delays.abort();
        campus_rooms.iter().chain(&moderation).chain(&support).chain(&intake).for_each(JoinHandle::abort);
        search.abort();
        redactions.abort();
        deletions.abort();
        past_purges.abort();
        notifier.stop().await;
        feeds.stop().await;
        if let Some(sender) = sender {
            sender.stop().await;
        }
    }

    /// Ends as if the process were killed: nothing more is noted.
    pub fn crash(&self) {
        let Some(Work {
            sender,
            notifier,
            feeds,
            upkeep,
            delays,
            search,
            redactions,
            deletions,
            past_purges,
            intake,
            campus_rooms,
            moderation,
            support,
        }) = &self.work
        else {
            return;
        };
        upkeep.abort();
        delays.abort();
        campus_rooms.iter().chain(moderation).chain(support).chain(intake).for_each(JoinHandle::abort);
        search.abort();
        redactions.abort();
        deletions.abort();
        past_purges.abort();
        notifier.crash();
        feeds.crash();
        if let Some(sender) = sender {
            sender.crash();
        }
    }

    /// Who tells application services, while it does.
    pub fn feeds(&self) -> Option<&Feeds> {
        Some(&self.work.as_ref()?.feeds)
    }

    /// Who tells push gateways, while it does.
    pub fn notifier(&self) -> Option<&Notifier> {
        Some(&self.work.as_ref()?.notifier)
    }

    /// Who tells other servers what happens here, while it does.
    pub fn sender(&self) -> Option<&Sender> {
        self.work.as_ref()?.sender.as_ref()
    }
}

/// Removes files that nothing stands for: the server may have ended at any moment.
async fn tidy(media: &Media) {
    match media.tidy().await {
        Ok(0) => {}
        Ok(removed) => tracing::info!(removed, "files were removed that nothing stands for"),
        Err(error) => tracing::warn!(%error, "it could not be looked for files that nothing stands for"),
    }
}

/// Lets end what ends by itself.
async fn upkeep(accounts: Accounts, rooms: Rooms, media: Media) {
    let mut looks = tokio::time::interval(PRESENCE_PAUSE);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    tidy(&media).await;
    for look in 0_u32.. {
        looks.tick().await;
        rooms.typing().sweep();
        accounts.presence().settle();
        if look % LOOKS_PER_SWEEP != 0 {
            continue;
        }
        if let Err(error) = accounts.sweep().await {
            tracing::warn!(%error, "what has expired could not be removed; it is tried again later");
        }
        if let Err(error) = media.sweep().await {
            tracing::warn!(%error, "media that wait in vain could not be removed; it is tried again later");
        }
    }
}
