//! `peers` and `ping`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::values;

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
        /// Peer id, name, or unique start of a name
        #[arg(value_parser = values::name)]
        peer: String,
    },
    /// Ask the network for peers. All that is asked for must hold. Ends with 4 if there are none
    Find {
        /// Peers that offer this handler, such as text/word-count. One that is offered to trusted peers
        /// only is found by those
        #[arg(long, value_name = "HANDLER", value_parser = values::name)]
        handler: Option<String>,
        /// Peers with this capability
        #[arg(long, value_name = "NAME", value_parser = values::name)]
        capability: Option<String>,
        /// Peers with this label
        #[arg(long, value_name = "NAME=VALUE", value_parser = values::pair)]
        label: Vec<(String, String)>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 16)]
        limit: usize,
    },
    /// Connect to an address
    Dial {
        /// Such as 192.168.1.7:4101, or /ip4/192.168.1.7/tcp/4101 with /p2p/PEER_ID if it must be that
        /// peer
        #[arg(value_parser = values::name)]
        address: String,
    },
    /// Trust a peer: its work counts as listed, and own work may be placed there
    Trust {
        /// Peer id, name, or unique start of a name; an id may be unknown yet
        #[arg(value_parser = values::name)]
        peer: String,
    },
    /// Trust a peer no longer
    Untrust {
        /// Peer id, name, or unique start of a name
        #[arg(value_parser = values::name)]
        peer: String,
    },
    /// Call a peer by a name of your own, which goes before the names that peers give themselves
    Name {
        /// Which; a peer id need not be known yet
        #[arg(value_parser = values::name)]
        peer: String,
        /// Its name here; without it an earlier one is taken back
        name: Option<String>,
    },
    /// Refuse connections with a peer, and trust it no longer
    Block {
        /// Which; a peer id need not be known yet
        #[arg(value_parser = values::name)]
        peer: String,
    },
    /// Allow connections with a peer again
    Unblock {
        /// Which
        #[arg(value_parser = values::name)]
        peer: String,
    },
    /// Close the connection with a peer. Either side may connect again: `peers block` keeps it away
    Disconnect {
        /// Which
        #[arg(value_parser = values::name)]
        peer: String,
    },
    /// Forget a peer: its name, the trust in it, where it was met. It may come back as a stranger
    Forget {
        /// Which
        #[arg(value_parser = values::name)]
        peer: String,
    },
}

/// Measure the round-trip time to a connected peer and show the path. Succeeds if one ping was answered.
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
