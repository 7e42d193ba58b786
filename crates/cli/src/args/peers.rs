//! `peers` and `ping`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::values;

/// List, find and trust other nodes. PEER is a peer id, a name, or the unique start of a name.
#[derive(Args, Debug)]
pub(crate) struct PeersArgs {
    /// The verb; by default, peers are listed.
    #[command(subcommand)]
    pub(crate) verb: Option<PeersVerb>,
}

/// The verbs of `peers`.
#[derive(Debug, Subcommand)]
pub(crate) enum PeersVerb {
    /// List all known peers
    List,
    /// Show one peer in detail
    Show {
        /// Peer id, name, or unique start of a name
        #[arg(value_parser = values::name)]
        peer: String,
    },
    /// Search the network for peers that meet all conditions. Exit code 4: no peer was found
    Find {
        /// Peers that offer this handler, such as text/word-count. Only trusted peers find a
        /// handler that is offered to trusted peers only
        #[arg(long, value_name = "HANDLER", value_parser = values::name)]
        handler: Option<String>,
        /// Peers with this capability
        #[arg(long, value_name = "NAME", value_parser = values::name)]
        capability: Option<String>,
        /// Peers with this label
        #[arg(long, value_name = "NAME=VALUE", value_parser = values::pair)]
        label: Vec<(String, String)>,
        /// Maximum number of peers
        #[arg(long, value_name = "N", default_value_t = 16)]
        limit: usize,
    },
    /// Connect to an address
    Dial {
        /// For example 192.168.1.7:4101 or /ip4/192.168.1.7/tcp/4101; add /p2p/PEER_ID to accept
        /// that peer only
        #[arg(value_parser = values::name)]
        address: String,
    },
    /// Trust a peer: the rule `listed` includes it, and own tasks may run there
    Trust {
        /// Peer id, name, or unique start of a name; the node need not know the id
        #[arg(value_parser = values::name)]
        peer: String,
    },
    /// End the trust in a peer
    Untrust {
        /// Peer id, name, or unique start of a name
        #[arg(value_parser = values::name)]
        peer: String,
    },
    /// Give a peer a name, which overrides the names that peers choose
    Name {
        /// Peer id, name, or unique start of a name; the node need not know the id
        #[arg(value_parser = values::name)]
        peer: String,
        /// The new name; without it the given name is removed
        name: Option<String>,
    },
    /// Refuse connections with a peer, and end the trust in it
    Block {
        /// Peer id, name, or unique start of a name; the node need not know the id
        #[arg(value_parser = values::name)]
        peer: String,
    },
    /// Allow connections with a peer again
    Unblock {
        /// Peer id, name, or unique start of a name
        #[arg(value_parser = values::name)]
        peer: String,
    },
    /// Close the connection to a peer. Either side may reconnect; `peers block` prevents that
    Disconnect {
        /// Peer id, name, or unique start of a name
        #[arg(value_parser = values::name)]
        peer: String,
    },
    /// Forget a peer: its name, its trust, its addresses. It may connect again as an unknown peer
    Forget {
        /// Peer id, name, or unique start of a name
        #[arg(value_parser = values::name)]
        peer: String,
    },
}

/// Measure the round-trip time to a connected peer, and show the path. Succeeds if at least one
/// ping is answered.
#[derive(Args, Debug)]
pub(crate) struct PingArgs {
    /// Peer id, name, or unique start of a name
    #[arg(value_parser = values::name)]
    pub(crate) peer: String,
    /// Number of pings
    #[arg(short, long, value_name = "N", default_value_t = 5,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) count: u32,
    /// Time between pings
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = values::duration)]
    pub(crate) interval: Duration,
}
