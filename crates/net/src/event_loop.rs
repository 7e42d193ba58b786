//! The event loop: owns the swarm and every table (I2), and waits for nobody (I3).
//!
//! ```text
//!   handles ──Command──►  ┌───────────┐ ──NetEvent──► owner
//!   hello tasks ──Done──► │ EventLoop │ ──watch─────► readers (peers, addresses)
//!   swarm ──SwarmEvent──► └───────────┘ ──spawns────► sessions ──SessionEvent──► owner
//! ```
//!
//! Whatever can wake the loop is one [`Wake`]; [`EventLoop::handle_event`] reacts to it and is
//! synchronous. Each topic has a file of its own below this one. Task frames do not pass through
//! here.
//!
//! When the owner lags, facts wait in a queue; from [`limits::EVENTS`] on the swarm is not polled,
//! so that peers wait too and no fact is lost.

mod action;
mod addresses;
mod admission;
mod adverts;
mod commands;
mod connection;
mod connections;
mod copies;
mod dht;
mod dialing;
mod dials;
mod discovery;
mod duplicates;
mod errand;
mod exchange;
mod facts;
mod hellos;
mod leads;
mod links;
mod listeners;
mod liveness;
mod local;
mod mesh;
mod peer_links;
mod peers;
mod publisher;
mod search;
mod seek;
mod sessions;
mod shared;
mod streams;
mod timers;

use std::{collections::HashSet, sync::Arc};

use futures::{FutureExt, StreamExt};
use libp2p::{Multiaddr, PeerId, Swarm, identity::Keypair, swarm::SwarmEvent};
use rustc_hash::FxHashMap;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinError,
    time::Instant,
};

use self::{
    action::{Action, Purpose},
    copies::Copies,
    dht::Dht,
    dials::Dials,
    exchange::{ExchangeDone, Exchanges},
    facts::{Facts, Handover},
    hellos::{HelloDone, Hellos},
    links::{Links, OnLink},
    listeners::Listeners,
    liveness::Liveness,
    local::Local,
    mesh::Mesh,
    peers::Peers,
    publisher::Publisher,
    search::Searches,
    seek::Seeker,
    sessions::{Ended, Sessions},
    shared::Shared,
    timers::{Timer, Timers},
};
pub(crate) use self::{local::Settings, publisher::Watches};
use crate::{
    Offer, Remembered,
    behaviour::{Behaviour, BehaviourEvent, streams::RequestId},
    clock::Clock,
    counters::Counters,
    dial_filter::Allowed,
    event::NetEvent,
    handle::Command,
    intake::Intake,
    lan::Lan,
    limits,
    meter::Meter,
    session::SessionEvent,
    transport::Hosts,
};

/// What the loop is made of; see the fields of [`EventLoop`].
pub(crate) struct Parts {
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) keypair: Keypair,
    pub(crate) settings: Settings,
    pub(crate) offer: Offer,
    pub(crate) remembered: Vec<Remembered>,
    pub(crate) bootstrap: Vec<Multiaddr>,
    pub(crate) allowed: Allowed,
    pub(crate) hosts: Hosts,
    pub(crate) lan: Lan,
    pub(crate) counters: Arc<Counters>,
    pub(crate) intake: Intake,
    pub(crate) meter: Arc<Meter>,
    pub(crate) clock: Clock,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) events: mpsc::Sender<NetEvent>,
    pub(crate) sessions: mpsc::Sender<SessionEvent>,
    pub(crate) watches: Watches,
}

