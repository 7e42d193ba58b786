//! The event loop: owns the swarm and all tables (I2), and never awaits in a reaction (I3).
//!
//! ```text
//!   handles ──Command──►  ┌───────────┐ ──NetEvent──► node
//!   hello tasks ──Done──► │ EventLoop │ ──watch─────► readers (peers, addresses)
//!   swarm ──SwarmEvent──► └───────────┘ ──spawns────► sessions ──SessionEvent──► node
//! ```
//!
//! [`Wake`] lists everything that wakes the loop. [`EventLoop::handle_event`] reacts to it and is
//! synchronous: it calls one part (a field of [`EventLoop`]). The part changes its own state and
//! the table of peers, and returns [`Action`]s. The loop carries these out, with the swarm and with
//! other parts. Parts do not know each other. Task frames do not pass through here.
//!
//! The files in their order: `local`, `peers` and what they use; `action`, `shared`; the parts,
//! here and in [`protocol`](crate::protocol); `state`; `acting` and the reactions `on_*`; this
//! file.
//!
//! The node is the program around the loop: it starts the network and reads its events. Events wait
//! in a queue while the node lags. The loop stops polling the swarm when [`limits::EVENTS`] events
//! wait, so peers wait too and no event is lost.

mod acting;
pub(crate) mod action;
pub(crate) mod addresses;
mod admission;
pub(crate) mod beside;
pub(crate) mod connection;
mod copies;
mod dialer;
pub(crate) mod dials;
pub(crate) mod facts;
mod inbox;
pub(crate) mod listeners;
pub(crate) mod local;
mod on_beside;
mod on_commands;
mod on_connections;
mod on_discovery;
mod on_streams;
pub(crate) mod peers;
mod publisher;
pub(crate) mod shared;
mod state;
pub(crate) mod timers;
mod wires;

use std::sync::Arc;

use libp2p::{Multiaddr, Swarm, identity::Keypair, ping, swarm::SwarmEvent};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinError,
    time::Instant,
};

pub use self::state::EventLoop;
use self::{
    action::Action,
    admission::Admission,
    dialer::Dialer,
    facts::{Facts, Handover},
    inbox::Inbox,
    listeners::Listeners,
    local::Local,
    peers::Peers,
    publisher::Publisher,
    shared::Shared,
    state::Work,
    timers::{Timer, Timers},
    wires::Wires,
};
pub(crate) use self::{local::Settings, publisher::Watches};
use crate::{
    behaviour::{Behaviour, BehaviourEvent},
    clock::Clock,
    config::{Offer, Remembered},
    counters::Counters,
    dial_filter::Allowed,
    event::NetEvent,
    handle::Command,
    intake::Intake,
    lan::Lan,
    limits,
    meter::Meter,
    protocol::{
        blob::{
            blobs::{BlobDone, Blobs},
            serve::BlobEvent,
        },
        discovery::{Exchange, ExchangeDone, dht::Dht, searches::Searches},
        health::liveness::Liveness,
        hello::{
            duplicates,
            hellos::{HelloDone, Hellos},
        },
        links::{Links, OnLink},
        task::{
            session::SessionEvent,
            sessions::{Ended, Sessions},
        },
    },
    transport::DialledIps,
};

/// The input for [`EventLoop::new`].
pub(crate) struct Parts {
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) keypair: Keypair,
    pub(crate) settings: Settings,
    pub(crate) offer: Offer,
    pub(crate) remembered: Vec<Remembered>,
    pub(crate) bootstrap: Vec<Multiaddr>,
    pub(crate) allowed: Allowed,
    pub(crate) dialled_ips: DialledIps,
    pub(crate) lan: Lan,
    pub(crate) counters: Arc<Counters>,
    pub(crate) intake: Intake,
    pub(crate) meter: Arc<Meter>,
    pub(crate) clock: Clock,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) events: mpsc::Sender<NetEvent>,
    pub(crate) sessions: mpsc::Sender<SessionEvent>,
    pub(crate) blobs: mpsc::Sender<BlobEvent>,
    pub(crate) watches: Watches,
}

