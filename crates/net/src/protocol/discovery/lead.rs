//! Leads: signed adverts of peers, passed on by other peers.

use libp2p::Multiaddr;
use meshwork_core::discovery::leads;

use crate::{address, lan::Lan, protocol::discovery::wire::SignedAdvert};

/// The lead to one peer.
pub(crate) type Lead = leads::Lead<SignedAdvert>;

/// The table of leads.
pub(crate) type Leads = leads::Leads<SignedAdvert>;

/// The addresses at which the subject of a lead may be dialled: its public addresses, and private
/// ones inside this node's ranges. `learning` has dropped private addresses from informants outside
/// their range.
pub(crate) fn dialable(lead: &Lead, lan: &Lan) -> Vec<Multiaddr> {
    let private = lead.signed.private().filter(|address| lan.admits(address));
    let public = lead.advert.addresses.iter().filter(|address| address::is_public(address));
    private.chain(public).cloned().collect()
}
