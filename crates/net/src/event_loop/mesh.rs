//! Connections to peers that nobody asked for, so that the network holds together.
//!
//! A small network is connected everybody with everybody; in a large one each node has some peers
//! chosen at random. Who is dialled here was named by others, so the dials are few for each target
//! and each informant (P-12, `behaviour/budget`). Absent on purpose: peers that the operator named (`seek`).

use libp2p::{Multiaddr, PeerId};
use rand::seq::SliceRandom;
use tokio::time::Instant;

use super::{
    EventLoop, Timer, admission::Rank, connection::Connection, dialing, dials::Pending, peers::Peer,
};
use crate::{event::Direction, limits, wire::SignedAdvert};

/// A lead that may be dialled.
type Lead = meshwork_core::discovery::leads::Lead<SignedAdvert>;

/// When this node looks for peers to dial.
#[derive(Debug, Default)]
pub(super) struct Mesh {
    /// A timer for the next round is set.
    armed: bool,
}

impl EventLoop {
    /// Looks in a moment whether peers are to be dialled.
    pub(super) fn mesh_soon(&mut self) {
        let may_dial = self.mesh_missing() > 0 && !self.exchanges.leads.is_empty();
        if may_dial && !std::mem::replace(&mut self.mesh.armed, true) {
            self.timers.set(Instant::now() + limits::MESH_DELAY, Timer::Mesh);
        }
    }

    /// Dials peers that others have told of, while fewer are connected than should be.
    pub(super) fn mesh_round(&mut self) {
        self.mesh.armed = false;
        let now = self.shared.local.clock.now();
        let leads = self.exchanges.leads.iter(now).filter(|lead| self.is_candidate(lead));
        let mut leads: Vec<Lead> = leads.cloned().collect();
        if leads.is_empty() || self.mesh_missing() == 0 {
            return;
        }
        // Not the same ones each time: those that are not there must not hide the others.
        leads.shuffle(&mut rand::rng());
        for lead in leads {
            if self.mesh_missing() == 0 || self.dials.under_way() >= limits::RECALL_DIALS {
                break;
            }
            // Of two that hear of each other one dials first, so that not both do.
            let courtesy = dialing::courtesy(&self.shared.local.peer, &lead.advert.peer);
            if now.since(lead.heard) >= courtesy {
                self.dial_first(&lead);
            }
        }
        self.mesh.armed = true;
        self.timers.set(Instant::now() + limits::MESH_EVERY, Timer::Mesh);
    }

    /// Dials the first of these addresses that an informant's budget allows: each counts against it.
    fn dial_first(&mut self, lead: &Lead) {
        let addresses = self.lead_addresses(lead);
        let by = |informant: &PeerId| {
            let informant = *informant;
            addresses.iter().map(move |address| (informant, address.clone()))
        };
        for (informant, address) in lead.informants.iter().flat_map(by) {
            if self.dial_named(lead.advert.peer, vec![address], informant) {
                return;
            }
        }
    }

    /// How many peers are missing for a full mesh, counting those that are being dialled as there.
    fn mesh_missing(&self) -> usize {
        // The rest is for peers that come by themselves and for those that the operator names.
        let most = limits::MESH_DEGREE.min(self.shared.local.settings.max_peers * 3 / 4);
        most.saturating_sub(self.degree(Rank::New) + self.dials.under_way())
    }

    /// How many peers of at least this rank are admitted, or were just dialled and have time for
    /// their hello.
    pub(super) fn degree(&self, rank: Rank) -> usize {
        let has_time = |connection: &Connection| {
            connection.direction == Direction::Outbound
                && connection.since.elapsed() < self.shared.local.settings.hello_timeout
        };
        let counts = |known: &Peer| {
            let is_in = known.is_admitted() || known.connections.iter().any(has_time);
            is_in && !known.is_closing()
        };
        let peers = self.shared.peers.iter().filter(|(_, known)| counts(known));
        peers.filter(|(peer, _)| self.rank(peer) >= rank).count()
    }

    fn is_candidate(&self, lead: &Lead) -> bool {
        let peer = &lead.advert.peer;
        !self.shared.peers.get(peer).is_some_and(|known| known.is_connected())
            && !self.lead_addresses(lead).is_empty()
    }

    /// Dials a peer at addresses that `source` has named, once, as far as its budget goes (P-12).
    /// False if nothing is dialled. The addresses are such that may be dialled on a peer's word.
    pub(super) fn dial_named(
        &mut self,
        peer: PeerId,
        addresses: Vec<Multiaddr>,
        source: PeerId,
    ) -> bool {
        let now = Instant::now();
        if self.shared.peers.get(&peer).is_some_and(|known| known.is_connected())
            || self.shared.peers.admitted() >= self.shared.local.settings.max_peers
            || !self.swarm.behaviour().places.may_dial(Some(&peer))
            || self.dials.pending_for(Some(peer), &addresses).is_some()
        {
            return false;
        }
        let mut wanted = Vec::new();
        for address in addresses {
            let budget = self.swarm.behaviour_mut().kad.budget();
            if budget.may_dial(Some(&address), source, now) {
                self.allowed.vouch(&address);
                wanted.push(address);
            }
        }
        if wanted.is_empty() {
            return false;
        }
        let (expected, target, callers) = (Some(peer), None, Vec::new());
        self.dial(Pending { since: now, addresses: wanted, expected, target, callers });
        true
    }
}
