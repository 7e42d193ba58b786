//! `peers`.

use clap::{Args, Subcommand};

/// See and trust other nodes. PEER is a peer id, a name, or the unique start of a name.
#[derive(Args, Debug)]
pub(crate) struct PeersArgs {
    /// What to do; none lists them.
    #[command(subcommand)]
    pub(crate) verb: Option<PeersVerb>,
}

/// What to do with peers.
#[derive(Debug, Subcommand)]
pub(crate) enum PeersVerb {
    /// List all known peers
    List,
    /// Show all that is known of one peer
    Show {
        /// Which
        peer: String,
    },
    /// Connect to an address
    Dial {
        /// Such as /ip4/192.168.1.7/tcp/4101, with /p2p/PEER_ID if it must be that peer
        address: String,
    },
    /// Trust a peer: its work counts as listed, and own work may be placed there
    Trust {
        /// Which; a peer id need not be known yet
        peer: String,
    },
    /// Trust a peer no longer
    Untrust {
        /// Which
        peer: String,
    },
}
