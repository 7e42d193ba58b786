//! Dials of peers that other peers named, which keep the network connected.
//!
//! In a small network each node connects to every other; in a large one to some peers chosen at
//! random. Other peers choose these addresses, so the dials per target and per informant are few
//! (P-12, `behaviour/budget`). Absent on purpose: peers that the user named (`targets`).

use libp2p::{Multiaddr, PeerId};
use rand::seq::SliceRandom;
use tokio::time::Instant;

use super::{
    bounds::Bounds,
    ranks::Rank,
    state::{Dialer, courtesy},
};
use crate::{
    dial_filter::Stage,
    event_loop::{action::Action, dials::Pending, shared::Shared, timers::Timer},
    limits,
    protocol::discovery::lead::{self, Lead},
};

/// A peer, its possible addresses, and the peer that named them.
pub(crate) struct Named {
    pub(crate) peer: PeerId,
    /// Addresses that may be dialled on another peer's word.
    pub(crate) addresses: Vec<Multiaddr>,
    pub(crate) source: PeerId,
}

impl Dialer {
    /// Sets a timer for the next round, if peers are missing and there are leads.
    pub(crate) fn mesh_soon(&mut self, has_leads: bool, shared: &Shared) -> Option<Action> {
        let may_dial = self.mesh_missing(shared) > 0 && has_leads;
        let is_new = may_dial && !std::mem::replace(&mut self.mesh_armed, true);
        is_new.then(|| Action::Remind(Instant::now() + limits::MESH_DELAY, Timer::Mesh))
    }

    /// The leads that may be dialled now, in random order, so that unreachable ones do not hide the
    /// others. Returns `None` if no peer is missing or no lead can be dialled.
    pub(crate) fn on_mesh_timer(
        &mut self,
        bounds: &Bounds<'_>,
        shared: &Shared,
    ) -> Option<Vec<Lead>> {
        self.mesh_armed = false;
        let now = shared.local.clock.now();
        let is_candidate = |lead: &&Lead| {
            !shared.peers.is_connected(&lead.advert.peer)
                && !lead::dialable(lead, bounds.lan).is_empty()
        };
        let mut leads: Vec<Lead> = bounds.leads.iter(now).filter(is_candidate).cloned().collect();
        if leads.is_empty() || self.mesh_missing(shared) == 0 {
            return None;
        }
        leads.shuffle(&mut rand::rng());
        // Of two nodes that hear of each other, one waits, so that not both dial.
        leads.retain(|lead| {
            now.since(lead.heard) >= courtesy(&shared.local.peer, &lead.advert.peer)
        });
        // `mesh_again` sets the one timer; a dial that fails within the round sets none.
        self.mesh_armed = true;
        Some(leads)
    }

    /// Whether enough peers are connected or being dialled.
    pub(crate) fn is_mesh_full(&self, shared: &Shared) -> bool {
        self.dials.under_way() >= limits::RECALL_DIALS || self.mesh_missing(shared) == 0
    }

    /// Sets the timer for the next round.
    pub(crate) fn mesh_again(&self) -> Action {
        Action::Remind(Instant::now() + limits::MESH_EVERY, Timer::Mesh)
    }

    /// The dial of a lead, at the first of its addresses that an informant's budget allows. Each
    /// address counts against the budget.
    pub(crate) fn dial_lead(
        &mut self,
        lead: &Lead,
        bounds: &mut Bounds<'_>,
        shared: &Shared,
    ) -> Option<Pending> {
        let addresses = lead::dialable(lead, bounds.lan);
        for source in &lead.informants {
            for address in &addresses {
                let (peer, addresses) = (lead.advert.peer, vec![address.clone()]);
                let named = Named { peer, addresses, source: *source };
                if let Some(pending) = self.dial_named(named, bounds, shared) {
                    return Some(pending);
                }
            }
        }
        None
    }

    /// Filters addresses: those that may be dialled on another peer's word.
    pub(crate) fn permitted(&self, mut addresses: Vec<Multiaddr>) -> Vec<Multiaddr> {
        addresses.retain(|address| self.allowed.permits(address, Stage::Announced));
        addresses
    }

    /// One dial of a peer at the addresses that another peer named, within that peer's budget
    /// (P-12).
    pub(crate) fn dial_named(
        &mut self,
        named: Named,
        bounds: &mut Bounds<'_>,
        shared: &Shared,
    ) -> Option<Pending> {
        let Named { peer, addresses, source } = named;
        let now = Instant::now();
        if shared.peers.is_connected(&peer)
            || bounds.gate.is_blocked(&peer)
            || bounds.gate.is_expelled(&peer, now)
            || shared.peers.admitted() >= shared.local.settings.max_peers
            || !bounds.places.may_dial(Some(&peer))
            || self.dials.pending_for(Some(peer), &addresses).is_some()
        {
            return None;
        }
        let mut wanted = Vec::new();
        for address in addresses {
            if bounds.budget.may_dial(Some(&address), source, now) {
                self.allowed.vouch(&address);
                wanted.push(address);
            }
        }
        let dial = |addresses| Pending {
            since: now,
            addresses,
            expected: Some(peer),
            target: None,
            callers: Vec::new(),
        };
        (!wanted.is_empty()).then(|| dial(wanted))
    }

    /// One dial of a peer whose addresses Kademlia knows, if the budget allows it.
    pub(crate) fn dial_provider(
        &mut self,
        peer: PeerId,
        bounds: &mut Bounds<'_>,
        shared: &Shared,
    ) -> Option<Pending> {
        let now = Instant::now();
        if shared.peers.is_connected(&peer)
            || shared.peers.admitted() >= shared.local.settings.max_peers
            || self.dials.pending_for(Some(peer), &[]).is_some()
            || !bounds.budget.may_dial(None, shared.local.peer, now)
        {
            return None;
        }
        let (addresses, callers) = (Vec::new(), Vec::new());
        Some(Pending { since: now, addresses, expected: Some(peer), target: None, callers })
    }

    /// The number of peers missing for a full mesh. Peers that are being dialled count as
    /// connected.
    fn mesh_missing(&self, shared: &Shared) -> usize {
        // The rest is for peers that dial us and for those that the user names.
        let most = limits::MESH_DEGREE.min(shared.local.settings.max_peers * 3 / 4);
        most.saturating_sub(self.ranks(shared).degree(Rank::New) + self.dials.under_way())
    }
}
