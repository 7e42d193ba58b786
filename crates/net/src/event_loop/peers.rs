//! The table of peers: their connections, their states, and their claims.
//!
//! Absent on purpose: effects. The other files of the loop act on the table.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};

use libp2p::{Multiaddr, PeerId, swarm::ConnectionId};
use meshwork_core::{Advert, HealthStatus, PeerState, Reason, ResourceUsage, Stuck, Time};
use rustc_hash::FxHashMap;
use tokio::time::Instant;

use super::{
    addresses::Addresses,
    beside::{Beside, Route},
    connection::{Connection, Ours, Theirs},
};
use crate::{
    clock::{Clock, LastSeen},
    counters::Counters,
    event::PeerStatus,
    instances::Instances,
    limits,
    quota::{Quotas, RequestKind},
    traffic::Traffic,
};

/// Everything known about one peer.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Those for tasks; at most [`limits::TASK_CONNECTIONS`], the oldest first.
    pub(crate) connections: Vec<Connection>,
    /// The others, which say nothing about the state of the peer.
    pub(crate) beside: Beside,
    /// The connection on which streams are opened.
    pub(crate) chosen_id: Option<ConnectionId>,
    /// Why the peer is not connected, or why the loop is closing all its connections. In the second
    /// case it gets no new one until these are closed.
    pub(crate) end_reason: Option<String>,
    /// Whether this node dialled the peer for its user or its own work; then the peer does not
    /// count as a stranger. Dials on another peer's word do not set it.
    pub(crate) wanted: bool,
    /// Whether the peer was ever admitted; then it stays in the table after it disconnects.
    pub(crate) was_admitted: bool,
    /// When the peer was ready, and with which advert.
    pub(crate) readiness: Readiness,
    pub(crate) addresses: Addresses,
    /// When this node last reported the peer to the others.
    pub(crate) announced_at: Option<Instant>,
    /// The peer's last claims about itself.
    pub(crate) claims: Claims,
    pub(crate) last_seen: Arc<LastSeen>,
    /// The smoothed round-trip time.
    pub(crate) latency: Option<Duration>,
    /// Bytes exchanged with the peer.
    pub(crate) traffic: Arc<Traffic>,
    /// The peer's remaining quotas.
    pub(crate) quotas: Arc<Quotas>,
    /// The peer's starts, as named in its hellos.
    pub(crate) instances: Instances,
    /// When two machines with the peer's key were last seen.
    pub(crate) copied: Option<Time>,
}

/// When a peer was ready, and with which advert.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    /// The advert of the last `Ready` event of the present connection.
    announced: Option<Advert>,
    /// The advert of the last `Ready` event ever, so that an absent peer still has a name.
    remembered: Option<Advert>,
    /// When the peer became ready; after it disconnects, when it was last ready.
    at: Option<Time>,
}

/// Why a peer that is ready is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The peer is ready for the first time since it connected.
    First,
    /// The advert of the peer changed.
    Offer,
}

/// A peer's last claims about itself.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    pub(crate) protocols: BTreeSet<String>,
    pub(crate) agent: Option<String>,
    pub(crate) resources: Option<ResourceUsage>,
    pub(crate) health: Option<HealthStatus>,
}

/// All peers.
#[derive(Debug)]
pub(crate) struct Peers {
    /// At most [`limits::KNOWN_PEERS`], unless more are connected.
    table: FxHashMap<PeerId, Peer>,
    clock: Clock,
    /// Whether the table changed since the last snapshot.
    changed: bool,
}

impl Readiness {
    /// Notes that the peer is ready with `advert`. Returns `None` if that was reported already.
    pub(crate) fn on_ready(&mut self, advert: &Advert, now: Time) -> Option<News> {
        if self.announced.as_ref() == Some(advert) {
            return None;
        }
        let news = if self.announced.is_none() { News::First } else { News::Offer };
        if news == News::First {
            self.at = Some(now);
        }
        self.announced = Some(advert.clone());
        self.remembered = Some(advert.clone());
        Some(news)
    }

    /// Notes that the last connection to the peer was closed.
    pub(crate) fn on_disconnected(&mut self, now: Time) {
        if self.announced.take().is_some() {
            self.at = Some(now);
        }
    }
}

