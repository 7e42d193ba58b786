//! Carries out the actions that parts of the loop return.

use libp2p::PeerId;
use meshwork_core::{Advert, advert::clean};

use super::{
    action::Action,
    dials::{Pending, TargetId},
    peers::{News, Peer},
    state::EventLoop,
    timers::Timer,
};
use crate::{
    event::{KeyCopied, KeyEvidence, NetEvent, OwnKeyCopied},
    protocol::discovery::errand::Errand,
};

impl EventLoop {
    /// Carries out actions in their order.
    pub(super) fn perform(&mut self, actions: impl IntoIterator<Item = Action>) {
        actions.into_iter().for_each(|action| self.act(action));
    }

    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Tell(event) => self.facts.tell(event),
            Action::TellSession(event, session) => self.facts.tell_session(event, session),
            Action::Publish => self.publish_if_changed(),
            Action::Remind(at, timer) => self.timers.set(at, timer),
            Action::Open { connection, purpose } => self.wires.open(connection, purpose),
            Action::SayHello { peer, connection } => {
                let action = self.hellos.start(peer, connection, &mut self.shared);
                self.perform(action);
            }
            Action::KeepAlive { peer, connection, keep } => {
                self.wires.keep_alive(peer, connection, keep);
            }
            Action::Ready { peer, advert, news } => self.on_ready(peer, advert, news),
            Action::Echo(peer) => {
                let action = self.links.echo(peer, None, &self.shared);
                self.perform(action);
            }
            Action::CloseConnection(id) => self.wires.close_connection(id),
            Action::ClosePeer { peer, why } => self.close_peer(peer, why),
            Action::Expel { peer, why } => self.expel(peer, why),
            Action::Dial(pending) => self.dial(pending),
            Action::DialForBlobs(peer) => {
                let actions = self.beside().dial(peer);
                self.perform(actions);
            }
            Action::Mesh => {
                let has_leads = !self.exchange.leads().is_empty();
                let action = self.dialer.mesh_soon(has_leads, &self.shared);
                self.perform(action);
            }
            Action::Lead(peer) => {
                let actions = self.dialer.on_lead(&peer, &self.shared);
                self.perform(actions);
            }
            Action::LookUp(peer) => {
                let query = self.wires.look_up(peer);
                self.dialer.on_lookup_begun(query, peer);
            }
            Action::OwnKeyReached { address, since } => {
                if let Some(evidence) = self.admission.on_own_key_reached(&address, since) {
                    self.on_own_key(evidence);
                }
            }
            Action::Exchange { peer, errand } => {
                self.exchange_with(peer, errand);
            }
            Action::ErrandDone(errand) => self.on_errand_done(&errand),
            Action::Route(peer) => self.route(peer),
        }
    }

    /// Publishes the table of peers if it has changed, now or a little later.
    pub(super) fn publish_if_changed(&mut self) {
        if let Some(at) = self.publisher.publish_if_changed(&mut self.shared.peers) {
            self.timers.set(at, Timer::Publish);
        }
    }

    /// Begins a dial. The result arrives as an event of the swarm, or at once.
    pub(super) fn dial(&mut self, pending: Pending) {
        let Some((id, begun)) = self.wires.dial(&pending) else { return };
        self.dialer.on_begun(id, pending);
        if let Err(error) = begun {
            self.on_dial_failed(id, &error);
        }
    }

    /// Dials a target that is due.
    pub(super) fn dial_target(&mut self, target: TargetId) {
        let mut bounds = self.wires.bounds(self.listeners.lan(), self.exchange.leads());
        let actions = self.dialer.on_due(target, &mut bounds, &mut self.shared);
        self.perform(actions);
    }

    /// Closes all connections to a peer that broke the protocol, and denies new ones for a while.
    pub(super) fn expel(&mut self, peer: PeerId, why: &str) {
        tracing::warn!(%peer, why, "peer expelled because it broke the protocol");
        self.shared.local.counters.expelled.add();
        self.wires.expel(peer);
        self.close_peer(peer, format!("expelled: {why}"));
    }

    /// Closes all connections to a peer.
    pub(super) fn close_peer(&mut self, peer: PeerId, why: String) {
        if let Some(known) = self.shared.peers.get_mut(&peer) {
            known.end_reason = Some(why);
        }
        self.wires.disconnect(peer);
    }

    /// Publishes that another machine uses this node's key, and reports it with limited
    /// frequency.
    pub(super) fn on_own_key(&mut self, evidence: KeyEvidence) {
        let local = &self.shared.local;
        let shown = OwnKeyCopied { evidence: evidence.clone(), at: local.clock.now() };
        if self.publisher.publish_own_key(&shown) && self.admission.should_report_own_key(&evidence)
        {
            let peer = local.peer;
            self.facts.tell(NetEvent::KeyCopied(KeyCopied { peer, evidence }));
        }
    }

    /// Begins an exchange. Returns false if the exchange cannot begin now.
    pub(super) fn exchange_with(&mut self, peer: PeerId, errand: Errand) -> bool {
        let action = self.exchange.begin(peer, errand, &self.shared);
        let begins = action.is_some();
        self.perform(action);
        begins
    }

    /// Reacts to a peer that is ready: for the first time since it connected, or with a new offer.
    fn on_ready(&mut self, peer: PeerId, advert: Advert, news: News) {
        let chosen = self.shared.peers.get(&peer).and_then(Peer::chosen_connection);
        let version = chosen.map_or(1, |connection| connection.version());
        if let Some(ip) = chosen.and_then(|connection| connection.remote_ip) {
            self.admission.on_ready(ip);
        }
        self.dialer.on_ready(&peer);
        // Publish first: a reader that wakes on the event must find the peer in the table.
        self.publish_if_changed();
        self.facts.tell(NetEvent::Ready { peer, advert, version });
        if news == News::First {
            let watch = self.liveness.on_ready(peer, &self.shared);
            self.perform(watch);
            let greetings = self.links.on_ready(peer, &self.shared);
            self.perform(greetings);
            let exchange = self.exchange.on_ready(peer, &self.shared);
            self.perform(exchange);
            let lookups = self.dialer.seek_through(peer, &self.shared);
            self.perform(lookups);
        }
    }

    /// Gives Kademlia the believable addresses of an admitted peer that speaks its protocol.
    pub(super) fn route(&mut self, peer: PeerId) {
        let Some(protocol) = self.wires.kad_protocol() else { return };
        let Some(known) = self.shared.peers.get(&peer) else { return };
        if !known.is_admitted() || !known.claims.protocols.contains(&clean(&protocol)) {
            return;
        }
        let fresh = self.dht.on_believed(peer, known.believed());
        if !fresh.is_empty() {
            self.wires.add_addresses(&peer, fresh);
            let action = self.dht.on_node_added(&self.shared.local);
            self.perform(action);
        }
    }

    /// Publishes this node's capabilities, and withdraws those that it no longer has.
    pub(super) fn provide(&mut self) {
        let provision = self.dht.provide(self.wires.has_nodes(), &self.shared.local);
        self.wires.provide(provision);
    }
}