/// The future that is the network. Spawn [`EventLoop::run`].
#[must_use = "the network does nothing until this runs"]
pub struct EventLoop {
    swarm: Swarm<Behaviour>,
    shared: Shared,
    /// Peers that were met before the start; at most [`limits::REMEMBERED_PEERS`].
    met: HashSet<PeerId>,
    dials: Dials,
    timers: Timers,
    /// Addresses that may be dialled although no stranger could name them.
    allowed: Allowed,
    /// Where the names of dialled peers led.
    hosts: Hosts,
    /// Streams that were asked for, and what for. At most one hello per connection and one session
    /// per peer.
    opening: FxHashMap<RequestId, Purpose>,
    hellos: Hellos,
    sessions: Sessions,
    facts: Facts,
    publisher: Publisher,
    listeners: Listeners,
    /// When the owner was last told that there are `max_peers`.
    told_full: Option<Instant>,
    commands: mpsc::Receiver<Command>,
    taken: Vec<Command>,
    copies: Copies,
    /// Inbound connections before their peers are known.
    intake: Intake,
    links: Links,
    liveness: Liveness,
    exchanges: Exchanges,
    searches: Searches,
    mesh: Mesh,
    seeker: Seeker,
    dht: Dht,
}

/// Everything that can wake the loop.
enum Wake {
    /// A hello was said, heard or answered.
    Hello(Result<Box<HelloDone>, JoinError>),
    /// A session has ended, or a refusal was sent.
    Session(Ended),
    /// A link has ended, or a frame has arrived on one.
    Link(OnLink),
    /// An exchange has made progress.
    Exchange(Result<Box<ExchangeDone>, JoinError>),
    /// So many commands were taken; none if all handles are gone.
    Commands(usize),
    /// The owner has taken facts, and there was room for one more.
    Told,
    /// The owner has gone.
    OwnerGone,
    /// The swarm has something.
    Swarm(Box<SwarmEvent<BehaviourEvent>>),
    /// A timer is due.
    Timer,
}

/// Whether the loop goes on.
enum Flow {
    Continue,
    Stop(Option<oneshot::Sender<()>>),
}

impl std::fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventLoop")
            .field("local_peer", &self.shared.local.peer)
            .finish_non_exhaustive()
    }
}

impl EventLoop {
    pub(crate) fn new(parts: Parts) -> Self {
        let local_peer = *parts.swarm.local_peer_id();
        let local = Local {
            peer: local_peer,
            settings: parts.settings,
            keypair: parts.keypair,
            offer: parts.offer,
            seq: 1,
            clock: parts.clock,
            counters: parts.counters,
            meter: parts.meter,
        };
        let mut this = Self {
            swarm: parts.swarm,
            shared: Shared { local, peers: Peers::new(parts.clock) },
            met: HashSet::new(),
            dials: Dials::default(),
            timers: Timers::default(),
            allowed: parts.allowed,
            hosts: parts.hosts,
            opening: FxHashMap::default(),
            hellos: Hellos::new(),
            sessions: Sessions::new(parts.sessions),
            facts: Facts::new(parts.events),
            publisher: Publisher::new(parts.watches),
            listeners: Listeners::new(parts.lan),
            told_full: None,
            commands: parts.commands,
            taken: Vec::with_capacity(limits::COMMANDS_PER_TURN),
            copies: Copies::default(),
            intake: parts.intake,
            links: Links::new(),
            liveness: Liveness::new(),
            exchanges: Exchanges::new(local_peer),
            searches: Searches::default(),
            mesh: Mesh::default(),
            seeker: Seeker::new(),
            dht: Dht::default(),
        };
        this.look_at_interfaces();
        this.configure_dials(&parts.remembered, &parts.bootstrap);
        this
    }

    /// Runs the network until [`NetHandle::stop`](crate::NetHandle::stop), until all handles are
    /// gone, or until the receiver of events is dropped.
    pub async fn run(mut self) {
        let stop = loop {
            let wake = self.next_event().await;
            if let Flow::Stop(done) = self.handle_event(wake) {
                break done;
            }
        };
        self.close().await;
        // Sockets are closed when the caller is told.
        drop(self);
        if let Some(done) = stop {
            // Whoever asked may have given up waiting.
            done.send(()).ok();
        }
    }

