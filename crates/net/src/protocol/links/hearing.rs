//! Frames that arrive on links: reports, questions, echoes, and answers to this node's own.

use libp2p::PeerId;
use meshwork_core::{Reason, ResourceUsage};

use super::{
    link::{LinkEvent, LinkFrame},
    state::Links,
};
use crate::{
    error::AskError,
    event::{NetEvent, Pong},
    event_loop::{action::Action, shared::Shared},
    protocol::{
        health::{
            self,
            wire::{HealthBody, HealthFrame},
        },
        resource::{
            self,
            wire::{ResourceBody, ResourceFrame},
        },
    },
    quota::RequestKind,
};

/// The sender of a frame, and the id in the frame.
#[derive(Clone, Copy)]
struct Origin {
    peer: PeerId,
    id: u64,
}

impl Links {
    /// Handles a frame that has arrived on a link, and sends the answer.
    pub(crate) fn on_frame(&mut self, event: LinkEvent, shared: &mut Shared) -> Vec<Action> {
        let LinkEvent { peer, frame, answer: place } = event;
        let mut actions = Vec::new();
        let origin = |id| Origin { peer, id };
        let answer = match frame {
            LinkFrame::Resource(ResourceFrame { id, body }) => self
                .on_resource_frame(origin(id), body, shared, &mut actions)
                .map(|body| LinkFrame::Resource(ResourceFrame { id, body })),
            LinkFrame::Health(HealthFrame { id, body }) => self
                .on_health_frame(origin(id), body, shared, &mut actions)
                .map(|body| LinkFrame::Health(HealthFrame { id, body })),
        };
        if let (Some(answer), Some(place)) = (answer, place) {
            place.send(answer);
        }
        actions
    }

    fn on_resource_frame(
        &mut self,
        Origin { peer, id }: Origin,
        body: ResourceBody,
        shared: &mut Shared,
        actions: &mut Vec<Action>,
    ) -> Option<ResourceBody> {
        match body {
            ResourceBody::Report(report) => {
                let result = resource::reports::on_report(&peer, *report, shared);
                self.on_resource_report(Origin { peer, id }, result, actions)
            }
            ResourceBody::Question => Some(
                match shared.peers.may_ask(&peer, RequestKind::Question, &shared.local.counters) {
                    Err(reason) => ResourceBody::Refused(reason),
                    Ok(()) => match self.resources {
                        Some(usage) => ResourceBody::Report(resource::reports::own(usage)),
                        None => ResourceBody::Refused(Reason::NotFound),
                    },
                },
            ),
            ResourceBody::Refused(reason) => {
                self.answer_question(&peer, id, Err(AskError::Refused(reason)));
                None
            }
            ResourceBody::Unsupported(_) => None,
            ResourceBody::Unknown(kind) => Some(ResourceBody::Unsupported(kind)),
        }
    }

    /// Passes the outcome of a report to the caller whose question it answers, and to the node.
    fn on_resource_report(
        &mut self,
        Origin { peer, id }: Origin,
        result: Result<ResourceUsage, Reason>,
        actions: &mut Vec<Action>,
    ) -> Option<ResourceBody> {
        match result {
            Ok(usage) => {
                self.answer_question(&peer, id, Ok(usage));
                actions.push(Action::Publish);
                actions.push(Action::Tell(NetEvent::Resources { peer, usage }));
                None
            }
            Err(reason) => {
                if matches!(reason, Reason::InvalidMessage { .. } | Reason::Denied { .. }) {
                    // No better answer will follow.
                    let error = AskError::Broken(reason.to_string());
                    self.answer_question(&peer, id, Err(error));
                }
                Some(ResourceBody::Refused(reason))
            }
        }
    }

    fn on_health_frame(
        &mut self,
        Origin { peer, id }: Origin,
        body: HealthBody,
        shared: &mut Shared,
        actions: &mut Vec<Action>,
    ) -> Option<HealthBody> {
        match body {
            HealthBody::Echo => {
                Some(match shared.peers.may_ask(&peer, RequestKind::Echo, &shared.local.counters) {
                    Ok(()) => HealthBody::Echoed,
                    Err(reason) => HealthBody::Refused(reason),
                })
            }
            HealthBody::Echoed => {
                self.on_echoed(Origin { peer, id }, shared, actions);
                None
            }
            HealthBody::Report(report) => {
                match health::reports::on_report(&peer, *report, shared) {
                    Ok(status) => {
                        actions.push(Action::Publish);
                        actions.push(Action::Tell(NetEvent::Health { peer, status }));
                        None
                    }
                    Err(reason) => Some(HealthBody::Refused(reason)),
                }
            }
            HealthBody::Refused(reason) => {
                if let Some(links) = self.peers.get_mut(&peer) {
                    links.end_echo(id, Err(AskError::Refused(reason)));
                }
                None
            }
            HealthBody::Unsupported(_) => None,
            HealthBody::Unknown(kind) => Some(HealthBody::Unsupported(kind)),
        }
    }

    fn on_echoed(
        &mut self,
        Origin { peer, id }: Origin,
        shared: &mut Shared,
        actions: &mut Vec<Action>,
    ) {
        let Some(known) = shared.peers.get_mut(&peer) else { return };
        let links = self.peers.get_mut(&peer);
        let Some((links, round_trip)) = links.and_then(|links| {
            let round_trip = links.round_trip(id)?;
            Some((links, round_trip))
        }) else {
            // The echo has timed out, or was never sent.
            shared.local.counters.strays.add();
            return;
        };
        let is_first = known.latency.is_none();
        known.measured(round_trip);
        let Some(chosen) = known.chosen_connection() else {
            // The peer is about to disconnect.
            links.end_echo(id, Err(AskError::NotReady));
            return;
        };
        let transport = if chosen.quic { "quic" } else { "tcp" };
        let pong = Pong { peer, round_trip, address: chosen.address.clone(), transport };
        shared.peers.note_change();
        links.end_echo(id, Ok(pong));
        actions.push(Action::Publish);
        actions.push(Action::Tell(NetEvent::Measured { peer, round_trip }));
        if is_first {
            // The first round trip is measured while the connection starts: measure again.
            actions.push(Action::Echo(peer));
        }
    }

    fn answer_question(&mut self, peer: &PeerId, id: u64, result: Result<ResourceUsage, AskError>) {
        if let Some(links) = self.peers.get_mut(peer) {
            links.answer_question(id, result);
        }
    }
}
