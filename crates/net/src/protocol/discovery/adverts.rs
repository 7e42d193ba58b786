//! The adverts that this node sends in an exchange: its own, and those of the peers that it knows.
//!
//! A private address is sent only if its subject is connected from that very host, and only to a
//! peer in the same range. Absent on purpose: received adverts (`learning`).

use libp2p::{Multiaddr, PeerId};
use meshwork_core::{
    PeerQuery, PeerStage, Time,
    discovery::{Candidate, leads::PeerAdvert},
    limits as core_limits,
};
use rand::seq::SliceRandom;
use tokio::time::Instant;

use super::state::{Exchange, Sources};
use crate::{
    address,
    event_loop::shared::Shared,
    lan::Lan,
    limits,
    protocol::discovery::{lead::Lead, wire::SignedAdvert},
};

impl Exchange {
    /// The adverts for `receiver`: this node's own, then those of connected peers, then others, the
    /// latter two in random order. With a query, only those that match.
    pub(crate) fn adverts_for(
        &mut self,
        receiver: &PeerId,
        query: Option<&PeerQuery>,
        sources: Sources<'_>,
    ) -> Vec<SignedAdvert> {
        let most = query.map_or(limits::ADVERTS, |query| query.limit.min(limits::ADVERTS));
        let Shared { local, peers } = sources.shared;
        let now = local.clock.now();
        let own = self.own_advert(query, sources);
        let mut adverts: Vec<_> =
            own.map(|own| own_for(receiver, own, sources)).into_iter().collect();
        let (mut connected, mut absent): (Vec<_>, Vec<_>) = self
            .leads
            .iter(now)
            .filter(|lead| lead.advert.peer != *receiver)
            .filter(|lead| query.is_none_or(|query| matches(query, &lead.advert, sources.shared)))
            .partition(|lead| peers.is_admitted(&lead.advert.peer));
        connected.shuffle(&mut rand::rng());
        absent.shuffle(&mut rand::rng());
        let room = most.saturating_sub(adverts.len());
        let others = connected.into_iter().chain(absent).take(room);
        adverts.extend(others.map(|lead| passed_on(receiver, lead, now, sources)));
        adverts.truncate(most);
        adverts
    }

    /// The adverts of this node and of `peers`, for `receiver`.
    pub(crate) fn adverts_of(
        &mut self,
        receiver: &PeerId,
        peers: &[PeerId],
        sources: Sources<'_>,
    ) -> Vec<SignedAdvert> {
        let now = sources.shared.local.clock.now();
        let own = self.own_advert(None, sources);
        let mut adverts: Vec<_> =
            own.map(|own| own_for(receiver, own, sources)).into_iter().collect();
        let others = peers.iter().filter(|peer| *peer != receiver);
        let leads = others.filter_map(|peer| self.leads.get(peer, now));
        adverts.extend(leads.map(|lead| passed_on(receiver, lead, now, sources)));
        adverts.truncate(limits::ADVERTS);
        adverts
    }

    /// This node's public advert, signed again if it is older than [`limits::ADVERT_RENEW`]. `None`
    /// if it does not match the query.
    fn own_advert(
        &mut self,
        query: Option<&PeerQuery>,
        sources: Sources<'_>,
    ) -> Option<SignedAdvert> {
        let Sources { shared: Shared { local, .. }, listeners, resources } = sources;
        let public = local.offer.advert.for_peer(&local.offer.accept, false);
        let candidate = Candidate {
            peer: local.peer,
            advert: Some(&public),
            resources,
            latency: None,
            stage: PeerStage::Ready,
        };
        if query.is_some_and(|query| !query.matches(&candidate)) {
            return None;
        }
        if let Some((at, own)) = &self.own
            && at.elapsed() < limits::ADVERT_RENEW
        {
            return Some(own.aged(at.elapsed()));
        }
        self.count += 1;
        let content = PeerAdvert {
            peer: local.peer,
            seq: u64::from(local.settings.boot) << 32 | u64::from(self.count),
            age: std::time::Duration::ZERO,
            life: core_limits::ADVERT_LIFE,
            addresses: listeners.announced(),
            advert: public,
        };
        match SignedAdvert::sign(&local.keypair, &local.settings.network, content) {
            Ok(own) => {
                self.own = Some((Instant::now(), own.clone()));
                Some(own)
            }
            Err(error) => {
                tracing::error!(%error, "cannot sign an advert");
                None
            }
        }
    }
}

/// Whether the peer is in the same private range as `address`.
pub(crate) fn is_shared_with(
    peer: &PeerId,
    address: &Multiaddr,
    lan: &Lan,
    shared: &Shared,
) -> bool {
    let remote_ips = shared.peers.get(peer).into_iter().flat_map(|known| known.remote_ips());
    address::ip_of(address).is_some_and(|ip| remote_ips.into_iter().any(|at| lan.joins(at, ip)))
}

/// Whether the subject of `advert` matches the query.
fn matches(query: &PeerQuery, advert: &PeerAdvert, shared: &Shared) -> bool {
    let known = shared.peers.get(&advert.peer);
    query.matches(&Candidate {
        peer: advert.peer,
        advert: Some(&advert.advert),
        resources: known.and_then(|known| known.claims.resources.as_ref()),
        latency: None,
        stage: PeerStage::Ready,
    })
}

/// The advert of a lead with its current age, and only the private addresses for `receiver`.
fn passed_on(receiver: &PeerId, lead: &Lead, now: Time, sources: Sources<'_>) -> SignedAdvert {
    let Sources { shared, listeners, .. } = sources;
    let mut advert = lead.signed.aged(lead.age(now));
    let subject = shared.peers.get(&lead.advert.peer).filter(|known| known.is_admitted());
    advert.retain_private(|address| {
        let ip = address::ip_of(address);
        let is_seen =
            subject.is_some_and(|known| known.remote_ips().any(|remote| Some(remote) == ip));
        is_seen && is_shared_with(receiver, address, listeners.lan(), shared)
    });
    advert
}

/// This node's own advert, with only the private addresses for `receiver`.
fn own_for(receiver: &PeerId, mut own: SignedAdvert, sources: Sources<'_>) -> SignedAdvert {
    let Sources { shared, listeners, .. } = sources;
    own.retain_private(|address| is_shared_with(receiver, address, listeners.lan(), shared));
    own
}
