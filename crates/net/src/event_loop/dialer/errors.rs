//! What a failed dial means, and how it is said.

use libp2p::{Multiaddr, PeerId, TransportError, swarm::DialError as SwarmDialError};

use crate::{
    address,
    behaviour::{gate, places},
    error::DialError,
    transport,
};

/// The error as the caller that asked for `given` gets it.
pub(crate) fn told(given: &Multiaddr, error: &SwarmDialError) -> DialError {
    let unreachable = |why: String| DialError::Unreachable { address: given.clone(), why };
    match error {
        SwarmDialError::LocalPeerId { .. } | SwarmDialError::NoAddresses => {
            DialError::SelfDial(given.clone())
        }
        SwarmDialError::DialPeerConditionFalse(_) => DialError::Busy,
        SwarmDialError::Aborted => unreachable("the dial was given up".to_owned()),
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

/// Where a dial has found this node's own key instead of a peer's.
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

/// The bound because of which a dial was given up.
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

/// Whether a failed dial has reached the network at all. One that has not says nothing of its
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

/// One address: its cause alone. Several: each with its cause.
fn transport_errors(errors: &[(Multiaddr, TransportError<std::io::Error>)]) -> String {
    let cause = |error: &TransportError<std::io::Error>| match error {
        TransportError::MultiaddrNotSupported(address) if address::is_name(address) => {
            "this node dials only names that its operator gave".to_owned()
        }
        TransportError::MultiaddrNotSupported(_) => {
            "this form of address is not dialled".to_owned()
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
