//! A lead: what others say about where a peer is.

use libp2p::Multiaddr;
use meshwork_core::discovery::leads;

use crate::{address, lan::Lan, protocol::discovery::wire::SignedAdvert};

/// What others say about one peer.
pub(crate) type Lead = leads::Lead<SignedAdvert>;

/// What others say about all peers.
pub(crate) type Leads = leads::Leads<SignedAdvert>;

/// Where the subject of a lead may be dialled: at public addresses, and in this node's ranges at
/// private ones that came from a peer that is connected to it.
pub(crate) fn dialable(lead: &Lead, lan: &Lan) -> Vec<Multiaddr> {
    let private = lead.signed.private().filter(|address| lan.admits(address));
    let public = lead.advert.addresses.iter().filter(|address| address::is_public(address));
    private.chain(public).cloned().collect()
}