    /// Waits for the next listener to be up or to fail, before the loop runs.
    pub(crate) async fn listen_step(&mut self) {
        let event = self.swarm.select_next_some().await;
        self.on_swarm_event(event);
    }

    /// The addresses that are listened on, each with `/p2p/…`.
    pub(crate) fn listening(&self) -> &[Multiaddr] {
        self.listeners.addresses()
    }

    /// Waits for whatever is first, in this order: what is finished, commands, facts that can leave,
    /// the swarm, timers. Finished work leaves before new work enters.
    async fn next_event(&mut self) -> Wake {
        let due = self.timers.next();
        let backlog = self.facts.backlog();
        tokio::select! {
            biased;
            Some(done) = self.hellos.next() => Wake::Hello(done),
            Some(ended) = self.sessions.next() => Wake::Session(ended),
            Some(done) = self.exchanges.tasks.join_next(), if !self.exchanges.tasks.is_empty() => {
                Wake::Exchange(done.map(Box::new))
            }
            Some(event) = self.links.next(backlog < limits::EVENTS) => Wake::Link(event),
            // An owner that asks without listening finds its own queue full, not this one growing.
            count = self.commands.recv_many(&mut self.taken, limits::COMMANDS_PER_TURN),
                if backlog < 2 * limits::EVENTS => Wake::Commands(count),
            handed = self.facts.hand_over() => match handed {
                Handover::Done(session) => {
                    if let Some(session) = session {
                        self.sessions.start(session);
                    }
                    Wake::Told
                }
                Handover::OwnerGone => Wake::OwnerGone,
            },
            event = self.swarm.select_next_some(), if backlog < limits::EVENTS => {
                Wake::Swarm(Box::new(event))
            }
            () = sleep_until(due), if due.is_some() => Wake::Timer,
        }
    }

    /// Reacts to one wake. Synchronous: nothing here can wait.
    fn handle_event(&mut self, wake: Wake) -> Flow {
        match wake {
            Wake::Hello(Ok(done)) => self.on_hello_done(*done),
            Wake::Session(Ended::Session(Ok((peer, violation)))) => {
                if violation {
                    self.expel(peer, "it broke the protocol in a session");
                }
            }
            Wake::Exchange(Ok(done)) => self.on_exchange_done(*done),
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
            | Wake::Exchange(Err(error)) => on_task_failed(&error),
            Wake::Session(Ended::Refusal(Ok(()))) | Wake::Told => {}
            Wake::Commands(0) | Wake::OwnerGone => return Flow::Stop(None),
            Wake::Commands(_) => {
                if let Some(done) = self.on_commands() {
                    return Flow::Stop(Some(done));
                }
                self.give_swarm_a_turn();
            }
            Wake::Swarm(event) => self.on_swarm_event(*event),
            Wake::Timer => self.on_timers(),
        }
        self.publish_if_changed();
        Flow::Continue
    }

    /// A steady stream of commands must not keep the swarm from its turn.
    fn give_swarm_a_turn(&mut self) {
        if self.facts.backlog() < limits::EVENTS
            && let Some(Some(event)) = self.swarm.next().now_or_never()
        {
            self.on_swarm_event(event);
        }
    }

