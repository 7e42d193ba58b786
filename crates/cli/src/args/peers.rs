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
        /// Which
        #[arg(value_parser = values::name)]
        peer: String,
    },
    /// Connect to an address
    Dial {
        /// Such as /ip4/192.168.1.7/tcp/4101, with /p2p/PEER_ID if it must be that peer
        #[arg(value_parser = values::name)]
        address: String,
    },
    /// Trust a peer: its work counts as listed, and own work may be placed there
    Trust {
        /// Which; a peer id need not be known yet
        #[arg(value_parser = values::name)]
        peer: String,
    },
    /// Trust a peer no longer
    Untrust {
        /// Which
        #[arg(value_parser = values::name)]
        peer: String,
    },
}

/// Ask a connected peer for its echo, see the way there and how long it takes. Ends with 0 if it
/// answered at all.
#[derive(Args, Debug)]
pub(crate) struct PingArgs {
    /// Which: a peer id, a name, or the unique start of a name
    #[arg(value_parser = values::name)]
    pub(crate) peer: String,
    /// How often
    #[arg(short, long, value_name = "N", default_value_t = 5,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) count: u32,
    /// Time from one to the next
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = values::duration)]
    pub(crate) interval: Duration,
}
