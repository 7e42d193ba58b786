//! The reasons for which this node opens an exchange.

use std::sync::Arc;

use libp2p::PeerId;

/// Names a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SearchId(pub(crate) u64);

/// Why this node opens an exchange.
#[derive(Clone, Debug)]
pub(crate) enum Errand {
    /// Both nodes tell each other which peers they know.
    Round,
    /// A search asks for the peers that match.
    Search(SearchId),
    /// The peer is asked where this one is.
    Seek(PeerId),
    /// The peer is told about these peers, which have just come.
    News(Arc<[PeerId]>),
}

impl Errand {
    pub(crate) fn is_news(&self) -> bool {
        matches!(self, Self::News(_))
    }
}
