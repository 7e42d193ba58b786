//! Received adverts: kept as leads until they expire.
//!
//! A peer that has just become ready is news: the nodes that it connects to send its advert to
//! their ready peers at once; other nodes do not. So the cost of a new peer does not grow with the
//! network. Absent on purpose: dials (`dialer`).

use std::sync::Arc;

use libp2p::{Multiaddr, PeerId};
use meshwork_core::discovery::leads::AdvertRejected;
use tokio::time::Instant;

use super::{adverts::is_shared_with, state::Exchange};
use crate::{
    address,
    dial_filter::Stage,
    event_loop::{action::Action, shared::Shared, timers::Timer},
    lan::{self, Lan},
    limits,
    protocol::discovery::{
        errand::Errand,
        talk::HeardAdvert,
        wire::{Forged, SignedAdvert},
    },
};

impl Exchange {
    /// Takes one advert that `informant` has passed on. A known advert may add private addresses.
    ///
    /// # Errors
    ///
    /// The subject has not signed a private address in the advert.
    pub(crate) fn learn(
        &mut self,
        received: HeardAdvert,
        informant: PeerId,
        lan: &Lan,
        shared: &mut Shared,
    ) -> Result<Vec<Action>, Forged> {
        let HeardAdvert { network, mut advert, mut signed } = received;
        // The peer may have disconnected while its signature was checked.
        let is_late = advert.peer == informant && !shared.peers.is_admitted(&informant);
        if is_late || network != shared.local.settings.network {
            shared.local.counters.adverts_ignored.add();
            return Ok(Vec::new());
        }
        let (peer, seq, now) = (advert.peer, advert.seq, shared.local.clock.now());
        // Only a peer inside a private range may name addresses in it: otherwise a peer on the
        // internet could make this node dial hosts of its own network.
        signed.retain_private(|address| is_shared_with(&informant, address, lan, shared));
        let is_private = |it: &Multiaddr| address::ip_of(it).is_some_and(lan::is_private);
        advert.addresses.retain(|it| !is_private(it) || signed.private().any(|own| own == it));
        let content = (advert.addresses.clone(), advert.advert.clone());
        let before = self.leads.get(&peer, now);
        let may_count = peer != shared.local.peer && advert.age < advert.life;
        let is_newer = may_count && before.is_none_or(|lead| lead.advert.seq < seq);
        if is_newer && !signed.has_genuine_addresses() {
            return Err(Forged(peer));
        }
        let is_news = before.is_none_or(|lead| {
            (&lead.advert.addresses, &lead.advert.advert) != (&content.0, &content.1)
        });
        let mut actions = Vec::new();
        match self.leads.hear(advert, signed.clone(), informant, now) {
            Ok(()) => {
                actions.extend(self.note_signed(&peer, content.0, lan, shared));
                if is_news && peer == informant {
                    actions.extend(self.note_news(peer, shared));
                }
                actions.push(Action::Lead(peer));
            }
            Err(AdvertRejected::Old) => match self.confirm(&peer, seq, signed, informant)? {
                None => shared.local.counters.adverts_ignored.add(),
                Some(lead) => {
                    actions.extend(lead);
                    if peer == informant {
                        actions.extend(self.note_signed(&peer, content.0, lan, shared));
                    }
                }
            },
            Err(AdvertRejected::Own | AdvertRejected::Expired | AdvertRejected::NoRoom) => {
                shared.local.counters.adverts_ignored.add();
            }
        }
        Ok(actions)
    }

    /// A known advert has arrived from another informant, perhaps with more private addresses.
    /// `None` if it changes nothing; otherwise the resulting action, if any.
    fn confirm(
        &mut self,
        peer: &PeerId,
        seq: u64,
        signed: SignedAdvert,
        informant: PeerId,
    ) -> Result<Option<Option<Action>>, Forged> {
        let Some(lead) = self.leads.confirm(peer, seq, informant) else { return Ok(None) };
        let had_none = lead.signed.private().next().is_none();
        lead.signed.merge_private(signed)?;
        let is_useful = had_none && lead.signed.private().next().is_some();
        Ok(Some(is_useful.then_some(Action::Lead(*peer))))
    }

    /// An admitted peer has signed its addresses: keeps those that this node may dial.
    fn note_signed(
        &self,
        peer: &PeerId,
        mut addresses: Vec<Multiaddr>,
        lan: &Lan,
        shared: &mut Shared,
    ) -> Option<Action> {
        let known = shared.peers.get_mut(peer).filter(|known| known.is_admitted())?;
        addresses.retain(|address| {
            self.allowed.permits(address, Stage::Announced) || lan.admits(address)
        });
        if !known.addresses.on_signed(addresses) {
            return None;
        }
        shared.peers.note_change();
        Some(Action::Route(*peer))
    }

    /// A peer's own advert is new or has changed: schedules it as news, at most once per
    /// [`limits::NEWS_PAUSE`] for each peer.
    fn note_news(&mut self, peer: PeerId, shared: &mut Shared) -> Option<Action> {
        let known = shared.peers.get_mut(&peer)?;
        let is_fresh = known.announced_at.is_none_or(|at| at.elapsed() >= limits::NEWS_PAUSE);
        if !is_fresh || self.news.contains(&peer) || self.news.len() >= limits::NEWS {
            return None;
        }
        known.announced_at = Some(Instant::now());
        self.news.push(peer);
        (self.news.len() == 1).then(news_timer)
    }

    /// Sends the news to these ready peers.
    pub(crate) fn tell_news(&mut self, receivers: Vec<PeerId>) -> Vec<Action> {
        // Each message also holds this node's own advert.
        let count = self.news.len().min(limits::ADVERTS - 1);
        let news: Arc<[PeerId]> = self.news.drain(..count).collect();
        let mut actions = Vec::new();
        if !self.news.is_empty() {
            actions.push(news_timer());
        }
        for peer in receivers {
            if news.iter().any(|of| *of != peer) {
                let errand = Errand::News(Arc::clone(&news));
                actions.push(Action::Exchange { peer, errand });
            }
        }
        actions
    }
}

fn news_timer() -> Action {
    Action::Remind(Instant::now() + limits::NEWS_DELAY, Timer::News)
}