/// Everything that wakes the loop.
enum Wake {
    /// A hello was sent, received or answered.
    Hello(Result<Box<HelloDone>, JoinError>),
    /// A session has ended, or a refusal was sent on its stream.
    Session(Ended),
    /// A link has ended, or a frame has arrived on one.
    Link(OnLink),
    /// A blob stream of a peer has ended, or a refusal was sent on one.
    Blob(Result<BlobDone, JoinError>),
    /// An exchange has made progress.
    Exchange(Result<Box<ExchangeDone>, JoinError>),
    /// The number of commands taken from the queue; 0 if all handles were dropped.
    Commands(usize),
    /// The channel to the node took one event.
    EventTaken,
    /// The node dropped its receiver.
    ReceiverDropped,
    /// The swarm has an event.
    Swarm(Box<SwarmEvent<BehaviourEvent>>),
    /// A timer is due.
    Timer,
}

/// Whether the loop continues. `Stop` holds the caller to notify after the shutdown.
enum Flow {
    Continue,
    Stop(Option<oneshot::Sender<()>>),
}

impl EventLoop {
    pub(crate) fn new(parts: Parts) -> Self {
        let local = Local {
            peer: *parts.swarm.local_peer_id(),
            settings: parts.settings,
            keypair: parts.keypair,
            offer: parts.offer,
            seq: 1,
            clock: parts.clock,
            counters: parts.counters,
            meter: parts.meter,
        };
        let mut remembered = parts.remembered;
        remembered.retain(|known| known.peer != local.peer);
        remembered.truncate(limits::REMEMBERED_PEERS);
        let recalled = remembered.iter().flat_map(|known| &known.addresses);
        recalled.chain(&parts.bootstrap).for_each(|address| parts.intake.add_named(address));
        let mut this = Self {
            inbox: Inbox::new(parts.commands),
            facts: Facts::new(parts.events),
            publisher: Publisher::new(parts.watches),
            wires: Wires::new(parts.swarm),
            timers: Timers::default(),
            listeners: Listeners::new(parts.lan),
            admission: Admission::new(parts.intake),
            hellos: Hellos::new(),
            work: Work { sessions: Sessions::new(parts.sessions), blobs: Blobs::new(parts.blobs) },
            links: Links::new(),
            liveness: Liveness::new(),
            exchange: Exchange::new(local.peer, parts.allowed.clone()),
            dialer: Dialer::new(parts.allowed, parts.dialled_ips),
            searches: Searches::default(),
            dht: Dht::default(),
            shared: Shared { local, peers: Peers::new(parts.clock) },
        };
        this.wires.set_lan(this.listeners.lan());
        this.configure(&remembered, &parts.bootstrap);
        this
    }

    /// Makes targets of the remembered peers and of the configured addresses.
    fn configure(&mut self, remembered: &[Remembered], bootstrap: &[Multiaddr]) {
        let dials = self.dialer.configure(remembered, bootstrap, &mut self.shared);
        self.perform(dials);
    }

    /// Runs until [`NetHandle::stop`](crate::handle::NetHandle::stop) is called, all handles are
    /// dropped, or the receiver of events is dropped.
    pub async fn run(mut self) {
        let stop = loop {
            let wake = self.next_event().await;
            if let Flow::Stop(done) = self.handle_event(wake) {
                break done;
            }
        };
        self.close().await;
        // The caller is notified after the sockets are closed.
        drop(self);
        if let Some(done) = stop {
            // The caller may have stopped waiting.
            done.send(()).ok();
        }
    }

    /// Before the loop runs: waits for the next listener to start or to fail.
    pub(crate) async fn listen_step(&mut self) {
        let event = self.wires.next().await;
        self.on_swarm_event(event);
    }

    /// The addresses of the listeners, each with `/p2p/…`.
    pub(crate) fn listening(&self) -> &[Multiaddr] {
        self.listeners.addresses()
    }

