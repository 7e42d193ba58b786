//! The two sides of a session.

use libp2p::PeerId;
use meshwork_core::{ToOwner, ToWorker};

use super::wiring::{SessionEvent, SessionId};
use crate::{
    meter::Kind,
    protocol::task::{
        decode::{Inbox, to_owner, to_worker},
        encode::Encoder,
        kind,
        names::Names,
    },
    wire::{Message, WireError},
};

/// This node's side of a session.
pub(super) trait Role: Send + 'static {
    /// The frames that this side sends.
    type Outgoing: Send + 'static;
    /// The frames that this side receives.
    type Incoming: Send + 'static;

    /// The side's name in logs.
    const NAME: &'static str;
    /// The kind of this side's `Unsupported` message.
    const UNSUPPORTED: u32;

    fn encode(frame: &Self::Outgoing, encoder: &mut Encoder) -> Result<(), WireError>;

    fn decode(
        message: &Message<'_>,
        names: &mut Names,
        inbox: &mut Inbox<Self::Incoming>,
    ) -> Result<(), WireError>;

    /// The kind under which a sent frame is counted.
    fn outgoing(frame: &Self::Outgoing) -> Kind;

    /// The kind under which a received frame is counted.
    fn incoming(frame: &Self::Incoming) -> Kind;

    fn spoke(peer: PeerId, frames: Vec<Self::Incoming>) -> SessionEvent;

    fn closed(peer: PeerId, id: SessionId, why: String, violation: bool) -> SessionEvent;
}

/// This node is the owner, the peer its worker.
#[derive(Debug)]
pub(super) enum Owner {}

/// This node is the worker, the peer its owner.
#[derive(Debug)]
pub(super) enum Worker {}

impl Role for Owner {
    type Outgoing = ToWorker;
    type Incoming = ToOwner;

    const NAME: &'static str = "owner";
    const UNSUPPORTED: u32 = kind::OWNER_UNSUPPORTED;

    fn encode(frame: &ToWorker, encoder: &mut Encoder) -> Result<(), WireError> {
        encoder.push_to_worker(frame)
    }

    fn decode(
        message: &Message<'_>,
        _names: &mut Names,
        inbox: &mut Inbox<ToOwner>,
    ) -> Result<(), WireError> {
        to_owner(message, inbox)
    }

    fn outgoing(frame: &ToWorker) -> Kind {
        Kind::of_to_worker(frame)
    }

    fn incoming(frame: &ToOwner) -> Kind {
        Kind::of_to_owner(frame)
    }

    fn spoke(peer: PeerId, frames: Vec<ToOwner>) -> SessionEvent {
        SessionEvent::FromWorker { peer, frames }
    }

    fn closed(peer: PeerId, id: SessionId, why: String, violation: bool) -> SessionEvent {
        SessionEvent::WorkerClosed { peer, id, why, violation }
    }
}

impl Role for Worker {
    type Outgoing = ToOwner;
    type Incoming = ToWorker;

    const NAME: &'static str = "worker";
    const UNSUPPORTED: u32 = kind::WORKER_UNSUPPORTED;

    fn encode(frame: &ToOwner, encoder: &mut Encoder) -> Result<(), WireError> {
        encoder.push_to_owner(frame)
    }

    fn decode(
        message: &Message<'_>,
        names: &mut Names,
        inbox: &mut Inbox<ToWorker>,
    ) -> Result<(), WireError> {
        to_worker(message, names, inbox)
    }

    fn outgoing(frame: &ToOwner) -> Kind {
        Kind::of_to_owner(frame)
    }

    fn incoming(frame: &ToWorker) -> Kind {
        Kind::of_to_worker(frame)
    }

    fn spoke(peer: PeerId, frames: Vec<ToWorker>) -> SessionEvent {
        SessionEvent::FromOwner { peer, frames }
    }

    fn closed(peer: PeerId, id: SessionId, why: String, violation: bool) -> SessionEvent {
        SessionEvent::OwnerClosed { peer, id, why, violation }
    }
}
