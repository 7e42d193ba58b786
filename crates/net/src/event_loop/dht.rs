//! Kademlia: what this node provides, what others do, and dials of providers.
//!
//! It finds strangers and rare capabilities, and is never asked who is alive. Records are kept for
//! admitted peers alone, about themselves, and go with them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use libp2p::{
    Multiaddr, PeerId, kad,
    swarm::dial_opts::{DialOpts, PeerCondition},
};
use meshwork_core::{DiscoveryEvent, PeerInfo, Reason};
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};
use tokio::{sync::oneshot, time::Instant};

use super::{EventLoop, Timer, dials::Pending};
use crate::{address, dial_filter::Stage, limits, quota::Asked};

/// Code and length of a sha2-256 multihash: other implementations take no other keys.
const SHA2_256: [u8; 2] = [0x12, 0x20];

/// What Kademlia was told, and dials on others' word.
#[derive(Debug, Default)]
pub(super) struct Dht {
    /// Whether this node publishes what it is capable of.
    started: bool,
    /// Capabilities that are published.
    provided: BTreeSet<String>,
    /// When they were last told to others.
    told: Option<Instant>,
    /// A timer will tell them again.
    due: bool,
    /// Keys of the records kept for each peer, at most [`limits::KAD_RECORDS_PER_PEER`], and when
    /// each was last renewed: Kademlia's store forgets none by itself.
    records: BTreeMap<PeerId, HashMap<kad::RecordKey, Instant>>,
    /// Addresses of connected peers that Kademlia was told; at most [`limits::PEER_ADDRESSES`] of
    /// each.
    routed: FxHashMap<PeerId, Vec<Multiaddr>>,
}

impl Dht {
    /// There is reason to believe that an admitted peer is at these addresses. Returns those that
    /// Kademlia is to be told.
    pub(super) fn on_believed(&mut self, peer: PeerId, believed: Vec<Multiaddr>) -> Vec<Multiaddr> {
        let routed = self.routed.entry(peer).or_default();
        let mut fresh = believed;
        fresh.retain(|address| {
            let is_fresh = routed.len() < limits::PEER_ADDRESSES && !routed.contains(address);
            if is_fresh {
                routed.push(address.clone());
            }
            is_fresh
        });
        fresh
    }

    /// The last connection to the peer is gone.
    pub(super) fn on_disconnected(&mut self, peer: &PeerId) {
        self.routed.remove(peer);
    }
}

impl EventLoop {
    /// What handles ask of the discovery protocol.
    pub(super) fn on_discovery_command(
        &mut self,
        event: DiscoveryEvent,
        reply: oneshot::Sender<Result<(), Reason>>,
    ) {
        let mut done = Ok(());
        match event {
            DiscoveryEvent::StartDHT => self.start_dht(),
            DiscoveryEvent::Bootstrap => self.bootstrap(),
            DiscoveryEvent::FindPeers(query) => return self.search(query, reply),
            DiscoveryEvent::AnnouncePeer(info) if info.peer_id == self.shared.local.peer => {
                self.announce_self();
            }
            DiscoveryEvent::AnnouncePeer(info) => done = self.take_hint(*info),
        }
        // Whoever asked may have stopped waiting.
        reply.send(done).ok();
    }

    fn start_dht(&mut self) {
        self.dht.started = true;
        let kad = self.swarm.behaviour_mut().kad.table();
        if !self.listeners.addresses().is_empty() {
            kad.set_mode(Some(kad::Mode::Server));
        }
        // An error means that nobody is known yet; whoever comes starts another.
        kad.bootstrap().ok();
        self.provide();
    }

    /// Dials what is configured without waiting for its time, and asks those that are there.
    fn bootstrap(&mut self) {
        let now = Instant::now();
        for target in self.dials.waiting() {
            self.schedule_dial(target, now);
        }
        self.exchange_with_many();
    }

    fn announce_self(&mut self) {
        self.forget_own_advert();
        self.shared.local.seq += 1;
        let hellos = self.hellos.announce(&mut self.shared);
        self.perform(hellos);
        self.provide();
        self.exchange_with_many();
    }

