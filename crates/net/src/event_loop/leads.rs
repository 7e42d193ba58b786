//! What others tell of peers: kept as leads until they expire, and published for readers.
//!
//! A peer that has just come is news: the ready peers are told of it at once, by each node that it
//! connects to and by nobody else. So what one newcomer costs does not grow with the network. Absent
//! on purpose: dials (`mesh`, `seek`).

use std::sync::Arc;

use libp2p::{Multiaddr, PeerId};
use meshwork_core::{
    Time,
    discovery::leads::{Lead, PeerAdvert, Unheard},
};
use tokio::time::Instant;

use super::{EventLoop, Timer, errand::Errand};
use crate::{
    PeerStatus, address,
    clock::LastSeen,
    dial_filter::Stage,
    discovery::HeardAdvert,
    known::{Hearsay, by_hearsay},
    lan, limits,
    wire::{Forged, SignedAdvert},
};

impl EventLoop {
    /// Takes what a peer has passed on. An advert that is known already is no fault of the peer.
    pub(super) fn learn(&mut self, known: Vec<HeardAdvert>, informant: PeerId) {
        // One that has left while its signature was checked says nothing more of itself.
        let left = self.shared.peers.get(&informant).is_none_or(|known| !known.is_admitted());
        for heard in known {
            let is_late = left && heard.advert.peer == informant;
            if is_late || heard.network != self.shared.local.settings.network {
                self.shared.local.counters.adverts_ignored.add();
                continue;
            }
            if let Err(error) = self.learn_one(heard, informant) {
                tracing::debug!(peer = %informant, %error, "an address is not genuine");
                self.expel(informant, "a malformed or forged advert");
                break;
            }
        }
        self.publish_leads_soon();
        self.mesh_soon();
    }

    fn learn_one(&mut self, heard: HeardAdvert, informant: PeerId) -> Result<(), Forged> {
        let HeardAdvert { mut advert, mut signed, .. } = heard;
        let (peer, seq, now) = (advert.peer, advert.seq, self.shared.local.clock.now());
        // Only a peer that this node sees in a range can say where somebody in that range is, itself
        // included: a peer on the internet could name hosts of this node's own network otherwise.
        signed.retain_private(|address| self.is_shared_with(&informant, address));
        let is_private = |it: &Multiaddr| address::ip_of(it).is_some_and(lan::is_private);
        advert.addresses.retain(|it| !is_private(it) || signed.private().any(|own| own == it));
        let said = (advert.addresses.clone(), advert.advert.clone());
        let before = self.exchanges.leads.get(&peer, now);
        let may_count = peer != self.shared.local.peer && advert.age < advert.life;
        let is_newer = may_count && before.is_none_or(|lead| lead.advert.seq < seq);
        if is_newer && !signed.has_genuine_addresses() {
            return Err(Forged(peer));
        }
        let is_news = before
            .is_none_or(|lead| (&lead.advert.addresses, &lead.advert.advert) != (&said.0, &said.1));
        match self.exchanges.leads.hear(advert, signed.clone(), informant, now) {
            Ok(()) => {
                self.note_signed(&peer, said.0);
                if is_news && peer == informant {
                    self.note_news(peer);
                }
                self.on_lead(&peer);
            }
            Err(Unheard::Old) => {
                if !self.confirm(&peer, seq, signed, informant)? {
                    self.shared.local.counters.adverts_ignored.add();
                } else if peer == informant {
                    self.note_signed(&peer, said.0);
                }
            }
            Err(Unheard::Own | Unheard::Expired | Unheard::NoRoom) => {
                self.shared.local.counters.adverts_ignored.add();
            }
        }
        Ok(())
    }

    /// An advert that is known already comes from another informant, perhaps with private addresses.
    /// False if that is of no use.
    fn confirm(
        &mut self,
        peer: &PeerId,
        seq: u64,
        signed: SignedAdvert,
        informant: PeerId,
    ) -> Result<bool, Forged> {
        let Some(lead) = self.exchanges.leads.confirm(peer, seq, informant) else {
            return Ok(false);
        };
        let had_none = lead.signed.private().next().is_none();
        lead.signed.merge_private(signed)?;
        if had_none && lead.signed.private().next().is_some() {
            self.on_lead(peer);
        }
        Ok(true)
    }