    /// Waits for the first of these, in this order: finished work, commands, room in the
    /// channel to the node, the swarm, timers. Finished work leaves before new work enters.
    async fn next_event(&mut self) -> Wake {
        let due = self.timers.next();
        let backlog = self.facts.backlog();
        tokio::select! {
            biased;
            Some(done) = self.hellos.next() => Wake::Hello(done),
            Some(ended) = self.work.sessions.next() => Wake::Session(ended),
            Some(done) = self.exchange.next() => Wake::Exchange(done),
            Some(done) = self.work.blobs.next() => Wake::Blob(done),
            Some(event) = self.links.next(backlog < limits::EVENTS) => Wake::Link(event),
            // A node that sends commands without reading events must fill its own queue, not this
            // one.
            count = self.inbox.next(), if backlog < 2 * limits::EVENTS => Wake::Commands(count),
            handed = self.facts.hand_over() => match handed {
                Handover::Done(session) => {
                    if let Some(session) = session {
                        self.work.sessions.start(session);
                    }
                    Wake::EventTaken
                }
                Handover::ReceiverDropped => Wake::ReceiverDropped,
            },
            event = self.wires.next(), if backlog < limits::EVENTS => {
                Wake::Swarm(Box::new(event))
            }
            () = sleep_until(due), if due.is_some() => Wake::Timer,
        }
    }

    /// Reacts to one wake, without waiting for anything.
    fn handle_event(&mut self, wake: Wake) -> Flow {
        match wake {
            Wake::Hello(Ok(done)) => self.on_hello_done(*done),
            Wake::Session(Ended::Session(Ok((peer, violation)))) => {
                if violation {
                    self.expel(peer, "it broke the protocol in a session");
                }
            }
            Wake::Exchange(Ok(done)) => self.on_exchange_done(*done),
            Wake::Blob(Ok(BlobDone::Served(peer, true))) => {
                self.expel(peer, "an invalid request for a blob");
            }
            Wake::Link(OnLink::Done(Ok(done))) => {
                let action = self.links.on_done(done);
                self.perform(action);
            }
            Wake::Link(OnLink::Frame(event)) => {
                let actions = self.links.on_frame(event, &mut self.shared);
                self.perform(actions);
            }
            Wake::Hello(Err(error))
            | Wake::Session(Ended::Session(Err(error)) | Ended::Refusal(Err(error)))
            | Wake::Link(OnLink::Done(Err(error)))
            | Wake::Blob(Err(error))
            | Wake::Exchange(Err(error)) => on_task_failed(&error),
            Wake::Session(Ended::Refusal(Ok(()))) | Wake::Blob(Ok(_)) | Wake::EventTaken => {}
            Wake::Commands(0) | Wake::ReceiverDropped => return Flow::Stop(None),
            Wake::Commands(_) => {
                if let Some(done) = self.on_commands() {
                    return Flow::Stop(Some(done));
                }
                // A steady stream of commands must not starve the swarm.
                if self.facts.backlog() < limits::EVENTS
                    && let Some(event) = self.wires.try_next()
                {
                    self.on_swarm_event(event);
                }
            }
            Wake::Swarm(event) => self.on_swarm_event(*event),
            Wake::Timer => self.on_timers(),
        }
        self.publish_if_changed();
        Flow::Continue
    }

