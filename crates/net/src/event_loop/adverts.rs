//! What this node tells in an exchange: itself, and the peers that it knows.
//!
//! A private address is told only of a peer that is connected, at a host at which this node sees it,
//! and only to a peer in the same range. Absent on purpose: what others tell (`leads`).

use libp2p::{Multiaddr, PeerId};
use meshwork_core::{
    PeerQuery, PeerStage, Time,
    discovery::{
        Candidate,
        leads::{Lead, PeerAdvert},
    },
    limits as core_limits,
};
use rand::seq::SliceRandom;
use tokio::time::Instant;

use super::EventLoop;
use crate::{address, limits, wire::SignedAdvert};

impl EventLoop {
    /// What `receiver` is told: this node itself, then peers that are connected, then others, each
    /// in random order. With a query, those that match it.
    pub(super) fn adverts_for(
        &mut self,
        receiver: &PeerId,
        query: Option<&PeerQuery>,
    ) -> Vec<SignedAdvert> {
        let most = query.map_or(limits::ADVERTS, |query| query.limit.min(limits::ADVERTS));
        let now = self.shared.local.clock.now();
        let own = self.own_advert(query);
        let mut adverts: Vec<_> = own.map(|own| self.own_for(receiver, own)).into_iter().collect();
        let (mut here, mut absent): (Vec<_>, Vec<_>) = self
            .exchanges
            .leads
            .iter(now)
            .filter(|lead| lead.advert.peer != *receiver)
            .filter(|lead| query.is_none_or(|query| self.matches(query, &lead.advert)))
            .partition(|lead| self.shared.peers.is_admitted(&lead.advert.peer));
        here.shuffle(&mut rand::rng());
        absent.shuffle(&mut rand::rng());
        let room = most.saturating_sub(adverts.len());
        let others = here.into_iter().chain(absent).take(room);
        adverts.extend(others.map(|lead| self.told(receiver, lead, now)));
        adverts.truncate(most);
        adverts
    }

    /// This node itself, and what it knows of these peers.
    pub(super) fn adverts_of(&mut self, receiver: &PeerId, peers: &[PeerId]) -> Vec<SignedAdvert> {
        let now = self.shared.local.clock.now();
        let own = self.own_advert(None);
        let mut adverts: Vec<_> = own.map(|own| self.own_for(receiver, own)).into_iter().collect();
        let others = peers.iter().filter(|peer| *peer != receiver);
        let leads = others.filter_map(|peer| self.exchanges.leads.get(peer, now));
        adverts.extend(leads.map(|lead| self.told(receiver, lead, now)));
        adverts.truncate(limits::ADVERTS);
        adverts
    }

    /// What this node says of itself has changed.
    pub(super) fn forget_own_advert(&mut self) {
        self.exchanges.own = None;
    }

    /// Whether a peer that this node knows by its advert is what is looked for.
    fn matches(&self, query: &PeerQuery, advert: &PeerAdvert) -> bool {
        let known = self.shared.peers.get(&advert.peer);
        query.matches(&Candidate {
            peer: advert.peer,
            advert: Some(&advert.advert),
            resources: known.and_then(|known| known.said.resources.as_ref()),
            latency: None,
            stage: PeerStage::Ready,
        })
    }

    /// A lead as it is passed on.
    fn told(&self, receiver: &PeerId, lead: &Lead<SignedAdvert>, now: Time) -> SignedAdvert {
        let mut advert = lead.signed.aged(lead.age(now));
        let subject = self.shared.peers.get(&lead.advert.peer).filter(|known| known.is_admitted());
        advert.retain_private(|address| {
            let ip = address::ip_of(address);
            let is_seen = subject.is_some_and(|known| known.hosts().any(|host| Some(host) == ip));
            is_seen && self.is_shared_with(receiver, address)
        });
        advert
    }

    /// The own advert as it is told to `receiver`.
    fn own_for(&self, receiver: &PeerId, mut own: SignedAdvert) -> SignedAdvert {
        own.retain_private(|address| self.is_shared_with(receiver, address));
        own
    }

    /// Whether the peer is in the same private range as `address`.
    pub(super) fn is_shared_with(&self, peer: &PeerId, address: &Multiaddr) -> bool {
        let hosts = self.shared.peers.get(peer).into_iter().flat_map(|known| known.hosts());
        address::ip_of(address)
            .is_some_and(|ip| hosts.into_iter().any(|at| self.listeners.lan().joins(at, ip)))
    }

    /// What this node says of itself to everybody, signed anew if it is not of just now. None if it
    /// is not what is looked for.
    fn own_advert(&mut self, query: Option<&PeerQuery>) -> Option<SignedAdvert> {
        let public =
            self.shared.local.offer.advert.for_peer(&self.shared.local.offer.accept, false);
        let candidate = Candidate {
            peer: self.shared.local.peer,
            advert: Some(&public),
            resources: self.links.resources(),
            latency: None,
            stage: PeerStage::Ready,
        };
        if query.is_some_and(|query| !query.matches(&candidate)) {
            return None;
        }
        if let Some((at, own)) = &self.exchanges.own
            && at.elapsed() < limits::ADVERT_RENEW
        {
            return Some(own.aged(at.elapsed()));
        }
        self.exchanges.count += 1;
        let said = PeerAdvert {
            peer: self.shared.local.peer,
            seq: u64::from(self.shared.local.settings.boot) << 32 | u64::from(self.exchanges.count),
            age: std::time::Duration::ZERO,
            life: core_limits::ADVERT_LIFE,
            addresses: self.listeners.announced(),
            advert: public,
        };
        match SignedAdvert::sign(
            &self.shared.local.keypair,
            &self.shared.local.settings.network,
            said,
        ) {
            Ok(own) => {
                self.exchanges.own = Some((Instant::now(), own.clone()));
                Some(own)
            }
            Err(error) => {
                tracing::error!(%error, "cannot sign an advert");
                None
            }
        }
    }
}
