//! The task that keeps the peer book: it watches the table of peers and writes changes to disk.
//!
//! The task owns the book while the node runs. Only a stop waits for it.

use std::{collections::HashSet, sync::Arc};

use meshwork_core::{PeerId, PeerState};
use meshwork_net::{PeerStatus, Remembered};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout, timeout_at},
};

use super::{Book, Meeting};
use crate::{
    clock::Clock,
    home::{Home, HomeError},
    limits,
    node::Node,
    policy::Policies,
};

/// Keeps the peer book while the node runs.
pub(crate) struct Keeper {
    book: Book,
    /// Whether the file differs from the book.
    is_stale: bool,
    /// Keeps the home locked until the last write.
    home: Arc<Home>,
    clock: Clock,
    policies: Arc<Policies>,
    /// Whether the last write failed.
    is_failing: bool,
    /// Peers to remove. The channel closes when the task ends, which a stop waits for.
    forgotten: mpsc::Receiver<PeerId>,
}

impl Keeper {
    /// Reads the book. Returns the keeper and the channel for peers to forget; `None` without a home.
    pub(crate) async fn open(node: &Node) -> Option<(Self, mpsc::Sender<PeerId>)> {
        let Node { home, config, clock, policies, .. } = node;
        let home = home.as_ref()?;
        let now = seconds(*clock, clock.now());
        let (book, is_stale) = read(home, &config.network, now, &policies.now().trusted).await;
        let (forget, forgotten) = mpsc::channel(limits::BOOK_FORGOTTEN);
        let keeper = Self {
            book,
            is_stale,
            home: Arc::clone(home),
            clock: *clock,
            policies: Arc::clone(policies),
            is_failing: false,
            forgotten,
        };
        Some((keeper, forget))
    }

    /// The peers to dial at the start.
    pub(crate) fn remembered(&self) -> Vec<Remembered> {
        self.book.remembered(&self.policies.now().trusted, self.clock)
    }

    /// Runs until the network has stopped and the last change is written. A new peer is written at
    /// the next check, any other change at most every [`limits::BOOK_EVERY`].
    pub(crate) async fn run(mut self, mut peers: watch::Receiver<Arc<Vec<PeerStatus>>>) {
        let mut due = Instant::now();
        loop {
            let changed = peers.changed();
            let is_open = if self.is_stale {
                timeout_at(due, changed).await.unwrap_or(Ok(())).is_ok()
            } else {
                changed.await.is_ok()
            };
            let now = Arc::clone(&peers.borrow());
            let has_met = self.note(&now, !is_open);
            if self.is_stale && (has_met || !is_open || Instant::now() >= due) {
                self.write().await;
                due = Instant::now() + limits::BOOK_EVERY;
            }
            if !is_open {
                return;
            }
            let mut is_new = false;
            let until_closed = async {
                while peers.changed().await.is_ok() {
                    is_new = true;
                }
            };
            if timeout(limits::BOOK_LOOK, until_closed).await.is_err() && is_new {
                peers.mark_changed();
            }
        }
    }

    /// Updates the book from the table of peers. True if a new peer is in it, which the next start
    /// should find. In a full book only a trusted peer counts as new, so that unknown peers that
    /// replace each other do not keep the disk busy.
    fn note(&mut self, peers: &[PeerStatus], is_last: bool) -> bool {
        let mut has_met = false;
        let now = seconds(self.clock, self.clock.now());
        let grain = if is_last { 1 } else { limits::BOOK_GRAIN };
        let policy = self.policies.now();
        let trusted = &policy.trusted;
        for status in peers {
            let ready_at = match (&status.state, status.last_ready) {
                (PeerState::Ready, _) => now,
                (_, Some(last)) => seconds(self.clock, last),
                (_, None) => continue,
            };
            let name = status.advert.as_ref().map_or("", |advert| advert.name.as_str());
            let meeting =
                Meeting { peer: status.peer, ready_at, addresses: &status.recallable, name };
            let is_first = !self.book.has(&meeting.peer)
                && (!self.book.is_full() || trusted.contains(&meeting.peer));
            let is_noted = self.book.note(&meeting, trusted, grain);
            self.is_stale |= is_noted;
            has_met |= is_noted && is_first;
        }
        self.is_stale |= self.book.trim(now, trusted);
        while let Ok(peer) = self.forgotten.try_recv() {
            self.is_stale |= self.book.forget(&peer);
        }
        has_met
    }

    async fn write(&mut self) {
        let text = self.book.text();
        match with_home(&self.home, move |home| home.save_book(&text)).await {
            Ok(()) => (self.is_stale, self.is_failing) = (false, false),
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!(%error, "peer book not saved; the node continues without it");
                }
            }
        }
    }
}

/// Reads the peer book of a home, and whether its file must be replaced. An unusable file counts as
/// an empty book.
async fn read(
    home: &Arc<Home>,
    network: &str,
    now: u64,
    trusted: &HashSet<PeerId>,
) -> (Book, bool) {
    let text = match with_home(home, Home::book).await {
        Ok(Some(text)) => text,
        Ok(None) => return (Book::new(network), false),
        Err(error) => return ignored(network, &error),
    };
    match Book::parse(&text, network, now) {
        Ok((mut book, bad)) => {
            if bad > 0 {
                tracing::warn!(
                    lines = bad,
                    "the peer book has unreadable lines, which are dropped"
                );
            }
            let is_stale = book.trim(now, trusted) || bad > 0;
            (book, is_stale)
        }
        Err(error) => ignored(network, &error),
    }
}

fn ignored(network: &str, why: &dyn std::fmt::Display) -> (Book, bool) {
    tracing::warn!(%why, "the peer book is ignored and will be replaced");
    (Book::new(network), true)
}

/// Accesses the home on a thread for blocking work.
async fn with_home<T: Send + 'static>(
    home: &Arc<Home>,
    access: impl FnOnce(&Home) -> Result<T, HomeError> + Send + 'static,
) -> Result<T, HomeError> {
    let own = Arc::clone(home);
    let done = tokio::task::spawn_blocking(move || access(&own)).await;
    done.unwrap_or_else(|error| Err(home.book_failed(error.into())))
}

fn seconds(clock: Clock, time: meshwork_core::Time) -> u64 {
    u64::try_from(clock.wall(time).timestamp()).unwrap_or(0)
}
