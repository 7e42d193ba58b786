//! What happens at the node, kept for a while and handed to whoever reads `/v1/events`.
//!
//! One task owns the node's subscription and the ring of the latest events. Readers ask it for
//! what comes after the last event that they had; a slow one thereby falls behind alone, and is
//! told of the gap once the ring has moved on. A subscriber costs the node an event for each step
//! of each task, so there is one only while somebody reads, and for [`limits::EVENT_GRACE`] after:
//! within it a reader whose connection broke can come back and miss nothing.
//!
//! Absent on purpose: HTTP (`routes/events.rs`), and waiting for anything but the next thing.

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

/// The way to the events. Cheap to clone; when all are dropped, the [`Keeper`] ends.
#[derive(Clone, Debug)]
pub(super) struct Events {
    asks: mpsc::Sender<Ask>,
}

/// Somebody who reads, up to date with some event. While it lives the node is subscribed to.
#[derive(Debug)]
pub(super) struct Reader {
    asks: mpsc::Sender<Ask>,
    newest: watch::Receiver<u64>,
    /// The last event that was read.
    last: u64,
}

/// Owns the ring and the subscription.
#[derive(Debug)]
pub(super) struct Keeper {
    manager: NetworkManager,
    asks: mpsc::Receiver<Ask>,
    ring: Ring,
    subscription: Option<Subscription>,
    /// The id of the newest event. Its receivers are the readers.
    newest: watch::Sender<u64>,
    /// When to look whether anybody still reads.
    checks: Interval,
    /// Nobody read at the last look.
    unread: bool,
}

#[derive(Debug)]
enum Ask {
    /// Somebody wants to read what follows an event, or what happens from now on.
    Join { after: Option<u64>, joined: oneshot::Sender<(u64, watch::Receiver<u64>)> },
    /// Somebody wants what follows an event.
    Read { after: u64, page: oneshot::Sender<Vec<Arc<EventView>>> },
}

/// The events of `manager`, of which nothing is heard before somebody reads.
pub(super) fn events(manager: NetworkManager) -> (Events, Keeper) {
    let (asks, asked) = mpsc::channel(limits::EVENT_ASKS);
    let mut checks = tokio::time::interval(limits::EVENT_GRACE);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ring = Ring::new(meshwork_node::time_of_day());
    let keeper = Keeper {
        manager,
        asks: asked,
        newest: watch::Sender::new(ring.newest()),
        ring,
        subscription: None,
        checks,
        unread: false,
    };
    (Events { asks }, keeper)
}

impl Events {
    /// Reads what follows the event `after`, or what happens from now on; none if the server stops.
    pub(super) async fn join(&self, after: Option<u64>) -> Option<Reader> {
        let (joined, answer) = oneshot::channel();
        self.asks.send(Ask::Join { after, joined }).await.ok()?;
        let (last, newest) = answer.await.ok()?;
        Some(Reader { asks: self.asks.clone(), newest, last })
    }
}

impl Reader {
    /// The last event that was read.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// The next events, at most [`limits::EVENT_PAGE`] of them; none if the server stops.
    pub(super) async fn next(&mut self) -> Option<Vec<Arc<EventView>>> {
        loop {
            // Before the question, so that what comes after the answer is a change.
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
    /// Serves readers until `stop` is cancelled or no way to it is left.
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
        // Whoever asked may be gone by now.
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

    /// Ends the subscription when nobody has read for a whole interval.
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

/// The next event of the node, of which there is none without a subscription.
async fn next(subscription: &mut Option<Subscription>) -> meshwork_node::NetworkEvent {
    match subscription {
        Some(subscription) => match subscription.next().await {
            Some(event) => event,
            // The node is gone; so will the server be.
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}