    /// Where the subject of a lead may be dialled: at public addresses, and in this node's ranges at
    /// private ones that came from a peer that is connected to it.
    pub(super) fn lead_addresses(&self, lead: &Lead<SignedAdvert>) -> Vec<Multiaddr> {
        let private = lead.signed.private().filter(|address| self.listeners.lan().admits(address));
        let public = lead.advert.addresses.iter().filter(|address| address::is_public(address));
        private.chain(public).cloned().collect()
    }

    /// A peer that is here has signed where it can be found, as far as that may be dialled.
    fn note_signed(&mut self, peer: &PeerId, mut addresses: Vec<Multiaddr>) {
        let Some(known) = self.shared.peers.get_mut(peer).filter(|known| known.is_admitted())
        else {
            return;
        };
        addresses.retain(|address| {
            self.allowed.permits(address, Stage::Announced) || self.listeners.lan().admits(address)
        });
        if known.addresses.on_signed(addresses) {
            self.shared.peers.note_change();
            self.route(*peer);
        }
    }

    /// A peer says of itself what it has not said before: the others are told in a moment, but not
    /// again and again of one that changes all the time.
    fn note_news(&mut self, peer: PeerId) {
        let Some(known) = self.shared.peers.get_mut(&peer) else { return };
        let is_fresh = known.told_of.is_none_or(|told| told.elapsed() >= limits::NEWS_PAUSE);
        let news = &mut self.exchanges.news;
        if !is_fresh || news.contains(&peer) || news.len() >= limits::NEWS {
            return;
        }
        known.told_of = Some(Instant::now());
        if news.is_empty() {
            self.timers.set(Instant::now() + limits::NEWS_DELAY, Timer::News);
        }
        news.push(peer);
    }

    /// Tells the ready peers of those that have just come.
    pub(super) fn tell_news(&mut self) {
        // One advert of each message is this node's own.
        let count = self.exchanges.news.len().min(limits::ADVERTS - 1);
        let news: Arc<[PeerId]> = self.exchanges.news.drain(..count).collect();
        if !self.exchanges.news.is_empty() {
            self.timers.set(Instant::now() + limits::NEWS_DELAY, Timer::News);
        }
        for peer in self.peers_to_ask(limits::NEWS_PEERS) {
            if news.iter().any(|of| *of != peer) {
                self.exchange_with(peer, Errand::News(Arc::clone(&news)));
            }
        }
    }

    /// Publishes leads in a while, not each time: it copies them all.
    pub(super) fn publish_leads_soon(&mut self) {
        if !std::mem::replace(&mut self.exchanges.publish_due, true) {
            self.timers.set(Instant::now() + limits::PUBLISH_EVERY, Timer::Leads);
        }
    }

    /// Publishes what is known by hearsay of peers that are not connected, and what searches found.
    pub(super) fn publish_leads(&mut self) {
        self.exchanges.publish_due = false;
        let now = self.shared.local.clock.now();
        let absent = |peer: &PeerId| !self.shared.peers.get(peer).is_some_and(|p| p.is_connected());
        let leads = self.exchanges.leads.iter(now).filter(|lead| absent(&lead.advert.peer));
        let mut leads: Vec<PeerStatus> =
            leads.map(|lead| self.lead_status(&lead.advert, lead.heard)).collect();
        leads.sort_by_key(|status| status.peer);
        let answered = self.searches.answered();
        self.publisher.publish_hearsay(Hearsay { leads: Arc::new(leads), answered });
    }

    /// An advert that was heard of at `heard`; its subject was there when it signed it.
    pub(super) fn lead_status(&self, advert: &PeerAdvert, heard: Time) -> PeerStatus {
        let signed = heard.before(advert.age);
        let seen = Arc::new(LastSeen::at(self.shared.local.clock, signed));
        PeerStatus {
            addresses: advert.addresses.clone(),
            advert: Some(advert.advert.clone()),
            ..by_hearsay(advert.peer, seen)
        }
    }

    /// The peer's last connection has ended: what others say of it is out of date.
    pub(super) fn forget_lead(&mut self, peer: &PeerId) {
        if self.exchanges.leads.get(peer, self.shared.local.clock.now()).is_some() {
            self.exchanges.leads.forget(peer);
            self.publish_leads_soon();
        }
    }
}
