//! The exchange: what others say about peers, and the streams on which it is told.
//!
//! Absent on purpose: what it does (the files beside this one), searches (`searches`), and dials
//! (`dialer`).

use libp2p::PeerId;
use meshwork_core::{Reason, ResourceUsage, Time, discovery::leads::PeerAdvert};
use tokio::{
    task::{JoinError, JoinSet},
    time::Instant,
};

use super::asking::Asking;
use crate::{
    behaviour::streams::InboundStream,
    clock::{Clock, LastSeen},
    dial_filter::Allowed,
    event::PeerStatus,
    event_loop::{action::Action, listeners::Listeners, shared::Shared, timers::Timer},
    limits,
    protocol::discovery::{
        errand::Errand,
        known::by_hearsay,
        lead::Leads,
        talk::{ExchangeError, Heard, HeardAdvert},
        wire::SignedAdvert,
    },
    traffic::Counted,
};

/// What the node knows by hearsay, and the exchanges under way.
pub(crate) struct Exchange {
    pub(super) leads: Leads,
    /// Addresses that may be dialled although no stranger could name them.
    pub(super) allowed: Allowed,
    /// At most [`limits::EXCHANGES`] of ours, as many of theirs, and as many that are refused.
    pub(super) tasks: JoinSet<ExchangeDone>,
    /// Exchanges of ours.
    pub(super) asking: Asking,
    /// Streams of others that are heard or answered.
    pub(super) hearing: usize,
    /// Streams of others that are refused.
    pub(super) refusing: usize,
    /// This node's own advert, and when it was signed.
    pub(super) own: Option<(Instant, SignedAdvert)>,
    /// Counts own adverts since the start.
    pub(super) count: u32,
    /// A timer for the next round is set.
    pub(super) armed: bool,
    /// The leads have changed since they were published; a timer will publish them.
    pub(super) publish_due: bool,
    /// Peers that have just come, about which the others are to be told; at most [`limits::NEWS`].
    pub(super) news: Vec<PeerId>,
}

/// What became of one exchange.
#[derive(Debug)]
pub(crate) enum ExchangeDone {
    /// Ours was answered.
    Asked {
        peer: PeerId,
        errand: Errand,
        result: Result<Result<Vec<HeardAdvert>, Reason>, ExchangeError>,
    },
    /// Theirs was heard.
    Heard { peer: PeerId, result: Result<Box<HeardOn>, ExchangeError> },
    /// Theirs was answered, whether it was heard or only refused.
    Answered { heard: bool },
}

/// A request, and the stream for its answer.
pub(crate) type HeardOn = (Heard, Counted<InboundStream>);

/// What this node can say about itself and about its peers.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) listeners: &'a Listeners,
    /// What this node last measured of its machine.
    pub(crate) resources: Option<&'a ResourceUsage>,
}

impl Exchange {
    pub(crate) fn new(local: PeerId, allowed: Allowed) -> Self {
        Self {
            leads: Leads::new(local),
            allowed,
            tasks: JoinSet::new(),
            asking: Asking::default(),
            hearing: 0,
            refusing: 0,
            own: None,
            count: 0,
            armed: false,
            publish_due: false,
            news: Vec::new(),
        }
    }

    /// The next exchange that ends; none while there is none.
    pub(crate) async fn next(&mut self) -> Option<Result<Box<ExchangeDone>, JoinError>> {
        self.tasks.join_next().await.map(|done| done.map(Box::new))
    }

    /// What others say about peers.
    pub(crate) fn leads(&self) -> &Leads {
        &self.leads
    }

    /// What this node says about itself has changed.
    pub(crate) fn on_own_change(&mut self) {
        self.own = None;
    }

    /// The peer's last connection has ended: what others say about it is out of date.
    pub(crate) fn on_disconnected(&mut self, peer: &PeerId, now: Time) -> Option<Action> {
        self.leads.get(peer, now)?;
        self.leads.forget(peer);
        self.publish_soon()
    }

    /// Publishes leads in a while, not each time: it copies them all.
    pub(crate) fn publish_soon(&mut self) -> Option<Action> {
        let is_new = !std::mem::replace(&mut self.publish_due, true);
        is_new.then(|| Action::Remind(Instant::now() + limits::PUBLISH_EVERY, Timer::Leads))
    }

    /// What is known by hearsay about peers that are not connected, for readers.
    pub(crate) fn take_hearsay(&mut self, shared: &Shared) -> Vec<PeerStatus> {
        self.publish_due = false;
        let Shared { local, peers } = shared;
        let leads = self.leads.iter(local.clock.now());
        let absent = leads.filter(|lead| !peers.is_connected(&lead.advert.peer));
        let mut statuses: Vec<PeerStatus> =
            absent.map(|lead| status(&lead.advert, lead.heard, local.clock)).collect();
        statuses.sort_by_key(|status| status.peer);
        statuses
    }
}

/// A peer as an advert describes it that was heard at `heard`; its subject was there when it signed
/// the advert.
pub(crate) fn status(advert: &PeerAdvert, heard: Time, clock: Clock) -> PeerStatus {
    let signed = heard.before(advert.age);
    let seen = std::sync::Arc::new(LastSeen::at(clock, signed));
    PeerStatus {
        addresses: advert.addresses.clone(),
        advert: Some(advert.advert.clone()),
        ..by_hearsay(advert.peer, seen)
    }
}