    /// Somebody whom the program has heard of: kept like a stranger's word, and tried once.
    fn take_hint(&mut self, info: PeerInfo) -> Result<(), Reason> {
        let peer = info.peer_id;
        let sound = |address: &&Multiaddr| {
            let parts = address::parts(address);
            parts.is_ok_and(|parts| parts.peer.is_none_or(|named| named == peer))
        };
        let addresses: Vec<Multiaddr> = info
            .addresses
            .iter()
            .filter(sound)
            .take(limits::PEER_ADDRESSES)
            .map(address::without_peer)
            .collect();
        if addresses.is_empty() {
            let detail = format!("there is no address at which {peer} can be reached");
            return Err(Reason::InvalidMessage { detail });
        }
        let known = self.shared.peers.entry(peer);
        for address in &addresses {
            known.addresses.remember(address, false);
        }
        self.shared.peers.note_change();
        let permitted = |address: &Multiaddr| self.allowed.permits(address, Stage::Announced);
        let addresses = addresses.into_iter().filter(permitted).collect();
        self.dial_named(peer, addresses, self.shared.local.peer);
        Ok(())
    }

    /// What this node offers has changed.
    pub(super) fn on_offer_changed(&mut self) {
        self.forget_own_advert();
        if self.dht.started {
            self.provide();
        }
    }

    /// Kademlia has met somebody: what is provided is told there, too, but not all the time.
    pub(super) fn provide_soon(&mut self) {
        if !self.dht.started
            || self.dht.due
            || self.shared.local.offer.advert.capabilities.is_empty()
        {
            return;
        }
        self.dht.due = true;
        let earliest = self.dht.told.map(|told| told + limits::KAD_PROVIDE_PAUSE);
        let at = (Instant::now() + limits::HELLO_RETRY).max(earliest.unwrap_or_else(Instant::now));
        self.timers.set(at, Timer::Provide);
    }

    /// Publishes the capabilities of this node, and takes back those that it has no longer.
    pub(super) fn provide(&mut self) {
        self.dht.due = false;
        let capabilities = self.shared.local.offer.advert.capabilities.clone();
        for gone in self.dht.provided.difference(&capabilities).cloned().collect::<Vec<_>>() {
            let key = self.capability_key(&gone);
            self.swarm.behaviour_mut().kad.table().stop_providing(&key);
        }
        // Whoever knows nobody has told nobody.
        let met = self.swarm.behaviour_mut().kad.table().kbuckets().next().is_some();
        for capability in &capabilities {
            let key = self.capability_key(capability);
            if let Err(error) = self.swarm.behaviour_mut().kad.table().start_providing(key) {
                tracing::warn!(capability, %error, "a capability is not published");
            }
        }
        if met {
            self.dht.told = Some(Instant::now());
        }
        self.dht.provided = capabilities;
    }

    /// The key under which providers of a capability are found in this network.
    pub(super) fn capability_key(&self, capability: &str) -> kad::RecordKey {
        let hash = Sha256::digest(format!("{}/{capability}", self.shared.local.settings.network));
        kad::RecordKey::from([SHA2_256.as_slice(), &hash].concat())
    }

