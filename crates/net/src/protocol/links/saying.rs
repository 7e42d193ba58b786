//! Frames that this node sends on links: its reports, questions and echoes.

use libp2p::PeerId;
use meshwork_core::{HealthEvent, ResourceEvent, ResourceUsage};

use super::{
    link::LinkFrame,
    peer::{Asker, Pinger},
    state::Links,
};
use crate::{
    error::AskError,
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
};

impl Links {
    /// The last measurement of this node's machine.
    pub(crate) fn resources(&self) -> Option<&ResourceUsage> {
        self.resources.as_ref()
    }

    /// Handles a resource command from a handle.
    pub(crate) fn on_resource_command(
        &mut self,
        event: ResourceEvent,
        reply: Asker,
        shared: &Shared,
    ) -> Vec<Action> {
        match event {
            ResourceEvent::UpdateResources(usage) => {
                self.resources = Some(usage);
                // The caller may have stopped waiting.
                reply.send(Ok(usage)).ok();
                let ready = shared.peers.ready().into_iter();
                ready.filter_map(|peer| self.report_resources(peer, shared)).collect()
            }
            ResourceEvent::GetPeerResources(peer) => {
                self.ask_resources(peer, reply, shared).into_iter().collect()
            }
        }
    }

    /// Handles a health command from a handle. Only reports arrive here: the node measures its
    /// health without the event loop.
    pub(crate) fn on_health_command(&mut self, event: HealthEvent, shared: &Shared) -> Vec<Action> {
        let HealthEvent::ReportHealth(status) = event else { return Vec::new() };
        self.health = Some(status);
        let ready = shared.peers.ready().into_iter();
        ready.filter_map(|peer| self.report_health(peer, shared)).collect()
    }

    /// A handle asks for the round trip to a peer.
    pub(crate) fn on_echo_command(
        &mut self,
        peer: PeerId,
        reply: Pinger,
        shared: &Shared,
    ) -> Option<Action> {
        let error = match self.links_if_ready(&peer, shared) {
            Some(links) if links.has_room_for_echo() => {
                return self.echo(peer, Some(reply), shared);
            }
            Some(_) => AskError::Busy,
            None => AskError::NotReady,
        };
        reply.send(Err(error)).ok();
        None
    }

    /// Sends an echo to a peer.
    pub(crate) fn echo(
        &mut self,
        peer: PeerId,
        reply: Option<Pinger>,
        shared: &Shared,
    ) -> Option<Action> {
        let id = self.next_ask();
        let links = self.links_if_ready(&peer, shared).filter(|links| links.has_room_for_echo())?;
        links.ask_echo(id, reply);
        let body = HealthBody::Echo;
        self.say(peer, LinkFrame::Health(HealthFrame { id, body }), shared)
    }

    /// A peer has become ready: reports this node's resources and health to it, and measures the
    /// round trip.
    pub(crate) fn on_ready(&mut self, peer: PeerId, shared: &Shared) -> Vec<Action> {
        let resources = self.report_resources(peer, shared);
        let health = self.report_health(peer, shared);
        let echo = self.echo(peer, None, shared);
        [resources, health, echo].into_iter().flatten().collect()
    }

    fn ask_resources(&mut self, peer: PeerId, caller: Asker, shared: &Shared) -> Option<Action> {
        let id = self.next_ask();
        let refused = match self.links_if_ready(&peer, shared) {
            None => Err((caller, AskError::NotReady)),
            Some(links) => links.ask_resources(id, caller).map_err(|it| (it, AskError::Busy)),
        };
        if let Err((caller, error)) = refused {
            caller.send(Err(error)).ok();
            return None;
        }
        let body = ResourceBody::Question;
        self.say(peer, LinkFrame::Resource(ResourceFrame { id, body }), shared)
    }

    fn report_resources(&mut self, peer: PeerId, shared: &Shared) -> Option<Action> {
        let body = ResourceBody::Report(resource::reports::own(self.resources?));
        self.say(peer, LinkFrame::Resource(ResourceFrame { id: 0, body }), shared)
    }

    fn report_health(&mut self, peer: PeerId, shared: &Shared) -> Option<Action> {
        let status = self.health.clone()?;
        let body = HealthBody::Report(health::reports::own(status));
        self.say(peer, LinkFrame::Health(HealthFrame { id: 0, body }), shared)
    }
}