    fn on_timers(&mut self) {
        let now = Instant::now();
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Surplus(peer) => {
                    let known = self.shared.peers.get(&peer);
                    if let Some(id) = known.and_then(duplicates::surplus) {
                        self.shared.local.counters.duplicates_closed.add();
                        self.wires.close_connection(id);
                    }
                }
                Timer::Hello(peer, connection) => {
                    self.act(Action::SayHello { peer, connection });
                }
                Timer::Purpose(peer, connection) => {
                    let action = self.beside().on_timer(&peer, connection);
                    self.perform(action);
                }
                Timer::Fetch(number) => {
                    let action = self.work.blobs.on_timer(number, &self.shared);
                    self.perform(action);
                }
                Timer::Dial(target) => self.dial_target(target),
                Timer::Places => self.dial_waiting(),
                Timer::Publish => self.publisher.publish(&mut self.shared.peers),
                Timer::Watch => {
                    self.links.sweep(self.shared.local.settings.protocol_timeout);
                    let actions = self.liveness.on_timer(&self.shared);
                    self.perform(actions);
                }
                Timer::Exchange => {
                    let actions = self.exchange.on_timer(&self.shared);
                    self.perform(actions);
                }
                Timer::News => {
                    let receivers = self.dialer.peers_to_ask(limits::NEWS_PEERS, &self.shared);
                    let actions = self.exchange.tell_news(receivers);
                    self.perform(actions);
                }
                Timer::Mesh => self.mesh_round(),
                Timer::Leads => self.publish_leads(),
                Timer::Provide => self.provide(),
                Timer::Search(search) => self.end_search(search),
            }
        }
    }

    fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour_event(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_established(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => {
                self.on_closed(peer_id, connection_id, cause.as_ref());
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                self.on_dial_failed(connection_id, &error);
            }
            SwarmEvent::IncomingConnectionError { error, .. } => self.on_inbound_failed(&error),
            SwarmEvent::NewListenAddr { address, .. } => {
                if let Some(fact) = self.listeners.on_up(&address, &self.shared.local) {
                    self.on_listeners([fact]);
                }
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                let facts = self.listeners.on_gone(&[address], &self.shared.local);
                self.on_listeners(facts);
            }
            SwarmEvent::ListenerClosed { addresses, .. } => {
                let facts = self.listeners.on_gone(&addresses, &self.shared.local);
                self.on_listeners(facts);
            }
            SwarmEvent::ListenerError { error, .. } => {
                if let Some(fact) = self.listeners.on_error(&error) {
                    self.facts.tell(fact);
                }
            }
            SwarmEvent::IncomingConnection { .. } => self.admission.on_inbound(),
            // Kademlia's dials are reported with their connections. Addresses that peers claim for
            // this node or for themselves are not trusted.
            SwarmEvent::Dialing { .. }
            | SwarmEvent::NewExternalAddrCandidate { .. }
            | SwarmEvent::ExternalAddrConfirmed { .. }
            | SwarmEvent::ExternalAddrExpired { .. }
            | SwarmEvent::NewExternalAddrOfPeer { .. }
            | _ => {}
        }
    }

    fn on_behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Streams(event) => self.on_stream_event(event),
            BehaviourEvent::Identify(event) => self.on_identify_event(event),
            BehaviourEvent::Ping(ping::Event { peer, result, connection }) => {
                // A failed ping does not mean that the peer is gone: over QUIC a ping can stall.
                // The echo decides.
                if !self.shared.peers.is_beside(&peer, connection)
                    && let (Ok(_), Some(known)) = (result, self.shared.peers.get(&peer))
                {
                    known.last_seen.touch();
                }
            }
            BehaviourEvent::Mdns(event) => self.on_mdns_event(event),
            BehaviourEvent::Kad(event) => self.on_kad_event(event),
            BehaviourEvent::Places(never) | BehaviourEvent::Gate(never) => match never {},
        }
    }

    /// Dials waiting targets while there are places.
    fn dial_waiting(&mut self) {
        self.dialer.on_places();
        while let Some(target) = self.dialer.next_waiting() {
            self.dial_target(target);
        }
        let reminder = self.dialer.await_places();
        self.perform(reminder);
    }

    /// Publishes the changed addresses of this node, and updates its private ranges and its advert.
    fn on_listeners(&mut self, facts: impl IntoIterator<Item = NetEvent>) {
        self.wires.set_lan(self.listeners.lan());
        self.exchange.on_own_change();
        self.publisher.publish_addresses(self.listeners.addresses());
        facts.into_iter().for_each(|fact| self.facts.tell(fact));
    }

    /// Stops the network: answers the callers of dials, then closes all connections.
    async fn close(&mut self) {
        self.dialer.close();
        self.wires.close().await;
    }
}

async fn sleep_until(due: Option<Instant>) {
    if let Some(due) = due {
        tokio::time::sleep_until(due).await;
    }
}

fn on_task_failed(error: &JoinError) {
    if !error.is_cancelled() {
        tracing::error!(%error, "a network task panicked");
    }
}

#[cfg(test)]
mod tests;
