//! The meaning of a failed dial, and its description for callers.

use libp2p::{Multiaddr, PeerId, TransportError, swarm::DialError as SwarmDialError};

use crate::{
    address,
    behaviour::{gate, places},
    error::DialError,
    transport,
};

/// The error for the caller that dialled `given`.
pub(crate) fn for_caller(given: &Multiaddr, error: &SwarmDialError) -> DialError {
    let unreachable = |why: String| DialError::Unreachable { address: given.clone(), why };
    match error {
        SwarmDialError::LocalPeerId { .. } | SwarmDialError::NoAddresses => {
            DialError::SelfDial(given.clone())
        }
        SwarmDialError::DialPeerConditionFalse(_) => DialError::Busy,
        SwarmDialError::Aborted => unreachable("the dial was cancelled".to_owned()),
        SwarmDialError::WrongPeerId { obtained, .. } => {
            DialError::WrongPeer { address: given.clone(), found: *obtained }
        }
        SwarmDialError::Denied { cause } => {
            if cause.downcast_ref::<places::Full>().is_some() {
                return DialError::Busy;
            }
            let expelled = cause.downcast_ref::<gate::Expelled>().map(ToString::to_string);
            let blocked = cause.downcast_ref::<gate::Blocked>().map(ToString::to_string);
            unreachable(expelled.or(blocked).unwrap_or_else(|| cause.to_string()))
        }
        SwarmDialError::Transport(errors) => unreachable(transport_errors(errors)),
    }
}

/// The address at which a dial found this node's own key instead of a peer's.
pub(crate) fn own_key_at<'a>(error: &'a SwarmDialError, local: &PeerId) -> Option<&'a Multiaddr> {
    match error {
        SwarmDialError::LocalPeerId { address } => Some(address),
        SwarmDialError::WrongPeerId { obtained, address } if obtained == local => Some(address),
        SwarmDialError::WrongPeerId { .. }
        | SwarmDialError::NoAddresses
        | SwarmDialError::DialPeerConditionFalse(_)
        | SwarmDialError::Aborted
        | SwarmDialError::Denied { .. }
        | SwarmDialError::Transport(_) => None,
    }
}

/// The bound that prevented a dial.
pub(crate) fn full(error: &SwarmDialError) -> Option<places::Full> {
    match error {
        SwarmDialError::Denied { cause } => cause.downcast_ref().copied(),
        SwarmDialError::DialPeerConditionFalse(_)
        | SwarmDialError::Aborted
        | SwarmDialError::LocalPeerId { .. }
        | SwarmDialError::NoAddresses
        | SwarmDialError::WrongPeerId { .. }
        | SwarmDialError::Transport(_) => None,
    }
}

/// Whether a failed dial was attempted at all. If not, its failure says nothing about its
/// addresses.
pub(crate) fn was_tried(error: &SwarmDialError) -> bool {
    match error {
        SwarmDialError::DialPeerConditionFalse(_) | SwarmDialError::Aborted => false,
        SwarmDialError::Denied { .. }
        | SwarmDialError::LocalPeerId { .. }
        | SwarmDialError::NoAddresses
        | SwarmDialError::WrongPeerId { .. }
        | SwarmDialError::Transport(_) => true,
    }
}

/// For one address its cause alone; for several each with its cause.
fn transport_errors(errors: &[(Multiaddr, TransportError<std::io::Error>)]) -> String {
    let cause = |error: &TransportError<std::io::Error>| match error {
        TransportError::MultiaddrNotSupported(address) if address::is_name(address) => {
            "this node dials only DNS names from its own configuration or commands".to_owned()
        }
        TransportError::MultiaddrNotSupported(_) => {
            "this form of address is not supported".to_owned()
        }
        TransportError::Other(error) => transport::root_cause(error),
    };
    match errors {
        [(_, error)] => cause(error),
        several => {
            let each = several.iter().map(|(address, error)| {
                format!("{}: {}", address::without_peer(address), cause(error))
            });
            each.collect::<Vec<_>>().join("; ")
        }
    }
}
