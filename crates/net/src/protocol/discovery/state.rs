//! The state of discovery: the leads, and the running exchanges.
//!
//! Absent on purpose: the behaviour (the files beside this one), searches (`searches`), and dials
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
        talk::{ExchangeError, HeardAdvert, ReceivedRequest},
        wire::SignedAdvert,
    },
    traffic::Counted,
};

/// The leads, this node's own advert, and the running exchanges.
pub(crate) struct Exchange {
    pub(super) leads: Leads,
    /// Addresses that may be dialled although they are not public: from the configuration, the
    /// user, mDNS or signed adverts.
    pub(super) allowed: Allowed,
    /// At most [`limits::EXCHANGES`] each of ours, of peers, and of refusals.
    pub(super) tasks: JoinSet<ExchangeDone>,
    /// Counts our own exchanges.
    pub(super) asking: Asking,
    /// Number of peers' exchanges that are read or answered.
    pub(super) serving: usize,
    /// Number of peers' exchanges that are refused.
    pub(super) refusing: usize,
    /// This node's own advert, and when it was signed.
    pub(super) own: Option<(Instant, SignedAdvert)>,
    /// Number of own adverts signed since the start.
    pub(super) count: u32,
    /// Whether a timer for the next round is set.
    pub(super) armed: bool,
    /// Whether a timer to publish the changed leads is set.
    pub(super) publish_due: bool,
    /// Peers that have just become ready, to be announced; at most [`limits::NEWS`].
    pub(super) news: Vec<PeerId>,
}

/// How one exchange ended.
#[derive(Debug)]
pub(crate) enum ExchangeDone {
    /// Our request was answered, or failed.
    Answer {
        peer: PeerId,
        errand: Errand,
        result: Result<Result<Vec<HeardAdvert>, Reason>, ExchangeError>,
    },
    /// A peer's request was read, or failed.
    Request { peer: PeerId, result: Result<Box<RequestOn>, ExchangeError> },
    /// A peer's request was answered. `was_read`: it was read; otherwise it was only refused.
    Answered { was_read: bool },
}

/// A request, and the stream for its answer.
pub(crate) type RequestOn = (ReceivedRequest, Counted<InboundStream>);

/// The data from which adverts are built.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) listeners: &'a Listeners,
    /// The last measurement of this node's machine.
    pub(crate) resources: Option<&'a ResourceUsage>,
}

impl Exchange {
    pub(crate) fn new(local: PeerId, allowed: Allowed) -> Self {
        Self {
            leads: Leads::new(local),
            allowed,
            tasks: JoinSet::new(),
            asking: Asking::default(),
            serving: 0,
            refusing: 0,
            own: None,
            count: 0,
            armed: false,
            publish_due: false,
            news: Vec::new(),
        }
    }

    /// Waits for the next exchange to end; `None` at once if none runs.
    pub(crate) async fn next(&mut self) -> Option<Result<Box<ExchangeDone>, JoinError>> {
        self.tasks.join_next().await.map(|done| done.map(Box::new))
    }

    /// The table of leads.
    pub(crate) fn leads(&self) -> &Leads {
        &self.leads
    }

    /// This node's advert has changed: it is signed again when next needed.
    pub(crate) fn on_own_change(&mut self) {
        self.own = None;
    }

    /// The peer's last connection has ended: drops its lead, which is out of date.
    pub(crate) fn on_disconnected(&mut self, peer: &PeerId, now: Time) -> Option<Action> {
        self.leads.get(peer, now)?;
        self.leads.forget(peer);
        self.publish_soon()
    }

    /// Schedules a publication of the leads. Batched, because each copies all of them.
    pub(crate) fn publish_soon(&mut self) -> Option<Action> {
        let is_new = !std::mem::replace(&mut self.publish_due, true);
        is_new.then(|| Action::Remind(Instant::now() + limits::PUBLISH_EVERY, Timer::Leads))
    }

    /// The statuses of leads that are not connected, sorted by peer id, for publication.
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

/// The status of the subject of an advert that arrived at `heard`. The subject was last seen when
/// it signed the advert.
pub(crate) fn status(advert: &PeerAdvert, heard: Time, clock: Clock) -> PeerStatus {
    let signed = heard.before(advert.age);
    let seen = std::sync::Arc::new(LastSeen::at(clock, signed));
    PeerStatus {
        addresses: advert.addresses.clone(),
        advert: Some(advert.advert.clone()),
        ..by_hearsay(advert.peer, seen)
    }
}