impl Peer {
    fn new(clock: Clock) -> Self {
        Self {
            connections: Vec::new(),
            beside: Beside::default(),
            chosen_id: None,
            end_reason: None,
            wanted: false,
            was_admitted: false,
            readiness: Readiness::default(),
            addresses: Addresses::default(),
            announced_at: None,
            claims: Claims::default(),
            last_seen: Arc::new(LastSeen::new(clock)),
            latency: None,
            traffic: Arc::default(),
            quotas: Arc::new(Quotas::new()),
            instances: Instances::default(),
            copied: None,
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        !self.connections.is_empty()
    }

    /// Whether the loop is closing all connections to the peer.
    pub(crate) fn is_closing(&self) -> bool {
        self.is_connected() && self.end_reason.is_some()
    }

    /// Whether the peer was admitted on any of its connections.
    pub(crate) fn is_admitted(&self) -> bool {
        self.connections.iter().any(Connection::is_admitted)
    }

    /// Whether this node refused the peer's hello.
    pub(crate) fn is_refused(&self) -> bool {
        self.chosen_connection().is_some_and(|chosen| matches!(chosen.theirs, Theirs::Refused(_)))
    }

    /// The IP addresses of the other ends of the peer's connections.
    pub(crate) fn remote_ips(&self) -> impl Iterator<Item = IpAddr> {
        self.connections.iter().filter_map(|connection| connection.remote_ip)
    }

    /// The believable addresses of the peer, see [`Addresses::believed`].
    pub(crate) fn believed(&self) -> Vec<Multiaddr> {
        self.addresses.believed(&self.remote_ips().collect::<Vec<_>>())
    }

    /// A connection for tasks.
    pub(crate) fn connection(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.iter().find(|connection| connection.id == id)
    }

    /// All connections, whatever they are for.
    pub(crate) fn all_connections(&self) -> impl Iterator<Item = &Connection> {
        self.connections.iter().chain(self.beside.iter())
    }

    /// A connection, whatever it is for.
    pub(crate) fn any_connection(&self, id: ConnectionId) -> Option<&Connection> {
        self.all_connections().find(|connection| connection.id == id)
    }

    /// A connection, whatever it is for.
    pub(crate) fn any_connection_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let for_tasks = self.connections.iter_mut().find(|connection| connection.id == id);
        for_tasks.or_else(|| self.beside.get_mut(id))
    }

    /// Adds a connection for tasks, which may be older than those that are there.
    pub(crate) fn add_for_tasks(&mut self, connection: Connection) {
        self.connections.push(connection);
        self.connections.sort_by_key(|connection| connection.since);
    }

    /// Whether the peer says what its connections are for, and reads what ours are for.
    pub(crate) fn reads_purpose(&self) -> bool {
        self.connections.iter().any(|one| one.is_admitted() && one.reads_purpose)
    }

    /// The way of a new blob stream to this peer.
    pub(crate) fn blob_route(&self, now: Instant) -> Route {
        let may_be_beside = self.chosen_connection().is_some_and(|chosen| chosen.reads_purpose);
        if may_be_beside { self.beside.route(now) } else { Route::Shared }
    }

    /// Notes that the loop is closing connection `id`. The reason is kept if it is the last
    /// connection.
    pub(crate) fn on_giving_up(&mut self, id: ConnectionId, why: String) {
        let is_last = self.connections.len() == 1 && !self.beside.has_undetermined();
        if is_last && self.connection(id).is_some() {
            self.end_reason = Some(why);
        }
    }

