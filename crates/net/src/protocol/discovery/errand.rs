//! The reasons for which this node opens an exchange.

use std::sync::Arc;

use libp2p::PeerId;

/// The number of a search in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SearchId(pub(crate) u64);

/// Why this node opens an exchange.
#[derive(Clone, Debug)]
pub(crate) enum Errand {
    /// Both nodes send the adverts that they know.
    Round,
    /// Asks for the peers that match this search.
    Search(SearchId),
    /// Asks for the addresses of this peer.
    Seek(PeerId),
    /// Sends the adverts of these peers, which have just become ready.
    News(Arc<[PeerId]>),
}

impl Errand {
    pub(crate) fn is_news(&self) -> bool {
        matches!(self, Self::News(_))
    }
}