    fn on_timers(&mut self) {
        let now = Instant::now();
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Surplus(peer) => self.close_surplus(peer),
                Timer::Hello(peer, connection) => {
                    self.act(Action::SayHello { peer, connection });
                }
                Timer::Dial(target) => self.dial_target(target),
                Timer::Places => self.dial_waiting(),
                Timer::Publish => self.publisher.publish(&mut self.shared.peers),
                Timer::Watch => {
                    self.links.sweep(self.shared.local.settings.protocol_timeout);
                    let actions = self.liveness.on_timer(&self.shared);
                    self.perform(actions);
                }
                Timer::Exchange => self.exchange_round(),
                Timer::News => self.tell_news(),
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
            SwarmEvent::IncomingConnection { .. } => self.copies.on_inbound(),
            // Kademlia's dials become facts with their connections; addresses that peers claim for
            // us or themselves are not believed.
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
            BehaviourEvent::Ping(event) => self.on_ping_event(&event),
            BehaviourEvent::Near(event) => self.on_near_event(event),
            BehaviourEvent::Kad(event) => self.on_kad_event(event),
            BehaviourEvent::Places(never) | BehaviourEvent::Gate(never) => match never {},
        }
    }

    /// Carries out what a part asks for, in its order.
    fn perform(&mut self, actions: impl IntoIterator<Item = Action>) {
        actions.into_iter().for_each(|action| self.act(action));
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Tell(event) => self.facts.tell(event),
            Action::TellSession(event, session) => self.facts.tell_session(event, session),
            Action::Publish => self.publish_if_changed(),
            Action::Remind(at, timer) => self.timers.set(at, timer),
            Action::Open { connection, purpose } => {
                let (peer, protocol) = (purpose.peer(), purpose.protocol());
                let request = self.swarm.behaviour_mut().streams.open(peer, connection, protocol);
                self.opening.insert(request, purpose);
            }
            Action::SayHello { peer, connection } => {
                let action = self.hellos.start(peer, connection, &mut self.shared);
                self.perform(action);
            }
            Action::KeepAlive { peer, connection, keep } => {
                self.swarm.behaviour_mut().streams.keep_alive(peer, connection, keep);
            }
            Action::Ready { peer, advert, news } => self.on_ready(peer, advert, news),
            Action::CloseConnection(id) => {
                // False if it has ended already.
                self.swarm.close_connection(id);
            }
            Action::Echo(peer) => {
                let action = self.links.echo(peer, None, &self.shared);
                self.perform(action);
            }
            Action::ClosePeer { peer, why } => self.close_peer(peer, why),
            Action::Expel { peer, why } => self.expel(peer, why),
        }
    }

    /// Publishes the table of peers if it has changed, now or a little later.
    fn publish_if_changed(&mut self) {
        if let Some(at) = self.publisher.publish_if_changed(&mut self.shared.peers) {
            self.timers.set(at, Timer::Publish);
        }
    }

    /// The own addresses have changed, and with them the ranges of this node and its own advert.
    fn on_listeners(&mut self, facts: impl IntoIterator<Item = NetEvent>) {
        self.look_at_interfaces();
        self.publisher.publish_addresses(self.listeners.addresses());
        facts.into_iter().for_each(|fact| self.facts.tell(fact));
    }

    fn look_at_interfaces(&mut self) {
        self.swarm.behaviour_mut().kad.set_lan(self.listeners.lan());
        self.forget_own_advert();
    }

    /// Ends everything: dials are answered, connections closed, then tasks dropped.
    async fn close(&mut self) {
        for pending in self.dials.take_all() {
            for caller in pending.callers {
                caller.answer(Err(crate::NetClosed.into()));
            }
        }
        let connected: Vec<_> = self.swarm.connected_peers().copied().collect();
        for peer in connected {
            // An error means that it is gone already.
            self.swarm.disconnect_peer_id(peer).ok();
        }
        let closed = async {
            while self.swarm.connected_peers().next().is_some() {
                self.swarm.select_next_some().await;
            }
        };
        if tokio::time::timeout(limits::STOP_TIMEOUT, closed).await.is_err() {
            tracing::warn!("connections did not close within {:?}", limits::STOP_TIMEOUT);
        }
    }
}

async fn sleep_until(due: Option<Instant>) {
    if let Some(due) = due {
        tokio::time::sleep_until(due).await;
    }
}

fn on_task_failed(error: &JoinError) {
    if !error.is_cancelled() {
        tracing::error!(%error, "a task of the network has panicked");
    }
}

#[cfg(test)]
mod tests;