    /// A connection for tasks.
    pub(crate) fn connection_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|connection| connection.id == id)
    }

    pub(crate) fn chosen_connection(&self) -> Option<&Connection> {
        self.connection(self.chosen_id?)
    }

    /// The state of the peer, from its chosen connection.
    pub(crate) fn state(&self) -> PeerState {
        let Some(chosen) = self.chosen_connection() else {
            return PeerState::Disconnected(self.end_reason.clone());
        };
        let unsettled = self.connections.len() > 1;
        match (&chosen.theirs, &chosen.ours) {
            (Theirs::Admitted { .. }, Ours::Accepted) => PeerState::Ready,
            (Theirs::Admitted { .. }, Ours::Refused(why)) => {
                PeerState::Admitted(Stuck::TheyRefused(why.clone()))
            }
            (Theirs::Admitted { .. }, Ours::Pending | Ours::NotSpoken) => {
                PeerState::Admitted(if unsettled { Stuck::Settling } else { Stuck::AwaitingAnswer })
            }
            (Theirs::Refused(why), _) => PeerState::Connected(Stuck::WeRefused(why.clone())),
            (Theirs::Awaited, _) if self.is_admitted() => PeerState::Admitted(Stuck::Settling),
            (Theirs::Awaited, Ours::NotSpoken) => PeerState::Connected(Stuck::NoHello),
            (Theirs::Awaited, Ours::Refused(why)) => {
                PeerState::Connected(Stuck::TheyRefused(why.clone()))
            }
            (Theirs::Awaited, Ours::Pending | Ours::Accepted) => {
                PeerState::Connected(Stuck::AwaitingHello)
            }
        }
    }

    /// The peer's advert, as last received on the chosen connection, or else on any.
    pub(crate) fn advert(&self) -> Option<&Advert> {
        let is_admitted = |connection: &'_ Connection| connection.is_admitted();
        let chosen = self.chosen_connection().filter(|connection| is_admitted(connection));
        let connection = chosen.or_else(|| self.connections.iter().find(|c| is_admitted(c)))?;
        match &connection.theirs {
            Theirs::Admitted { advert, .. } => Some(advert),
            Theirs::Awaited | Theirs::Refused(_) => None,
        }
    }

    /// Adds a measured round-trip time; it counts for an eighth, as in TCP.
    pub(crate) fn measured(&mut self, round_trip: Duration) {
        self.latency = Some(self.latency.map_or(round_trip, |old| (old * 7 + round_trip) / 8));
    }

    fn status(&self, peer: PeerId) -> PeerStatus {
        PeerStatus {
            peer,
            state: self.state(),
            addresses: self.addresses.all(),
            recallable: match self.readiness.at {
                Some(_) => self.addresses.recallable(&peer),
                None => Vec::new(),
            },
            last_ready: self.readiness.at,
            protocols: self.claims.protocols.clone(),
            agent: self.claims.agent.clone(),
            advert: self.advert().or(self.readiness.remembered.as_ref()).cloned(),
            last_seen: Arc::clone(&self.last_seen),
            traffic: Arc::clone(&self.traffic),
            latency: self.latency,
            resources: self.claims.resources,
            health: self.claims.health.clone(),
            copied: self.copied,
        }
    }
}

