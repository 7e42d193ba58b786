//! mDNS with bounds: libp2p's behaviour keeps any number of peers, for as long as their packets ask
//! (S-16).
//!
//! Reports found peers within bounds, and makes libp2p's behaviour forget the rest. Absent on
//! purpose: dialling. The event loop decides which peers to dial, and the dial filter at which
//! addresses.

mod table;

use std::{
    io,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    mdns,
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
        THandlerOutEvent, ToSwarm, dummy,
    },
};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use self::table::{Table, Verdict};
use crate::limits;

/// mDNS found a peer, or its record expired.
#[derive(Debug)]
pub(crate) enum Event {
    /// A peer announced these addresses on a network segment of this machine.
    Found { peer: PeerId, addresses: Vec<Multiaddr> },
    /// The record of a peer expired.
    Gone { peer: PeerId },
}

/// Finds peers on the local network segments.
pub(crate) struct Behaviour {
    /// One for IPv4 and one for IPv6: libp2p's behaviour speaks only one of them.
    inner: [mdns::tokio::Behaviour; 2],
    table: Table,
    /// Drops records older than [`limits::MDNS_TTL`].
    sweep: Interval,
    events: Vec<Event>,
}

impl Behaviour {
    pub(crate) fn new(local: PeerId) -> io::Result<Self> {
        let speaking = |enable_ipv6| {
            let config = mdns::Config {
                ttl: limits::MDNS_TTL,
                query_interval: limits::MDNS_QUERY,
                enable_ipv6,
            };
            mdns::tokio::Behaviour::new(config, local)
        };
        let mut sweep = tokio::time::interval(limits::MDNS_TTL / 10);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            inner: [speaking(false)?, speaking(true)?],
            table: Table::default(),
            sweep,
            events: Vec::new(),
        })
    }

    fn on_event(&mut self, event: mdns::Event) {
        let now = Instant::now();
        match event {
            mdns::Event::Discovered(found) => {
                let mut fresh: Vec<(PeerId, Vec<Multiaddr>)> = Vec::new();
                for (peer, address) in found {
                    match self.table.on_found(peer, &address, now) {
                        Verdict::Ignore => {}
                        Verdict::Forget => self.forget(&peer),
                        Verdict::Report => match fresh.iter_mut().find(|(who, _)| *who == peer) {
                            Some((_, addresses)) => addresses.push(address),
                            None => fresh.push((peer, vec![address])),
                        },
                    }
                }
                let found = fresh.into_iter();
                self.events.extend(found.map(|(peer, addresses)| Event::Found { peer, addresses }));
            }
            mdns::Event::Expired(expired) => {
                for (peer, address) in expired {
                    if self.table.on_expired(&peer, &address) {
                        self.events.push(Event::Gone { peer });
                    }
                }
            }
        }
    }

    fn sweep(&mut self) {
        for peer in self.table.overdue(Instant::now()) {
            // The inner behaviour reports an expiry, and finds a live peer again with its next
            // answer.
            self.forget(&peer);
        }
    }

    fn forget(&mut self, peer: &PeerId) {
        for inner in &mut self.inner {
            #[expect(deprecated, reason = "the only way to bound what the behaviour keeps")]
            inner.expire_node(peer);
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    // `handle_pending_outbound_connection` is not passed on: the inner behaviour would add every
    // announced address to every dial.

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        for inner in &mut self.inner {
            inner.on_swarm_event(event);
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        while self.sweep.poll_tick(cx).is_ready() {
            self.sweep();
        }
        loop {
            if let Some(event) = self.events.pop() {
                return Poll::Ready(ToSwarm::GenerateEvent(event));
            }
            let polled = self.inner.each_mut().map(|inner| inner.poll(cx));
            if polled.iter().all(Poll::is_pending) {
                return Poll::Pending;
            }
            for output in polled {
                // Any other output is an unchecked address for the whole swarm.
                if let Poll::Ready(ToSwarm::GenerateEvent(event)) = output {
                    self.on_event(event);
                }
            }
        }
    }
}
