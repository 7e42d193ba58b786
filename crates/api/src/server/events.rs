//! The node's events: the latest are kept and sent to the readers of `/v1/events`.
//!
//! One task, the [`Keeper`], owns the node's subscription and the ring of the latest events.
//! Readers ask it for the events after the last one that they read. So a slow reader falls behind
//! alone, and gets a gap once the ring has moved on. A subscription costs the node an event for
//! each step of each task. The keeper therefore has one only while there are readers, and for
//! [`limits::EVENT_GRACE`] after, so that a reader whose connection broke misses nothing.
//!
//! Absent on purpose: HTTP (`routes/events.rs`).

use std::sync::Arc;

use meshwork_node::{NetworkManager, Subscription};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Interval, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use crate::{limits, types::EventView};

mod filter;
mod ring;
#[cfg(test)]
mod tests;
mod translate;

pub(super) use self::filter::Filter;
use self::ring::Ring;

/// Handle of the events. Cheap to clone; the [`Keeper`] ends when all handles and readers are
/// dropped.
#[derive(Clone, Debug)]
pub(super) struct Events {
    asks: mpsc::Sender<Ask>,
}

/// A reader and its position. While it lives, the keeper is subscribed to the node.
#[derive(Debug)]
pub(super) struct Reader {
    asks: mpsc::Sender<Ask>,
    newest: watch::Receiver<u64>,
    /// The id of the last event that was read.
    last: u64,
}

/// Owns the ring and the subscription.
#[derive(Debug)]
pub(super) struct Keeper {
    manager: NetworkManager,
    asks: mpsc::Receiver<Ask>,
    ring: Ring,
    subscription: Option<Subscription>,
    /// The id of the newest event. Each reader holds one of its receivers.
    newest: watch::Sender<u64>,
    /// When to check whether readers are left.
    checks: Interval,
    /// Whether there was no reader at the last check.
    unread: bool,
}

#[derive(Debug)]
enum Ask {
    /// Adds a reader that continues after an event, or starts now.
    Join { after: Option<u64>, joined: oneshot::Sender<(u64, watch::Receiver<u64>)> },
    /// Asks for the events after an event.
    Read { after: u64, page: oneshot::Sender<Vec<Arc<EventView>>> },
}

/// Creates the events of `manager`. The keeper subscribes to them when the first reader joins.
pub(super) fn events(manager: NetworkManager) -> (Events, Keeper) {
    let (asks, requests) = mpsc::channel(limits::EVENT_ASKS);
    let mut checks = tokio::time::interval(limits::EVENT_GRACE);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ring = Ring::new(meshwork_node::time_of_day());
    let keeper = Keeper {
        manager,
        asks: requests,
        newest: watch::Sender::new(ring.newest()),
        ring,
        subscription: None,
        checks,
        unread: false,
    };
    (Events { asks }, keeper)
}

impl Events {
    /// Adds a reader that continues after the event `after`, or starts now; `None` if the server
    /// stops.
    pub(super) async fn join(&self, after: Option<u64>) -> Option<Reader> {
        let (joined, answer) = oneshot::channel();
        self.asks.send(Ask::Join { after, joined }).await.ok()?;
        let (last, newest) = answer.await.ok()?;
        Some(Reader { asks: self.asks.clone(), newest, last })
    }
}

impl Reader {
    /// The id of the last event that was read.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Waits for the next events, at most [`limits::EVENT_PAGE`]; `None` if the server stops.
    pub(super) async fn next(&mut self) -> Option<Vec<Arc<EventView>>> {
        loop {
            // Marked as seen before the request, so that an event after the answer counts as a
            // change.
            self.newest.borrow_and_update();
            let (page, answer) = oneshot::channel();
            self.asks.send(Ask::Read { after: self.last, page }).await.ok()?;
            let page = answer.await.ok()?;
            if let Some(newest) = page.last() {
                self.last = newest.id;
                return Some(page);
            }
            self.newest.changed().await.ok()?;
        }
    }
}

impl Keeper {
    /// Serves readers until `stop` is cancelled or all handles are dropped.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                ask = self.asks.recv() => match ask {
                    Some(ask) => self.on_ask(ask),
                    None => break,
                },
                _ = self.checks.tick(), if self.subscription.is_some() => self.on_check(),
                event = next(&mut self.subscription) => {
                    if let Some(event) = translate::translate(event) {
                        let newest = self.ring.push(event, meshwork_node::time_of_day());
                        self.newest.send_replace(newest);
                    }
                }
            }
        }
    }

    fn on_ask(&mut self, ask: Ask) {
        // The receivers of the answers may be dropped by now.
        match ask {
            Ask::Join { after, joined } => {
                if self.subscription.is_none() {
                    self.subscription = Some(self.manager.subscribe());
                    self.checks.reset();
                }
                self.unread = false;
                let after = after.unwrap_or_else(|| self.ring.newest());
                joined.send((after, self.newest.subscribe())).ok();
            }
            Ask::Read { after, page } => {
                page.send(self.ring.after(after, limits::EVENT_PAGE, meshwork_node::time_of_day()))
                    .ok();
            }
        }
    }

    /// Ends the subscription if there was no reader for a whole interval.
    fn on_check(&mut self) {
        let unread = self.newest.receiver_count() == 0;
        if unread && self.unread {
            self.subscription = None;
            self.ring.cut();
            self.newest.send_replace(self.ring.newest());
        }
        self.unread = unread;
    }
}

/// The next event of the node; waits forever without a subscription.
async fn next(subscription: &mut Option<Subscription>) -> meshwork_node::NetworkEvent {
    match subscription {
        Some(subscription) => match subscription.next().await {
            Some(event) => event,
            // The node has stopped, and the server will stop too.
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}