impl Peers {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { table: FxHashMap::default(), clock, changed: false }
    }

    pub(crate) fn get(&self, peer: &PeerId) -> Option<&Peer> {
        self.table.get(peer)
    }

    /// Whether there is a connection to the peer.
    pub(crate) fn is_connected(&self, peer: &PeerId) -> bool {
        self.get(peer).is_some_and(Peer::is_connected)
    }

    /// Whether this connection with the peer is not for tasks.
    pub(crate) fn is_beside(&self, peer: &PeerId, id: ConnectionId) -> bool {
        self.get(peer).is_some_and(|known| known.beside.seat(id).is_some())
    }

    /// Whether the peer is connected and was admitted.
    pub(crate) fn is_admitted(&self, peer: &PeerId) -> bool {
        self.get(peer).is_some_and(Peer::is_admitted)
    }

    pub(crate) fn get_mut(&mut self, peer: &PeerId) -> Option<&mut Peer> {
        self.table.get_mut(peer)
    }

    /// The peer's entry. A new one replaces the longest absent peer if the table is full.
    pub(crate) fn entry(&mut self, peer: PeerId) -> &mut Peer {
        if self.table.len() >= limits::KNOWN_PEERS && !self.table.contains_key(&peer) {
            self.forget_longest_absent();
        }
        let clock = self.clock;
        self.table.entry(peer).or_insert_with(|| Peer::new(clock))
    }

    /// Adds a peer that the user named, so that it is listed before it ever connects.
    /// `last_ready` is from an earlier run; [`Time::ZERO`] if never.
    pub(crate) fn expect(&mut self, peer: PeerId, name: &str, last_ready: Time) {
        let is_new = !self.table.contains_key(&peer);
        let clock = self.clock;
        let known = self.entry(peer);
        known.was_admitted = true;
        if is_new {
            known.last_seen = Arc::new(LastSeen::at(clock, last_ready));
            known.end_reason = Some("not connected since this node started".to_owned());
            if !name.is_empty() {
                let advert = Advert { name: name.to_owned(), ..Advert::default() };
                known.readiness.remembered = Some(advert);
            }
        }
    }

    /// Forgets a peer; a connected one after its connection is closed.
    pub(crate) fn forget(&mut self, peer: &PeerId) {
        if let Some(known) = self.table.get_mut(peer) {
            known.was_admitted = false;
            known.wanted = false;
            known.readiness.at = None;
            self.forget_stranger(peer);
        }
    }

    /// Forgets a peer that is not connected, was never admitted and is not wanted.
    pub(crate) fn forget_stranger(&mut self, peer: &PeerId) {
        let is_stranger =
            |known: &Peer| !known.is_connected() && !known.was_admitted && !known.wanted;
        if self.table.get(peer).is_some_and(is_stranger) {
            self.table.remove(peer);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&PeerId, &Peer)> {
        self.table.iter()
    }

    #[cfg(test)]
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&PeerId, &mut Peer)> {
        self.table.iter_mut()
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// All peers that are ready.
    pub(crate) fn ready(&self) -> Vec<PeerId> {
        let ready = self.table.iter().filter(|(_, known)| known.state() == PeerState::Ready);
        ready.map(|(peer, _)| *peer).collect()
    }

    /// Counts one request of a peer against its quota.
    ///
    /// # Errors
    ///
    /// The peer is unknown, is not admitted, or has used up its quota.
    pub(crate) fn may_ask(
        &self,
        peer: &PeerId,
        kind: RequestKind,
        counters: &Counters,
    ) -> Result<(), Reason> {
        let Some(known) = self.get(peer) else { return Err(Reason::NotFound) };
        if !known.is_admitted() {
            let detail = known.state().why().unwrap_or_default();
            return Err(Reason::NotAdmitted { detail });
        }
        known.quotas.take(kind).map_err(|retry_after| {
            counters.over_quota.add();
            Reason::Busy { retry_after }
        })
    }

    /// The number of connected peers.
    #[cfg(test)]
    pub(crate) fn connected(&self) -> usize {
        self.table.values().filter(|peer| peer.is_connected()).count()
    }

    /// The number of admitted peers that are not being closed.
    pub(crate) fn admitted(&self) -> usize {
        let stays = |peer: &&Peer| peer.is_admitted() && !peer.is_closing();
        self.table.values().filter(stays).count()
    }

    /// Connected peers that are neither admitted nor wanted nor being closed, with their oldest
    /// connections.
    pub(crate) fn strangers(&self) -> impl Iterator<Item = (&PeerId, &Connection)> {
        let is_stranger = |peer: &Peer| !peer.wanted && !peer.is_admitted() && !peer.is_closing();
        let strangers = self.table.iter().filter(move |(_, peer)| is_stranger(peer));
        strangers.filter_map(|(id, peer)| Some((id, peer.connections.first()?)))
    }

    /// Notes that the next snapshot differs from the last.
    pub(crate) fn note_change(&mut self) {
        self.changed = true;
    }

    /// Whether the table changed since the last snapshot.
    pub(crate) fn has_changed(&self) -> bool {
        self.changed
    }

    /// The published form of all peers, ordered by id.
    pub(crate) fn take_snapshot(&mut self) -> Vec<PeerStatus> {
        self.changed = false;
        let mut all: Vec<_> = self.table.iter().map(|(id, peer)| peer.status(*id)).collect();
        all.sort_by_key(|status| status.peer);
        all
    }

    fn forget_longest_absent(&mut self) {
        let absent = self.table.iter().filter(|(_, peer)| !peer.is_connected());
        let longest = absent.min_by_key(|(_, peer)| peer.last_seen.get()).map(|(id, _)| *id);
        if let Some(longest) = longest {
            self.table.remove(&longest);
        }
    }
}

#[cfg(test)]
mod tests;