    pub(super) fn on_kad_event(&mut self, event: kad::Event) {
        match event {
            kad::Event::InboundRequest {
                request: kad::InboundRequest::AddProvider { record: Some(record) },
            } => self.on_record(record),
            kad::Event::OutboundQueryProgressed {
                id,
                result: kad::QueryResult::GetProviders(result),
                step,
                ..
            } => {
                let found = match result {
                    Ok(kad::GetProvidersOk::FoundProviders { providers, .. }) => {
                        providers.into_iter().collect()
                    }
                    Ok(kad::GetProvidersOk::FinishedWithNoAdditionalRecord { .. }) | Err(_) => {
                        Vec::new()
                    }
                };
                self.on_providers(id, found, step.last);
            }
            kad::Event::OutboundQueryProgressed {
                id,
                result: kad::QueryResult::GetClosestPeers(result),
                step,
                ..
            } => {
                let found = match result {
                    Ok(kad::GetClosestPeersOk { peers, .. })
                    | Err(kad::GetClosestPeersError::Timeout { peers, .. }) => peers,
                };
                self.on_closest(id, found, step.last);
            }
            // Records of values are not kept, and what else queries find is used by Kademlia alone.
            kad::Event::InboundRequest { .. }
            | kad::Event::OutboundQueryProgressed { .. }
            | kad::Event::RoutingUpdated { .. }
            | kad::Event::UnroutablePeer { .. }
            | kad::Event::RoutablePeer { .. }
            | kad::Event::PendingRoutablePeer { .. }
            | kad::Event::ModeChanged { .. } => {}
        }
    }

    /// A peer says that it provides something.
    fn on_record(&mut self, mut record: kad::ProviderRecord) {
        let peer = record.provider;
        self.forget_old_records(&peer);
        let kept = self.dht.records.get(&peer);
        let is_known = kept.is_some_and(|keys| keys.contains_key(&record.key));
        let is_full = kept.is_some_and(|keys| keys.len() >= limits::KAD_RECORDS_PER_PEER);
        if self.shared.peers.may_ask(&peer, Asked::Record, &self.shared.local.counters).is_err()
            || (is_full && !is_known)
        {
            self.shared.local.counters.records_refused.add();
            return;
        }
        // Kademlia's own message names only addresses that a third party has confirmed, which nobody
        // does on a private network.
        if let Some(known) = self.shared.peers.get(&peer) {
            record.addresses = known.believed();
        }
        let key = record.key.clone();
        let store = self.swarm.behaviour_mut().kad.table().store_mut();
        match kad::store::RecordStore::add_provider(store, record) {
            Ok(()) => {
                self.dht.records.entry(peer).or_default().insert(key, Instant::now());
            }
            Err(_) => self.shared.local.counters.records_refused.add(),
        }
    }

    /// What a peer has not renewed it provides no longer, and takes no place of what it does.
    fn forget_old_records(&mut self, peer: &PeerId) {
        let Some(kept) = self.dht.records.get_mut(peer) else { return };
        let store = self.swarm.behaviour_mut().kad.table().store_mut();
        kept.retain(|key, renewed| {
            let is_fresh = renewed.elapsed() < limits::KAD_RECORD_LIFE;
            if !is_fresh {
                kad::store::RecordStore::remove_provider(store, key, peer);
            }
            is_fresh
        });
    }

    /// A peer is gone: it provides nothing any more.
    pub(super) fn forget_records(&mut self, peer: &PeerId) {
        for key in self.dht.records.remove(peer).unwrap_or_default().into_keys() {
            let store = self.swarm.behaviour_mut().kad.table().store_mut();
            kad::store::RecordStore::remove_provider(store, &key, peer);
        }
    }

    /// Dials a peer whose addresses Kademlia knows, once, if that is allowed.
    pub(super) fn dial_provider(&mut self, peer: PeerId) {
        let is_known = self.shared.peers.get(&peer).is_some_and(|known| known.is_connected());
        if is_known
            || self.shared.peers.admitted() >= self.shared.local.settings.max_peers
            || self.dials.pending_for(Some(peer), &[]).is_some()
        {
            return;
        }
        let budget = self.swarm.behaviour_mut().kad.budget();
        if !budget.may_dial(None, self.shared.local.peer, Instant::now()) {
            return;
        }
        let opts = DialOpts::peer_id(peer)
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .allocate_new_port()
            .build();
        let id = opts.connection_id();
        let pending = Pending {
            since: Instant::now(),
            addresses: Vec::new(),
            expected: Some(peer),
            target: None,
            callers: Vec::new(),
        };
        self.dials.begun(id, pending);
        if let Err(error) = self.swarm.dial(opts) {
            self.on_dial_failed(id, &error);
        }
    }
}
